import type { IncomingMessage, ServerResponse } from 'node:http'
import type { EchoApi } from '../echo.ts'
import type { DemoProvider } from '../provider.ts'
import { maskedFields } from './masked-fields.ts'
import { meanings } from './meanings.ts'

/** The lanes of the diagram. */
export type Party = 'app' | 'gateway' | 'provider' | 'api'

/** One thing that was seen where it happened, not by the page. Credentials are masked. */
export interface Sighting {
  /** Ascending, from 1; 0 in a trail. */
  readonly seq: number
  /** Milliseconds since 1970. */
  readonly at: number
  readonly kind: 'request' | 'response' | 'note'
  readonly from: Party
  readonly to: Party
  readonly title: string
  readonly fields: Readonly<Record<string, string>>
  readonly status?: number
  /** Of a note: why the gateway refused, or ended something. */
  readonly reason?: string
  /** The browser was there itself; requests of a script are drawn by the page. */
  readonly isVisit?: boolean
  /** Requests that the API has received so far. */
  readonly apiRequests?: number
}

type Seen = Omit<Sighting, 'seq' | 'at'> & { readonly at?: number }

/** What the gateway logs, as far as it is read here. */
export interface LogLine {
  readonly level: number
  readonly time: number
  readonly msg?: string
  readonly event?: string
  readonly reason?: string
  readonly code?: string
  readonly status?: number
  readonly responseTime?: number
  readonly req?: { readonly method?: string; readonly path?: string }
  readonly res?: { readonly statusCode?: number }
  readonly [field: string]: unknown
}

const KEPT_MAX = 1000
/** What the gateway asks the provider for by itself, and what it gets. */
const GATEWAY_CALLS: Readonly<Record<string, string>> = {
  '/request': 'a reference to it',
  '/token': 'its tokens',
  '/token/revocation': 'revoked',
  '/jwks': 'its keys',
}
/** Of an audit event; everything else in its line is about the process or repeats the title. */
const TOLD = ['reason', 'clientId', 'grant', 'subject', 'code', 'status']

/**
 * Watches the three servers of the demo from outside: the gateway by its own log, the provider and the API by what
 * arrives there. So the page shows what has happened, and not what it expects.
 */
export class Witness {
  readonly #meanings = meanings()
  #seq = 0
  #kept: Sighting[] = []
  #listeners = new Set<(sighting: Sighting) => void>()
  #trail: Sighting[] | undefined
  /** The access token of the provider's last answer to a token exchange: what a thief inside would have. */
  lastProviderToken: string | undefined

  get seq(): number {
    return this.#seq
  }

  /** What was seen after `seq`, as far as it is kept. */
  since(seq: number): readonly Sighting[] {
    return this.#kept.filter((sighting) => sighting.seq > seq)
  }

