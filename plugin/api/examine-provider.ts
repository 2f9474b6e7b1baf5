import { createPublicKey, type JsonWebKey } from 'node:crypto'
import { ProviderError } from '../oauth/errors.ts'
import { ConfigError, type ConfigProblem } from '../options/config-error.ts'
import { hasOpenId } from '../options/provider/rules.ts'
import type { ResolvedProvider } from '../options/resolved.ts'
import { createProvider } from '../provider/client.ts'
import { ALGORITHMS } from '../provider/openid/signed-claims.ts'
import type { Provider } from '../provider/provider.ts'
import { adviceOn, adviceOnClient, refusalWordsIn } from '../provider/refusals/advice.ts'
import { causeOf, type ProviderLog } from '../provider/transport/calls.ts'
import { createDispatcher, type ProviderDispatcher } from '../provider/transport/network.ts'
import { watchClock } from '../provider/transport/provider-clock.ts'
import { sendRequest } from '../provider/transport/request.ts'
import { readResponse } from '../provider/transport/response.ts'
import { randomHex } from '../secrets/random.ts'

/** What a provider looks like from here, before anybody logs in. */
export interface ProviderExamination {
  /** What keeps its metadata from being used, as at the start. */
  readonly problems: readonly ConfigProblem[]
  /** Why it cannot be reached: a code, or a few words. Undefined: it has answered. */
  readonly unreachable?: string
  /** What its metadata says against the options (M-07). */
  readonly warnings: readonly string[]
  /** Seconds by which its clock is ahead of ours, as far as its `Date` headers tell; half a second may be rounding. */
  readonly aheadSeconds?: number
  /** Undefined where no id_token is asked for, or where nothing is known of the keys' address. */
  readonly keys?: ExaminedKeys
  /** Undefined without usable metadata. */
  readonly authorization?: ExaminedAuthorization
}

/** The provider's key set: how many of its keys can verify a signature here, or why it cannot be had. */
export type ExaminedKeys = { readonly usable: number } | { readonly failure: string }

/** What has become of an authorization request that nobody follows. */
export type ExaminedAuthorization =
  /** It has sent the browser to our redirect URI: that is registered. */
  | { readonly outcome: 'registered' }
  /** It shows a page, or goes on to one: it has refused nothing so far. */
  | { readonly outcome: 'untold' }
  /** `told`: its own words, as far as they are known ones. `advice`: what to look at. */
  | { readonly outcome: 'refused'; readonly told: string; readonly advice: string }
  | { readonly outcome: 'unreachable'; readonly failure: string }

const PAGE_BYTES = 131_072
const PAGE_MS = 5000

/**
 * Looks at a provider as the start and the first login do: its metadata, its key set, its clock, and an authorization
 * request whose answer is read and not followed. Nothing is submitted. With PAR the request is pushed, which shows
 * whether our client is accepted.
 *
 * Takes a few seconds at most, whatever does not answer.
 *
 * @param callbackUrl our redirect URI there. @returns words of our own and codes, nothing that the provider has written.
 * Source: requirements Q-09, F-01, M-07.
 */
export async function examineProvider(
  provider: ResolvedProvider,
  callbackUrl: string,
): Promise<ProviderExamination> {
  const agent = createDispatcher(provider)
  const clock = watchClock(agent)
  const { log, lines } = collectingLog()
  const client = createProvider({
    ...{ provider, callbackUrl, log, dispatcher: clock.dispatcher },
    environment: {},
  })
  try {
    const problems = await problemsOf(client)
    const unreachable = lines.find(({ level }) => level === 'error')?.cause
    const warnings = lines.filter(({ level }) => level === 'warn').map(({ message }) => message)
    const isKnown = client.metadata !== undefined
    const [keys, authorization] = await Promise.all([
      isKnown ? examineKeys(client, clock.dispatcher) : undefined,
      isKnown ? examineAuthorization(client, callbackUrl, (url) => get(url, agent, clock)) : undefined,
    ])
    const { aheadSeconds } = clock
    return {
      problems,
      warnings,
      ...(unreachable !== undefined && { unreachable }),
      ...(aheadSeconds !== undefined && { aheadSeconds }),
      ...(keys && { keys }),
      ...(authorization && { authorization }),
    }
  } finally {
    await client.close()
    await agent.destroy()
  }
}

