// @ts-check
/**
 * @typedef {'app' | 'gateway' | 'provider' | 'api'} Party
 *
 * @typedef {object} Step One arrow or note of the diagram; nothing secret is in it.
 * @property {number} at milliseconds since 1970
 * @property {'request' | 'response' | 'note'} kind
 * @property {Party} from
 * @property {Party} to
 * @property {string} title
 * @property {Record<string, string>} fields
 * @property {number} [status]
 * @property {string} [reason] of a note: why something was refused or ended
 * @property {'passed' | 'refused'} [tone]
 * @property {number} [seq] of what the servers saw
 *
 * @typedef {object} Run What one button did.
 * @property {string} id
 * @property {string} title
 * @property {Step[]} steps
 * @property {Verdict} [verdict]
 *
 * @typedef {object} Verdict
 * @property {'refused' | 'succeeded' | 'undecided' | 'done'} outcome
 * @property {string} text
 */

const KEY = 'demo.runs'
const RUNS_MAX = 12
/** The stream is broken if it has not come by then. */
const SETTLE_MS = 5000

/**
 * All that was drawn, in this tab: a login leaves the page and comes back. Requests and answers of the page come from
 * the page; what the gateway, the provider and the API saw comes from them, by an event stream.
 */
export class Recorder extends EventTarget {
  /** The newest first. @type {Run[]} */
  runs
  /** @type {Run | undefined} */
  current
  apiRequests = 0
  /** What the browser did while this page was left is told, too. */
  isAway = false
  #boot = ''
  #lastSeq = 0

  constructor() {
    super()
    this.runs = JSON.parse(sessionStorage.getItem(KEY) ?? '[]')
  }

  /** @param {string} title */
  begin(title) {
    /** @type {Run} */
    const run = { id: crypto.randomUUID(), title, steps: [] }
    this.runs = [run, ...this.runs].slice(0, RUNS_MAX)
    this.current = run
    this.#tell('run', run)
    return run
  }

  /** Goes on with a run from before the page was left. @param {string} id */
  resume(id) {
    this.current = this.runs.find((run) => run.id === id)
    return this.current
  }

  /** @param {Omit<Step, 'at'> & { at?: number }} given */
  add(given) {
    const run = this.current
    if (run === undefined) return
    const step = { at: Date.now(), ...given }
    run.steps.push(step)
    this.#tell('step', { run, step })
  }

  /** @param {Verdict} verdict */
  end(verdict) {
    const run = this.current
    if (run === undefined) return
    run.verdict = verdict
    this.current = undefined
    this.#tell('verdict', run)
  }

  /** Why the gateway has refused, by its log: the first that it says after `since`. @param {number} since */
  async reasonAfter(since) {
    // It is logged before the answer is sent.
    await this.settle()
    return this.current?.steps.find(({ seq = 0, reason }) => seq > since && reason !== undefined)?.reason
  }

  /** Waits until all that has been seen up to now has arrived here. */
  async settle() {
    const { seq } = await (await fetch('/demo/state', { cache: 'no-store' })).json()
    const end = Date.now() + SETTLE_MS
    while (this.#lastSeq < seq && Date.now() < end) await pause(20)
  }

  /** What the page remembers of the stream, to go on where it was left. */
  get position() {
    return { boot: this.#boot, seq: this.#lastSeq }
  }

  /**
   * Listens to the servers. Resolves when they have said hello.
   *
   * @param {{ boot: string, seq: number } | undefined} from where to go on
   * @returns {Promise<{ gateway: string, provider: string, api: string }>}
   */
  listen(from) {
    const stream = new EventSource(`/demo/events${from === undefined ? '' : `?since=${from.seq}`}`)
    return new Promise((resolve) => {
      stream.addEventListener('message', ({ data }) => {
        const said = JSON.parse(data)
        if (said.hello) {
          const { hello } = said
          const isSame = hello.boot === (this.#boot || from?.boot)
          this.#lastSeq = isSame ? Math.max(from?.seq ?? 0, this.#lastSeq) : hello.seq
          this.#boot = hello.boot
          this.#count(hello.apiRequests)
          resolve(hello)
        } else this.#hear(said)
      })
    })
  }

  /** @param {Step & { seq: number, apiRequests?: number, isVisit?: boolean }} sighting */
  #hear(sighting) {
    if (sighting.seq <= this.#lastSeq) return
    this.#lastSeq = sighting.seq
    if (sighting.apiRequests !== undefined) this.#count(sighting.apiRequests)
    const { apiRequests: _, isVisit, ...step } = sighting
    if (isVisit && !this.isAway) return
    // Told before the page was left, and again when it was back.
    if (this.current?.steps.some(({ seq }) => seq === step.seq)) return
    this.add(step)
  }

  /** @param {number} requests */
  #count(requests) {
    this.apiRequests = requests
    this.#tell('count', requests)
  }

  /** @param {string} name @param {unknown} detail */
  #tell(name, detail) {
    sessionStorage.setItem(KEY, JSON.stringify(this.runs))
    this.dispatchEvent(new CustomEvent(name, { detail }))
  }
}

/** @param {number} milliseconds */
export function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}
