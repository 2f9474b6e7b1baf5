/** The least options that the plugin takes, and the problems that it finds in others. */
import type { Test } from 'tap'
import {
  ConfigError,
  formatPath,
  type PkceOptions,
  type ProviderOptions,
  resolveOptions,
} from '../../plugin/index.ts'

/** Options without anything that has a default. */
export const least = (): Extract<PkceOptions, { provider: ProviderOptions }> => ({
  publicUrl: 'https://api.example.com',
  provider: { issuer: 'https://login.example.com', clientId: 'backend', clientSecret: 'secret' },
  clients: [{ clientId: 'app', redirectUris: ['https://app.example.com/callback'] }],
})

/** What is wrong with options, as an operator reads it. */
export function problemsOf(options: unknown): string[] {
  try {
    resolveOptions(options as PkceOptions)
    return []
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return error.problems.map(({ path, problem }) => `${formatPath(path)}: ${problem}`)
  }
}

/** Options with something laid over the provider, or over the only client. */
export const withProvider = (provider: object) => ({
  ...least(),
  provider: { ...least().provider, ...provider },
})
export const withClient = (client: object) => ({
  ...least(),
  clients: [{ ...least().clients[0], ...client }],
})

/** Exactly one problem, at `path`. */
export function oneProblem(
  t: Test,
  options: unknown,
  path: string,
  words: RegExp | string = /./,
  message = '',
) {
  const problems = problemsOf(options)
  t.equal(problems.length, 1, `${message} one problem: ${problems.join(' | ')}`)
  t.ok(problems[0]?.startsWith(`${path}: `), `${message} at ${path}: ${problems[0]}`)
  t.match(problems[0], words, message)
}
