import { type RequiredAuthentication, requiredAuthentication } from '../../../plugin/api/internal.ts'
import type { Session } from '../../../plugin/index.ts'
import { readTrust } from '../../config/certificate.ts'
import type { Upstream } from '../../config/schemas/config.ts'
import type { PathForms } from '../../http/request-target.ts'
import { targetAddress } from '../../http/target-address.ts'
import type { OpenStreams } from '../exchange/open-streams.ts'
import type { ForwardingMetrics, RouteCounters } from '../exchange/route-counters.ts'
import type { IdentityTokens, PreparedFields } from '../headers/identity-tokens.ts'
import { PublicRoute } from '../policy.ts'
import { Target, Targets } from './targets.ts'

/** What all routes have in common. */
export interface RouteOptions {
  /** Host values that are served besides the public URL's. */
  readonly allowedHosts?: readonly string[]
  readonly minUploadBytesPerSecond: number
  /** A body that came along with its header goes on as it is. For benchmarks: false sends every body as a stream. */
  readonly sendsWholeBodies?: boolean
  /** Default: nothing is counted. */
  readonly metrics?: ForwardingMetrics | undefined
  /** For `credentials: identity-jwt`. */
  readonly identityTokens?: (() => IdentityTokens) | undefined
}

/** One configured upstream, with everything a request needs prepared, and its own connections. */
export class UpstreamRoute {
  /** As configured, for routing and for logs. */
  readonly name: string
  /** Without a trailing slash: `''` for the root. */
  readonly prefix: string
  /** Of its targets. */
  readonly origins: ReadonlySet<string>
  readonly hostnames: ReadonlySet<string>
  /** Our own: the public URL, and what is served besides it. */
  readonly publicOrigins: ReadonlySet<string>
  /** Path of every target, without a trailing slash. */
  readonly base: string
  /** Our own origin. */
  readonly publicUrl: string
  /** What `base` is called outside. As a resource it has this name (RFC 8707). */
  readonly publicBase: string
  /** What the upstream can put in front of its paths, so that they lead back here; `''`: nothing is missing. */
  readonly forwardedPrefix: string
  readonly paths: PathForms
  readonly methods: ReadonlySet<string>
  /** The Allow field of a 405. */
  readonly allow: string
  readonly scopes: readonly string[]
  /** How a person must have signed in; undefined: nothing is demanded. */
  readonly authentication: RequiredAuthentication | undefined
  /** Set if no session is needed. */
  readonly publicRoute: PublicRoute | null
  /** Answers belong to one session and are not stored (H-26). */
  readonly isPrivate: boolean
  readonly sendsProviderToken: boolean
  /** Who signs an identity for this upstream; undefined: nobody. */
  readonly identityTokens: (() => IdentityTokens) | undefined
  /** For whom it is signed. */
  readonly audience: string
  /** Names of the claims that are told in it. */
  readonly identityClaims: readonly string[]
  readonly identityHeaders: readonly (readonly [header: string, claim: string])[]
  readonly requestCookies: ReadonlySet<string>
  readonly responseCookies: ReadonlySet<string>
  readonly bodyLimitBytes: number
  /** 0: no floor. */
  readonly minUploadBytesPerSecond: number
  readonly connectMs: number
  readonly idleMs: number
  readonly websocket: Upstream['websocket']
  readonly targets: Targets
  /** False for one without a target: requests are decided on for a proxy, which forwards them (requirements Q-10). */
  readonly forwards: boolean
  /** Requests and tunnels that have not ended. */
  underWay = 0
  /** A request that found nobody is sent again, if it may be. */
  readonly retries: boolean
  readonly streams: OpenStreams
  /** Null: nothing is counted. */
  readonly counters: RouteCounters | null
  /** A body that came along with its header goes on as it is, and not as a stream. */
  readonly sendsWholeBodies: boolean
  /** What tells this upstream who is calling, prepared once for each session (`upstream-fields.ts`). */
  readonly preparedFields = new WeakMap<Session, PreparedFields>()

  /** @param publicUrl our origin, e.g. `https://api.example.com`. @throws ConfigError for files that cannot be used. */
  constructor(
    upstream: Upstream,
    publicUrl: string,
    streams: OpenStreams,
    {
      allowedHosts = [],
      minUploadBytesPerSecond,
      sendsWholeBodies = true,
      metrics,
      identityTokens,
    }: RouteOptions,
  ) {
    const { prefix, target, timeouts, methods } = upstream
    const addresses = [target].flat().map((one) => targetAddress(one)!)
    const { host: publicHost, protocol } = new URL(publicUrl)
    this.name = prefix
    this.prefix = prefix.replace(/\/$/, '')
    this.origins = new Set(addresses.map(({ origin }) => origin))
    this.hostnames = new Set(addresses.map(({ hostname }) => hostname))
    this.publicOrigins = new Set(
      [publicHost, ...allowedHosts].map((host) => new URL(`${protocol}//${host}`).origin),
    )
    this.base = addresses[0]?.base ?? ''
    this.forwards = addresses.length > 0
    this.publicUrl = publicUrl
    this.publicBase = publicUrl + this.prefix
    // An upstream whose paths end in the same way says that end itself.
    this.forwardedPrefix = this.prefix.endsWith(this.base)
      ? this.prefix.slice(0, this.prefix.length - this.base.length)
      : this.prefix
    this.paths = upstream.paths
    this.methods = new Set(methods.includes('GET') ? [...methods, 'HEAD'] : methods)
    this.allow = [...this.methods].join(', ')
    this.scopes = upstream.scopes
    this.authentication = requiredAuthentication(upstream)
    this.publicRoute = upstream.public ? new PublicRoute(prefix) : null
    this.isPrivate = !upstream.public && upstream.cacheControl === 'private'
    this.sendsProviderToken = upstream.credentials === 'provider-token'
    this.identityTokens = upstream.credentials === 'identity-jwt' ? identityTokens : undefined
    this.audience = upstream.audience ?? this.publicBase
    this.identityClaims = [...new Set(Object.values(upstream.identityHeaders))]
    this.identityHeaders = Object.entries(upstream.identityHeaders)
    this.requestCookies = new Set(upstream.cookies.request)
    this.responseCookies = new Set(upstream.cookies.response)
    this.bodyLimitBytes = upstream.bodyLimitBytes
    this.minUploadBytesPerSecond = minUploadBytesPerSecond
    this.connectMs = timeouts.connectMs
    this.idleMs = timeouts.idleMs
    const options = {
      ...upstream,
      host: upstream.host === 'public' ? publicHost : upstream.host,
      trust: readTrust(upstream, ['upstreams', prefix]),
    }
    this.targets = new Targets(addresses.map((address) => new Target(address, options)))
    this.retries = upstream.retry
    this.websocket = upstream.websocket
    this.streams = streams
    this.counters = metrics?.countersOf(this.name) ?? null
    this.sendsWholeBodies = sendsWholeBodies
  }
}
