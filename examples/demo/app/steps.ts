import { mask } from '../mask.ts'

/** Parameters and fields that are credentials, by their RFC names. */
const secret = new Set(['code', 'code_verifier', 'access_token', 'refresh_token', 'token', 'client_secret'])

/** What openid-client passes to a `customFetch`, in the terms of `fetch`. */
type RequestOptions = Omit<RequestInit, 'body'> & { body?: RequestInit['body'] | undefined }

/** RFC 6749 §5.2, or RFC 9457. */
type ErrorAnswer = Partial<Record<'error' | 'error_description' | 'title' | 'detail', string>>

/** Prints a walk through a protocol: numbered steps, each with its requests, checks and answers. */
export class Walk {
  readonly #print: (line: string) => void
  #steps = 0

  constructor(print: (line: string) => void) {
    this.#print = print
  }

  step(title: string): void {
    this.#steps += 1
    this.#print(`\n${String(this.#steps).padStart(2)}  ${title}`)
  }

  /** What is sent, what came back, or what happens out of sight. */
  note(text: string): void {
    this.#print(`    ${text}`)
  }

  /** The fields of an answer that matter, credentials masked. */
  show(fields: Readonly<Record<string, unknown>>): void {
    for (const [name, value] of Object.entries(fields)) this.note(`  ${name}: ${masked(name, value)}`)
  }

  /** @throws Error when `holds` is false: the walk ends there. */
  check(fact: string, holds: boolean): void {
    if (!holds) throw new Error(`not as expected: ${fact}`)
    this.note(`✓ ${fact}`)
  }

  /** A `fetch` that prints each request and the status of its answer. */
  readonly fetch = async (url: string, { body = null, ...init }: RequestOptions = {}): Promise<Response> => {
    this.note(`→ ${init.method ?? 'GET'} ${maskedUrl(url)}`)
    if (body instanceof URLSearchParams) this.show(Object.fromEntries(body))
    const authorization = new Headers(init.headers).get('authorization')
    if (authorization !== null) this.note(`  authorization: ${mask(authorization)}`)
    const response = await fetch(url, { ...init, body })
    this.note(`← ${response.status} ${response.statusText}`)
    const challenge = response.headers.get('www-authenticate')
    if (challenge !== null) this.show({ 'www-authenticate': challenge })
    if (!response.ok && response.headers.get('content-type')?.includes('json')) {
      const { error, error_description, title, detail } = (await response.clone().json()) as ErrorAnswer
      this.show(error === undefined ? { title, detail } : { error, error_description })
    }
    return response
  }
}

function masked(name: string, value: unknown): string {
  if (typeof value !== 'string') return JSON.stringify(value)
  return secret.has(name) ? mask(value) : value
}

/** The URL with the credentials in its query masked. */
export function maskedUrl(url: string): string {
  return url.replace(/([?&])([^=&]+)=([^&#]*)/g, (_, mark: string, name: string, value: string) => {
    return `${mark}${name}=${secret.has(name) ? mask(value) : value}`
  })
}
