import type { RegisteredClient } from '../options/resolved.ts'
import { OAuthError } from './errors.ts'
import type { FormParameters } from './form.ts'

const SYNTAX: ReadonlyMap<string, RegExp> = new Map([
  ['prompt', /^(?:login|consent|select_account|create)(?: (?:login|consent|select_account|create)){0,3}$/],
  ['login_hint', /^.{1,256}$/u],
  ['ui_locales', /^[A-Za-z0-9 -]{1,256}$/],
  ['max_age', /^[0-9]{1,9}$/],
  ['acr_values', /^[\x20-\x7e]{1,512}$/],
])

/** What `clients[].passThrough` may list (OIDC Core §3.1.2.1). */
export const passThroughNames: readonly string[] = [...SYNTAX.keys()]

/**
 * The parameters that an app has sent for the provider: those on its client's list, and no others.
 *
 * @throws OAuthError `prompt_none` for every client; `parameter_invalid` for a value that is not as it should be.
 */
export function selectPassThrough(
  parameters: FormParameters,
  client: RegisteredClient,
): Record<string, string> {
  // The provider sees one client for all apps: a silent login for one could ride on consent given to another.
  if (parameters.prompt?.split(' ').includes('none')) throw new OAuthError('prompt_none')

  const selected: Record<string, string> = {}
  for (const name of client.passThrough) {
    const value = parameters[name]
    if (value === undefined) continue
    if (!SYNTAX.get(name)!.test(value)) throw new OAuthError('parameter_invalid')
    selected[name] = value
  }
  return selected
}
