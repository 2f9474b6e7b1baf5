import type { SecretSource } from '../../options/types/options.ts'

/** The secret as it is now. @throws Error where there is none, or whatever the function throws. */
export async function askSecret(source: SecretSource | undefined): Promise<string> {
  const secret = typeof source === 'function' ? await source() : source
  if (typeof secret !== 'string' || secret === '') throw new Error('there is no secret')
  return secret
}
