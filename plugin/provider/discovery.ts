import { ProviderError } from '../oauth/errors.ts'
import { ConfigError } from '../options/config-error.ts'
import type { ResolvedProvider } from '../options/resolved.ts'
import { isTimeout, within } from '../stores/within.ts'
import {
  challengeWarning,
  explicitMetadata,
  type Metadata,
  metadataProblems,
  readMetadata,
} from './endpoints.ts'
import { type Calls, causeOf, type ProviderLog } from './transport/calls.ts'
import { type JsonObject, readResponse } from './transport/response.ts'
import { ONCE, type Pause } from './transport/retry.ts'

/**
 * For the first response. A provider that accepts and then drips must not hold up the start: Fastify gives a plugin
 * ten seconds, and two requests may take twenty.
 */
const START_MS = 6000

/** The provider's metadata, once it has been accepted. */
export interface Discovery {
  readonly metadata: Metadata | undefined
  /** @throws ConfigError when there is metadata and it cannot be used. */
  start(): Promise<void>
  /** Ends the tries in the background. */
  stop(): void
}

/**
 * Finds the endpoints: those that the options name, else those of the issuer's metadata. A provider that cannot
 * be asked is asked again in the background until it answers with metadata that holds (F-01).
 */
export function createDiscovery(options: {
  provider: ResolvedProvider
  calls: Calls
  log: ProviderLog
  pause: Pause
}): Discovery {
  const { provider, calls, log, pause } = options
  let metadata: Metadata | undefined
  let stopped = false

  return {
    get metadata() {
      return metadata
    },

    async start() {
      const explicit = explicitMetadata(provider)
      try {
        accept(explicit ? checked(explicit, provider, true) : await firstMetadata())
      } catch (error) {
        if (!(error instanceof ProviderError)) throw error
        log.error(
          { issuer: provider.issuer, cause: causeOf(error) },
          'the provider cannot be reached, and logins fail until it can: check provider.issuer, name resolution, ' +
            'firewall and certificate; trying again in the background',
        )
        void keepTrying()
      }
    },

    stop() {
      stopped = true
    },
  }

  /** @throws ProviderError when there is none in time: the next attempt is made in the background. */
  function firstMetadata(): Promise<Metadata> {
    return within(START_MS, discover(provider, calls, log)).catch((error: unknown) => {
      throw isTimeout(error) ? new ProviderError('provider_unavailable', 'discovery') : error
    })
  }

  function accept(found: Metadata): void {
    metadata = found
    log.info({ issuer: provider.issuer }, 'the provider is ready')
  }

  async function keepTrying(): Promise<void> {
    for (let attempt = 1; metadata === undefined; attempt += 1) {
      await pause(attempt)
      if (stopped) return
      try {
        accept(await discover(provider, calls, log))
      } catch (error) {
        if (error instanceof ConfigError) {
          log.error({ issuer: provider.issuer, problems: error.problems }, 'the provider cannot be used')
        } else {
          log.warn({ issuer: provider.issuer, cause: causeOf(error) }, 'the provider still cannot be reached')
        }
      }
    }
  }
}

/**
 * Asks the issuer: openid-configuration, and where that does not exist oauth-authorization-server
 * (OIDC Discovery §4, RFC 8414 §3).
 *
 * @throws ConfigError for a response that cannot be used, ProviderError when there is none.
 */
async function discover(provider: ResolvedProvider, calls: Calls, log: ProviderLog): Promise<Metadata> {
  const { origin, pathname } = new URL(provider.issuer)
  const path = pathname.replace(/\/$/, '')
  const ask = (address: string) => calls.get('discovery', ONCE, new URL(origin + address))
  try {
    const first = await ask(`${path}/.well-known/openid-configuration`)
    const second = first.status === 404 && (await ask(`/.well-known/oauth-authorization-server${path}`))
    const document = readResponse('discovery', second || first)
    const metadata = checked(document, provider, false)
    const warning = challengeWarning(document, provider)
    if (warning) log.warn({ issuer: provider.issuer }, warning)
    return metadata
  } catch (error) {
    if (!(error instanceof ProviderError)) throw error
    const refused = causeOf(error) === 'ADDRESS_REFUSED'
    if (error.transient && !refused) throw error
    const problem = refused
      ? 'leads to a private address; if the provider is in your own network, set dangerouslyAllowPrivateNetwork'
      : 'there is no usable metadata at /.well-known/openid-configuration or ' +
        `/.well-known/oauth-authorization-server (${causeOf(error)})`
    throw new ConfigError([{ path: ['provider', 'issuer'], problem }])
  }
}

function checked(metadata: JsonObject, provider: ResolvedProvider, explicit: boolean): Metadata {
  const problems = metadataProblems(metadata, provider, explicit)
  if (problems.length > 0) throw new ConfigError(problems)
  return readMetadata(metadata)
}