async function problemsOf(client: Provider): Promise<readonly ConfigProblem[]> {
  try {
    await client.start()
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
}

async function examineKeys(
  { options, metadata }: Provider,
  dispatcher: ProviderDispatcher,
): Promise<ExaminedKeys | undefined> {
  if (!hasOpenId(options) || metadata?.jwks_uri === undefined) return undefined
  const request = {
    url: metadata.jwks_uri,
    headers: { accept: 'application/json, application/jwk-set+json' },
  }
  try {
    const { keys } = readResponse('jwks', await sendRequest('jwks', dispatcher, options.timeouts, request))
    return Array.isArray(keys) ? { usable: keys.filter(isUsable).length } : { failure: 'not a key set' }
  } catch (error) {
    return { failure: causeOf(error) }
  }
}

/** A public key that may sign, by an algorithm that is accepted (RFC 7517 §4). */
function isUsable(jwk: unknown): boolean {
  const { use, alg } = (jwk ?? {}) as { use?: unknown; alg?: unknown }
  if ((use ?? 'sig') !== 'sig' || !ALGORITHMS.includes(String(alg ?? ALGORITHMS[0]))) return false
  try {
    return createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' }).type === 'public'
  } catch {
    return false
  }
}

async function examineAuthorization(
  client: Provider,
  callbackUrl: string,
  ask: (url: string) => ReturnType<typeof get>,
): Promise<ExaminedAuthorization> {
  const { options: provider } = client
  const registration = { provider, callbackUrl }
  const refused = (words: readonly string[]): ExaminedAuthorization => ({
    outcome: 'refused',
    told: words.join(' '),
    advice: adviceOn(words, registration) ?? adviceOnClient(registration),
  })
  try {
    const url = await client.authorizationUrl({
      state: randomHex(32),
      nonce: hasOpenId(provider) && provider.nonce ? randomHex(32) : undefined,
      codeChallenge: provider.pkce === 'none' ? undefined : S256_OF_NOBODY,
      extraScope: [],
      passThrough: {},
      prompt: false,
    })
    const { status, location, page } = await ask(url)
    if (status >= 500 || status === 404) return { outcome: 'unreachable', failure: `status ${status}` }
    const target = location && URL.canParse(location, url) ? new URL(location, url) : undefined
    if (target && `${target.origin}${target.pathname}` === callbackUrl) {
      const error = target.searchParams.get('error')
      const isAboutUser = error === null || ABOUT_USER.includes(error)
      return isAboutUser ? { outcome: 'registered' } : refused(refusalWordsIn(error))
    }
    // Google says it in the address of its page of errors, encoded once more.
    const words = refusalWordsIn(target ? `${target.href} ${decoded(target)}` : page)
    if (words.length === 0 && status >= 400 && /redirect|callback/i.test(page))
      words.push('redirect_uri_mismatch')
    // A 403 without a word can be of somebody in between who likes no programs.
    const isRefused =
      status === 400 || (status > 400 && words.length > 0) || words.some((word) => SURE_SIGNS.test(word))
    return isRefused ? refused(words) : { outcome: 'untold' }
  } catch (error) {
    if (error instanceof ProviderError && error.reason === 'provider_refused_client')
      return refused(error.words)
    return { outcome: 'unreachable', failure: causeOf(error) }
  }
}

/** Of somebody who is not there (OpenID Connect Core §3.1.2.6): our part was accepted. */
const ABOUT_USER = [
  ...['login_required', 'interaction_required', 'consent_required', 'account_selection_required'],
  'access_denied',
]

/** A challenge like any other, of a verifier that is kept nowhere (RFC 7636 §4.2). */
const S256_OF_NOBODY = 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM'
/** On a page with status 200 other words may be there by chance. */
const SURE_SIGNS = /^\d|redirect_uri|^(?:invalid|unauthorized)_client$/

function decoded({ searchParams }: URL): string {
  return [...searchParams.values()]
    .map((value) => Buffer.from(value, 'base64url').toString('latin1'))
    .join(' ')
}

/** A page as a browser would ask for it, without what follows. */
async function get(
  url: string,
  agent: ReturnType<typeof createDispatcher>,
  clock: ReturnType<typeof watchClock>,
) {
  const { origin, pathname, search } = new URL(url)
  const sentAt = Date.now()
  const { statusCode, headers, body } = await agent.request({
    ...{ origin, path: pathname + search, method: 'GET' },
    headers: { accept: 'text/html', 'user-agent': 'fastify-pkce', 'accept-encoding': 'identity' },
    ...{ headersTimeout: PAGE_MS, bodyTimeout: PAGE_MS, signal: AbortSignal.timeout(PAGE_MS) },
  })
  clock.observe(headers, sentAt)
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of body as AsyncIterable<Buffer>) {
    chunks.push(chunk)
    length += chunk.length
    if (length > PAGE_BYTES) break
  }
  const location = [headers.location].flat()[0]
  return { status: statusCode, location, page: Buffer.concat(chunks).toString('latin1') }
}

function collectingLog() {
  const lines: { level: string; cause: string; message: string }[] = []
  const at = (level: string) => (fields: object, message: string) => {
    lines.push({ level, cause: String(Reflect.get(fields, 'cause') ?? ''), message })
  }
  const log: ProviderLog = { info: at('info'), warn: at('warn'), error: at('error') }
  return { log, lines }
}
