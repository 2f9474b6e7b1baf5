import type { Session } from '../../../plugin/index.ts'
import type { Upstream } from '../../config/schemas/gateway.ts'
import type { PathForms } from '../../http/request-target.ts'
import type { OpenStreams } from '../exchange/open-streams.ts'
import { PublicRoute } from '../policy.ts'
import { Target, Targets } from './targets.ts'

/** How the bodies of requests are taken, at every route. */
export interface BodyOptions {
  readonly minUploadBytesPerSecond: number
  readonly sendsWholeBodies?: boolean
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
  /** Path of every target, without a trailing slash. */
  readonly base: string
  /** What `base` is called outside. */
  readonly publicBase: string
  readonly paths: PathForms
  readonly methods: ReadonlySet<string>
  /** The Allow field of a 405. */
  readonly allow: string
  readonly scopes: readonly string[]
  /** Set if no session is needed. */
  readonly publicRoute: PublicRoute | null
  /** Answers belong to one session and are not stored (H-26). */
  readonly isPrivate: boolean
  readonly sendsProviderToken: boolean
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
  /** A request that found nobody is sent again, if it may be. */
  readonly retries: boolean
  readonly streams: OpenStreams
  /** A body that came along with its header goes on as it is, and not as a stream. */
  readonly sendsWholeBodies: boolean
  /** What tells this upstream who is calling, prepared once for each session (`upstream-fields.ts`). */
  readonly preparedFields = new WeakMap<Session, readonly string[]>()

  /** @param publicUrl our origin, e.g. `https://api.example.com`. */
  constructor(
    upstream: Upstream,
    publicUrl: string,
    streams: OpenStreams,
    { minUploadBytesPerSecond, sendsWholeBodies = true }: BodyOptions,
  ) {
    const { prefix, target, timeouts, methods } = upstream
    const urls = [target].flat().map((one) => new URL(one))
    this.name = prefix
    this.prefix = prefix.replace(/\/$/, '')
    this.origins = new Set(urls.map(({ origin }) => origin))
    this.hostnames = new Set(urls.map(({ hostname }) => hostname))
    this.base = urls[0]!.pathname.replace(/\/$/, '')
    this.publicBase = publicUrl + this.prefix
    this.paths = upstream.paths
    this.methods = new Set(methods.includes('GET') ? [...methods, 'HEAD'] : methods)
    this.allow = [...this.methods].join(', ')
    this.scopes = upstream.scopes
    this.publicRoute = upstream.public ? new PublicRoute(prefix) : null
    this.isPrivate = !upstream.public && upstream.cacheControl === 'private'
    this.sendsProviderToken = upstream.credentials === 'provider-token'
    this.identityHeaders = Object.entries(upstream.identityHeaders)
    this.requestCookies = new Set(upstream.cookies.request)
    this.responseCookies = new Set(upstream.cookies.response)
    this.bodyLimitBytes = upstream.bodyLimitBytes
    this.minUploadBytesPerSecond = minUploadBytesPerSecond
    this.connectMs = timeouts.connectMs
    this.idleMs = timeouts.idleMs
    this.targets = new Targets(urls.map((url) => new Target(url, upstream)))
    this.retries = upstream.retry
    this.websocket = upstream.websocket
    this.streams = streams
    this.sendsWholeBodies = sendsWholeBodies
  }
}
