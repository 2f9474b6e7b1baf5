import { ProviderError } from '../../oauth/errors.ts'
import { ConfigError } from '../../options/config-error.ts'
import type { ResolvedProvider } from '../../options/resolved.ts'
import { isTimeout, within } from '../../stores/within.ts'
import { type Calls, causeOf, type ProviderLog } from '../transport/calls.ts'
import { type JsonObject, readResponse } from '../transport/response.ts'
import { ONCE, pauseBetween } from '../transport/retry.ts'
import {
  explicitMetadata,
  type Metadata,
  metadataProblems,
  readMetadata,
  withCertificateEndpoints,
} from './endpoints.ts'
import { metadataWarnings } from './warnings.ts'

/**
 * For the first response. A provider that accepts and then drips must not hold up the start: Fastify gives a plugin
 * ten seconds, and two requests may take twenty.
 */
const START_MS = 6000
/** How long a request waits for a try of its own, and how long after a failed one others are refused at once. */
const FIND_MS = 4000
const REFUSED_MS = 1000
/** Half of a pause is random, so that this is an hour on average. */
const LONGEST_AGE_MS = 80 * 60_000
/** Between two reads, of which the second was asked for by failures. */
const SUSPICION_MS = 60_000

/** The provider's metadata, once it has been accepted. */
export interface Discovery {
  readonly metadata: Metadata | undefined
  /** @throws ConfigError when there is metadata and it cannot be used. */
  start(): Promise<void>
  /**
   * The metadata. While there is none, those who ask share one try, made at once.
   *
   * @throws ProviderError `provider_not_ready`, after four seconds at the latest; at once for a second after that.
   */
  find(): Promise<Metadata>
  /** An endpoint fails as one that has moved: metadata is read again in the background, at most once a minute. */
  suspectMove(): void
  /** Ends the tries in the background. */
  stop(): void
}

/**
 * Finds the endpoints: those that the options name, else those of the issuer's metadata. A provider that cannot
 * be asked is asked again in the background until it answers with metadata that holds (F-01), and then every hour:
 * endpoints move. What cannot be used changes nothing (M-06).
 *
 * @param now the clock, in milliseconds.
 * @param known what has been accepted already: the start asks nobody.
 */
