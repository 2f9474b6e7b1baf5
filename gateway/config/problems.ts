/** The configuration cannot be used. Each line says where and what; none holds a configured value. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError'
  readonly lines: readonly string[]

  constructor(lines: readonly string[]) {
    super(`invalid configuration:\n${lines.join('\n')}`)
    this.lines = lines
  }
}