  /** @returns the function that ends it. */
  subscribe(listener: (sighting: Sighting) => void): () => void {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  /** Runs `work`, and returns what was seen meanwhile, which nobody else is told: the way of another browser. */
  async apart<T>(work: () => Promise<T>): Promise<{ result: T; trail: readonly Sighting[] }> {
    const trail: Sighting[] = []
    this.#trail = trail
    try {
      return { result: await work(), trail }
    } finally {
      this.#trail = undefined
    }
  }

  /** A line of the gateway's log. */
  readLogLine(line: LogLine): void {
    const { msg, event, time } = line
    if (msg === 'request completed') {
      this.#seeVisit(line)
      return
    }
    const title = event ?? (msg === 'request refused' ? msg : undefined)
    if (title === undefined) return
    const told = TOLD.filter((name) => line[name] !== undefined).map((name) => [name, String(line[name])])
    const reason = line.reason ?? line.code
    const why = reason === undefined ? undefined : this.#meanings.get(reason)
    this.#see({
      ...{ at: time, kind: 'note', from: 'gateway', to: 'gateway', title },
      fields: { ...Object.fromEntries(told), ...(why !== undefined && { why }) },
      ...(reason !== undefined && { reason }),
    })
  }

  /** A page of the browser's that the gateway has answered: no script has seen it. */
  #seeVisit({ req, res, time, responseTime }: LogLine): void {
    const path = req?.path ?? ''
    const visit = { isVisit: true, fields: {} }
    const answer = {
      ...visit,
      kind: 'response',
      from: 'gateway',
      to: 'app',
      status: res?.statusCode ?? 0,
    } as const
    if (path === '/oauth2/authorize') this.#see({ ...answer, at: time, title: 'to the provider' })
    if (path !== '/oauth2/callback') return
    const title = `${req?.method} ${path}`
    // What was logged while it was judged has its place in between.
    const at = time - Math.ceil(responseTime ?? 0)
    this.#see({ ...visit, at, kind: 'request', from: 'app', to: 'gateway', title })
    this.#see({ ...answer, at: time, title: 'to the app' })
  }

  /** @param callback where the gateway waits for the provider's answer. */
  watchProvider(provider: Pick<DemoProvider, 'onRequest'>, callback: string): void {
    provider.onRequest((request, response) => {
      const url = new URL(request.url ?? '', 'http://provider')
      const title = `${request.method} ${url.pathname}`
      const sent = collect(request)
      if (url.pathname === '/auth') {
        const fields = maskedFields(url.searchParams)
        this.#see({ kind: 'request', from: 'app', to: 'provider', title, fields })
      } else if (url.pathname in GATEWAY_CALLS) {
        this.#watchGateway(request, response, { title, sent, gives: GATEWAY_CALLS[url.pathname] ?? '' })
      }
      response.once('finish', () => {
        const { statusCode: status } = response
        if (request.method === 'POST' && url.pathname.startsWith('/interaction/')) {
          const prompt = new URLSearchParams(sent()).get('prompt') ?? ''
          const form = prompt === 'login' ? 'name and password' : prompt
          const fields = { form, answer: String(status) }
          this.#see({ kind: 'request', from: 'app', to: 'provider', title: `POST ${form}`, fields })
        }
        const location = String(response.getHeader('location') ?? '')
        if (!location.startsWith(callback)) return
        const fields = maskedFields(new URL(location).searchParams)
        const answer = {
          kind: 'response',
          from: 'provider',
          to: 'app',
          title: 'back to the gateway',
        } as const
        this.#see({ ...answer, status, fields })
      })
    })
  }

  watchApi(api: EchoApi): void {
    api.onRequest((request, response) => {
      const { authorization = '', 'x-auth-subject': subject } = request.headers
      const fields = maskedFields({ authorization, ...(subject && { 'x-auth-subject': String(subject) }) })
      const title = `${request.method} ${request.url}`
      const { requests: apiRequests } = api
      this.#see({ kind: 'request', from: 'gateway', to: 'api', title, fields, apiRequests })
      response.once('finish', () => {
        const { statusCode: status } = response
        this.#see({ kind: 'response', from: 'api', to: 'gateway', title: '', status, fields: {} })
      })
    })
  }

  /** A call of the gateway's own, and what is told of its answer. */
  #watchGateway(
    request: IncomingMessage,
    response: ServerResponse,
    { title, sent, gives }: { title: string; sent: () => string; gives: string },
  ): void {
    const answered = collectAnswer(response)
    const begun = Date.now()
    const { authorization = '' } = request.headers
    response.once('finish', () => {
      const fields = maskedFields([['authorization', authorization], ...new URLSearchParams(sent())])
      this.#see({ at: begun, kind: 'request', from: 'gateway', to: 'provider', title, fields })
      const answer = jsonOf(answered())
      if (typeof answer.access_token === 'string') this.lastProviderToken = answer.access_token
      const { statusCode: status } = response
      const heard = maskedFields(answer)
      this.#see({
        kind: 'response',
        from: 'provider',
        to: 'gateway',
        title: status < 400 ? gives : '',
        status,
        fields: heard,
      })
    })
  }

  #see(seen: Seen): void {
    const at = Date.now()
    if (this.#trail) {
      this.#trail.push({ at, ...seen, seq: 0 })
      return
    }
    this.#seq += 1
    const sighting = { at, ...seen, seq: this.#seq }
    this.#kept.push(sighting)
    if (this.#kept.length > KEPT_MAX) this.#kept.shift()
    for (const listener of this.#listeners) listener(sighting)
  }
}

/** What arrives of a body, without reading it: its reader is the provider. */
function collect(request: IncomingMessage): () => string {
  const pieces: Buffer[] = []
  const push = request.push.bind(request)
  request.push = (piece: Buffer | null, encoding?: BufferEncoding) => {
    if (piece !== null) pieces.push(piece)
    return push(piece, encoding)
  }
  return () => Buffer.concat(pieces).toString()
}

/** What goes out in the one piece that the provider ends its answers with. */
function collectAnswer(response: ServerResponse): () => string {
  let text = ''
  const end = response.end.bind(response) as (...rest: unknown[]) => ServerResponse
  response.end = (...rest: unknown[]) => {
    if (typeof rest[0] === 'string' || Buffer.isBuffer(rest[0])) text = String(rest[0])
    return end(...rest)
  }
  return () => text
}

function jsonOf(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}