export function createDiscovery(options: {
  provider: ResolvedProvider
  /** Told to the operator, who has to register it. */
  callbackUrl: string
  calls: Calls
  log: ProviderLog
  now: () => number
  random: () => number
  sleep: (ms: number, signal?: AbortSignal) => Promise<unknown>
  known?: Metadata | undefined
}): Discovery {
  const { provider, calls, log, now, random } = options
  const { issuer } = provider
  const explicit = explicitMetadata(provider)
  const stopping = new AbortController()
  const sleep = (ms: number) => options.sleep(ms, stopping.signal).catch(() => {})
  const pauseForRetry = pauseBetween(1000, 30_000, random, sleep)
  const pauseForAge = pauseBetween(LONGEST_AGE_MS, LONGEST_AGE_MS, random, sleep)

  let metadata = options.known
  let readAt = Number.NEGATIVE_INFINITY
  let refusedUntil = Number.NEGATIVE_INFINITY
  let trying: Promise<Metadata> | undefined
  let isSuspected = false

  return {
    get metadata() {
      return metadata
    },

    async start() {
      try {
        if (!metadata) await within(START_MS, read())
      } catch (error) {
        if (!(error instanceof ProviderError) && !isTimeout(error)) throw error
        log.error(
          { issuer, cause: causeOf(error) },
          'the provider cannot be reached, and logins fail until it can: check provider.issuer, name resolution, ' +
            'firewall and certificate; trying again in the background',
        )
      }
      if (!explicit) void keepReading()
    },

    async find() {
      if (metadata) return metadata
      if (now() < refusedUntil) throw notReady()
      trying ??= tryNow().finally(() => {
        trying = undefined
      })
      return trying
    },

    suspectMove() {
      if (explicit || isSuspected) return
      isSuspected = true
      void readWhenDue()
    },

    stop() {
      stopping.abort()
    },
  }

  /**
   * Not the try in the background, should one be under way: it began earlier, perhaps while the provider was away.
   *
   * @throws ProviderError `provider_not_ready`.
   */
  async function tryNow(): Promise<Metadata> {
    try {
      return await within(FIND_MS, read())
    } catch (error) {
      if (metadata) return metadata
      refusedUntil = now() + REFUSED_MS
      throw notReady(error)
    }
  }

  async function keepReading(): Promise<void> {
    for (let attempt = 1; !stopping.signal.aborted; attempt += 1) {
      const isMissing = metadata === undefined
      await (isMissing ? pauseForRetry(attempt) : pauseForAge(1))
      // A request may have found what was missing meanwhile.
      if (isMissing === (metadata === undefined)) await readAgain()
    }
  }

  async function readWhenDue(): Promise<void> {
    const dueInMs = readAt + SUSPICION_MS - now()
    if (dueInMs > 0) await sleep(dueInMs)
    isSuspected = false
    await readAgain()
  }

  async function readAgain(): Promise<void> {
    if (stopping.signal.aborted) return
    try {
      await read()
    } catch (error) {
      if (stopping.signal.aborted) return
      const isWrong = error instanceof ConfigError
      const what = isWrong ? { issuer, problems: error.problems } : { issuer, cause: causeOf(error) }
      if (metadata) log.warn(what, `${isWrong ? WRONG : UNREAD}; what was read before stays in use`)
      else if (isWrong) log.error(what, 'the provider cannot be used')
      else log.warn(what, 'the provider still cannot be reached')
    }
  }

  /** @throws ConfigError, ProviderError @see discover */
  async function read(): Promise<Metadata> {
    readAt = now()
    const document = explicit ?? withCertificateEndpoints(await discover(provider, calls), provider)
    const problems = metadataProblems(document, provider, explicit !== undefined)
    if (problems.length > 0) throw new ConfigError(problems)
    const found = readMetadata(document, provider)
    if (metadata) announceChange(metadata, found)
    else announceFirst(document)
    metadata = found
    return found
  }

  function announceFirst(document: JsonObject): void {
    for (const warning of explicit ? [] : metadataWarnings(document, provider)) log.warn({ issuer }, warning)
    log.info({ issuer, redirectUri: options.callbackUrl }, 'the provider is ready')
  }

  function announceChange(before: Metadata, found: Metadata): void {
    const names = Object.keys({ ...before, ...found }) as (keyof Metadata)[]
    const changed = names.filter((name) => String(before[name]) !== String(found[name]))
    if (changed.length > 0) log.info({ issuer, changed }, "the provider's metadata has changed")
  }
}

const WRONG = "the provider's metadata cannot be used any more"
const UNREAD = "the provider's metadata cannot be read again"

function notReady(error?: unknown): ProviderError {
  const cause = error === undefined ? undefined : new Error(causeOf(error))
  return new ProviderError('provider_not_ready', 'discovery', { unsent: true, cause })
}

/**
 * Asks the issuer: openid-configuration, and where that does not exist oauth-authorization-server
 * (OIDC Discovery §4, RFC 8414 §3).
 *
 * @throws ConfigError for a response that cannot be used, ProviderError when there is none.
 */
async function discover(provider: ResolvedProvider, calls: Calls): Promise<JsonObject> {
  const { origin, pathname } = new URL(provider.issuer)
  const path = pathname.replace(/\/$/, '')
  const ask = (address: string) => calls.get('discovery', ONCE, new URL(origin + address))
  try {
    const first = await ask(`${path}/.well-known/openid-configuration`)
    const second = first.status === 404 && (await ask(`/.well-known/oauth-authorization-server${path}`))
    return readResponse('discovery', second || first)
  } catch (error) {
    if (!(error instanceof ProviderError)) throw error
    const refused = causeOf(error) === 'ADDRESS_REFUSED'
    if (error.transient && !refused) throw error
    const problem = refused
      ? 'leads to a private address; if the provider is in your own network, set dangerouslyAllowPrivateNetwork'
      : 'there is no usable metadata at /.well-known/openid-configuration or ' +
        `/.well-known/oauth-authorization-server (${causeOf(error)}); if the provider has none, ` +
        'write its authorizationEndpoint and tokenEndpoint'
    throw new ConfigError([{ path: ['provider', 'issuer'], problem }])
  }
}
