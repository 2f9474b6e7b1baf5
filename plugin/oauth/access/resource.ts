import { OAuthError } from '../errors.ts'
import { formValues } from '../form.ts'

/** What is known of the resources that tokens can be restricted to. */
export interface Resources {
  /** Our issuer, which names all of them. */
  readonly publicUrl: string
  /** Their identifiers. Empty: `resource` means nothing here, and is ignored. */
  readonly resources: readonly string[]
}

/**
 * The resources that a request names, each once, as they are spelled here.
 *
 * @param form raw: a body, or a query without its question mark. `resource` may be there several times.
 * @returns undefined: no restriction. @throws OAuthError `resource_unknown`.
 * Source: RFC 8707 §2; requirements N-02.
 */
export function requestedResources(
  form: string,
  { publicUrl, resources }: Resources,
): readonly string[] | undefined {
  if (resources.length === 0) return undefined
  const named = formValues(form, 'resource')
  if (named.length === 0) return undefined
  const whole = comparable(publicUrl)
  const known = new Map(resources.map((resource) => [comparable(resource), resource]))
  let isWhole = false
  const found = named.map((one) => {
    const key = comparable(one)
    if (key !== undefined && key === whole) isWhole = true
    else if (key === undefined || !known.has(key)) throw new OAuthError('resource_unknown')
    return known.get(key)!
  })
  return isWhole ? undefined : [...new Set(found)]
}

/**
 * What an access token is restricted to: what is asked for, within what was granted.
 *
 * @param requested @param granted undefined: all. @throws OAuthError `resource_not_granted`.
 * Source: RFC 8707 §2.2.
 */
export function narrowResources(
  requested: readonly string[] | undefined,
  granted: readonly string[] | undefined,
): readonly string[] | undefined {
  if (requested === undefined || granted === undefined) return requested ?? granted
  if (!requested.every((one) => granted.includes(one))) throw new OAuthError('resource_not_granted')
  return requested
}

/** What all of several tokens are good for. Undefined: everything; empty: nothing. */
export function commonResources(
  restrictions: readonly (readonly string[] | undefined)[],
): readonly string[] | undefined {
  return restrictions.reduce((common, one) =>
    common === undefined || one === undefined ? (common ?? one) : common.filter((name) => one.includes(name)),
  )
}

/** True for an absolute http or https URI that can name a resource: no fragment, no credentials (RFC 8707 §2). */
export function isResource(text: string): boolean {
  return comparable(text) !== undefined
}

/**
 * Two spellings of one address have one of these: URL classes write a root with a slash, and people the end of a path.
 * Undefined for what is no address of a resource.
 */
function comparable(text: string): string | undefined {
  if (!/^https?:\/\/[^#\s\\]+$/i.test(text) || !URL.canParse(text)) return undefined
  const { href, username, password } = new URL(text)
  return username === '' && password === '' ? href.replace(/\/$/, '') : undefined
}
