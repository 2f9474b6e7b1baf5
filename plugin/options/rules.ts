import { randomBytes } from 'node:crypto'
import { isResource } from '../oauth/access/resource.ts'
import type { RegisteredClient, ResourceServer } from '../oauth/client.ts'
import { claimedPaths } from '../oauth/redirect-uri.ts'
import { memoryStoreProblem } from '../stores/memory.ts'
import { postgresPoolProblem } from '../stores/postgres/pool.ts'
import { parseRedisUrl } from '../stores/redis/url.ts'
import type { ConfigProblem } from './config-error.ts'
import { suggestion } from './problems/nearest.ts'
import type { AppLink, ResolvedOptions } from './resolved.ts'

const PUBLIC_URL =
  /^(https:\/\/[a-z0-9.-]+(:[1-9][0-9]{0,4})?|http:\/\/(127\.0\.0\.1|\[::1\])(:[1-9][0-9]{0,4})?)$/
const BASE64URL = /^[A-Za-z0-9_-]+={0,2}$/
const SECRET_BYTES = 32

/** Our issuer is what apps compare byte for byte (RFC 9207 §2.4), so there is one spelling of it. */
export function publicUrlProblem(publicUrl: string): string | undefined {
  if (PUBLIC_URL.test(publicUrl) && isOrigin(publicUrl)) return undefined
  return 'must be an https origin in lower case without path or trailing slash, or http with 127.0.0.1 or [::1]; no default port'
}

/** True for an origin as browsers and URL classes spell it: no default port, no path, a port that exists. */
export function isOrigin(text: string): boolean {
  return URL.canParse(text) && new URL(text).origin === text
}

/**
 * Resource servers authenticate; a name must mean one party only.
 *
 * @param servers by their place in the list.
 */
export function resourceServerProblems(
  servers: ReadonlyMap<number, ResourceServer>,
  clients: Iterable<RegisteredClient>,
): ConfigProblem[] {
  const taken = new Set(Array.from(clients, (client) => client.clientId))
  return [...servers].flatMap(([index, { clientId }]) => {
    const problem = taken.has(clientId) ? 'is taken by a client or another resource server' : ''
    taken.add(clientId)
    return problem ? [{ path: ['resourceServers', index, 'clientId'], problem }] : []
  })
}

/** What tokens can be restricted to has an address (RFC 8707 §2). */
export function resourceProblems(resources: readonly string[]): ConfigProblem[] {
  return [...resources.entries()].flatMap(([index, resource]) => {
    const problem = 'must be an absolute http or https address without fragment, user name and password'
    return isResource(resource) ? [] : [{ path: ['resources', index], problem }]
  })
}

/**
 * What is wrong with the apps that claim redirect URIs: a file that says nothing is worse than none, because the system
 * then opens the browser, and nobody says why.
 *
 * @param appLinks by their place in the list.
 */
export function appLinkProblems(
  appLinks: ReadonlyMap<number, AppLink>,
  clients: Iterable<RegisteredClient>,
  publicUrl: string,
): ConfigProblem[] {
  const byId = new Map(Array.from(clients, (client) => [client.clientId, client]))
  return [...appLinks].flatMap(([index, { clientId, android, apple }]) => {
    const client = byId.get(clientId)
    const problems: ConfigProblem[] = []
    const report = (problem: string, ...path: string[]) =>
      problems.push({ path: ['appLinks', index, ...path], problem })
    if (client === undefined) {
      report(`is not one of clients${suggestion(clientId, [...byId.keys()])}`, 'clientId')
    } else if (claimedPaths(client.redirectUris, publicUrl).length === 0) {
      report(
        `has no https redirect URI at ${publicUrl}, and these files speak for their own host alone: add one, or serve them where the redirect URIs are`,
        'clientId',
      )
    }
    if (android === undefined && apple === undefined) report('must have android, apple, or both')
    return problems
  })
}

/**
 * Server secrets: the memory store dies with the process, so it alone may do without.
 *
 * @param storeKind the store's `name`; undefined: not known.
 */
export function secretProblems(secrets: readonly string[], storeKind: string | undefined): ConfigProblem[] {
  if (secrets.length === 0 && storeKind !== 'memory') {
    return [
      {
        path: ['secrets'],
        problem: 'is required unless the store is memory: at least 32 random bytes, base64url',
      },
    ]
  }
  return secrets.flatMap((secret, index) =>
    BASE64URL.test(secret) && Buffer.from(secret, 'base64url').length >= SECRET_BYTES
      ? []
      : [
          {
            path: ['secrets', index],
            problem: 'must be at least 32 random bytes, base64url (e.g. openssl rand -base64 32 | tr +/ -_)',
          },
        ],
  )
}

/** The secrets as bytes; a random one where none is configured. */
export function decodeSecrets(secrets: readonly string[]): Buffer[] {
  return secrets.length === 0
    ? [randomBytes(SECRET_BYTES)]
    : secrets.map((secret) => Buffer.from(secret, 'base64url'))
}

/** Bounds that keep the protocol's promises whatever is configured. */
export function lifetimeProblems(lifetimes: ResolvedOptions['lifetimes']): ConfigProblem[] {
  const bounds: [keyof typeof lifetimes, number, number][] = [
    ['transactionSeconds', 1, 3600],
    ['codeSeconds', 1, 60],
    ['accessTokenSeconds', 1, 86_400],
    ['duplicateSeconds', 0, 300],
    ['refreshGraceSeconds', 0, 300],
    ['refreshIdleSeconds', 1, Number.POSITIVE_INFINITY],
    ['sessionSeconds', 1, Number.POSITIVE_INFINITY],
    // A token exchange under way is such a record too, and must end within it.
    ['tombstoneSeconds', 60, Number.POSITIVE_INFINITY],
  ]
  return bounds.flatMap(([key, least, most]) =>
    lifetimes[key] >= least && lifetimes[key] <= most
      ? []
      : [
          {
            path: ['lifetimes', key],
            problem:
              most === Number.POSITIVE_INFINITY ? `must be at least ${least}` : `must be ${least} to ${most}`,
          },
        ],
  )
}

/** What names a store, for programs that make one of plain data. */
export type StoreDescription =
  | { readonly type: 'memory'; readonly dangerouslyAllowInProduction?: boolean }
  | { readonly type: 'redis' | 'postgres'; readonly url: string }

/**
 * Why no such store can be made, or undefined. Nothing is made or connected to find out.
 *
 * @returns words that hold neither address nor credential.
 */
export function storeProblem(store: StoreDescription): string | undefined {
  if (store.type === 'memory') return memoryStoreProblem(store)
  if (store.type === 'postgres') return postgresPoolProblem(store.url)
  try {
    parseRedisUrl(store.url)
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}
