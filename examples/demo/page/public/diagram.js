// @ts-check
/** @typedef {import('./record.js').Run} Run */
/** @typedef {import('./record.js').Step} Step */

const LANES = ['app', 'gateway', 'provider', 'api']
const NAMES = { app: 'App', gateway: 'Gateway', provider: 'Provider', api: 'API' }
/** Between two steps that appear, so that an eye can follow. */
const STEP_MS = 110
const SVG = 'http://www.w3.org/2000/svg'
/** Events of the audit trail that say no, and those that say yes. */
const NO = /refused|mismatch|replay|reuse|denied|error|failed|unreadable|unavailable/
const YES = /activated|refreshed/
/** Of steps in the same millisecond: what was asked comes before what was seen, and the answer after. */
const RANK = { request: 0, note: 1, response: 2 }

/** Draws runs as they happen: each step is a button that shows what was sent, answered or found. */
export class Diagram {
  #root
  #isStill = matchMedia('(prefers-reduced-motion: reduce)')
  /** The diagram has a place and a scroll bar of its own. */
  #isBeside = matchMedia('(min-width: 62rem)')
  /** @type {{ run: Run, step: Step }[]} */
  #waiting = []
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer
  /** @type {Map<string, { list: HTMLOListElement, verdict: HTMLElement, toggle: HTMLButtonElement }>} */
  #runs = new Map()
  #ids = 0

  /** @param {HTMLElement} root */
  constructor(root) {
    this.#root = root
  }

  /** A run that begins: on top, open, and the others closed. @param {Run} run */
  begin(run) {
    for (const { toggle } of this.#runs.values()) unfold(toggle, false)
    const list = element('ol', { className: 'steps', id: this.#newId() })
    const verdict = element('span', { className: 'verdict' })
    const name = element('span', { className: 'run-name', textContent: run.title })
    const toggle = element('button', { type: 'button', className: 'run-toggle' }, chevron(), name, verdict)
    toggle.setAttribute('aria-controls', list.id)
    toggle.addEventListener('click', () => unfold(toggle))
    const section = element('section', { className: 'run' }, element('h3', {}, toggle), list)
    this.#root.prepend(section)
    this.#root.parentElement?.scrollTo({ top: 0 })
    this.#runs.set(run.id, { list, verdict, toggle })
    unfold(toggle, true)
    this.#forgetOld()
    for (const step of run.steps) this.#draw(run, step, false)
    this.tellVerdict(run)
  }

  /** @param {Run} run @param {Step} step */
  add(run, step) {
    this.#waiting.push({ run, step })
    this.#waiting.sort((a, b) => inOrder(a.step, b.step))
    if (this.#isStill.matches) this.#drawNext()
    else this.#timer ??= setTimeout(() => this.#drawNext(), STEP_MS)
  }

  /** @param {Run} run */
  tellVerdict({ id, verdict }) {
    const shown = this.#runs.get(id)?.verdict
    if (shown === undefined || verdict === undefined) return
    shown.dataset.outcome = verdict.outcome
    shown.textContent = verdict.text
  }

  /** Resolves when all that is known has been drawn. */
  async drawn() {
    while (this.#waiting.length > 0) await new Promise((resolve) => setTimeout(resolve, STEP_MS / 2))
  }

  #drawNext() {
    this.#timer = undefined
    const next = this.#waiting.shift()
    if (next) this.#draw(next.run, next.step, !this.#isStill.matches)
    if (this.#waiting.length > 0) this.#timer = setTimeout(() => this.#drawNext(), STEP_MS)
  }

  /** @param {Run} run @param {Step} step @param {boolean} isNew */
  #draw(run, step, isNew) {
    const list = this.#runs.get(run.id)?.list
    if (list === undefined) return
    const item = this.#itemOf(step)
    if (isNew) item.classList.add('is-new')
    steps.set(item, step)
    const next = /** @type {HTMLLIElement[]} */ ([...list.children]).find(
      (other) => inOrder(step, /** @type {Step} */ (steps.get(other))) < 0,
    )
    list.insertBefore(item, next ?? null)
    if (isNew && this.#isBeside.matches) item.scrollIntoView({ block: 'nearest' })
  }

  /** @param {Step} step */
  #itemOf(step) {
    const { kind, from, to, title, status, fields, reason } = step
    const tone = toneOf(step)
    const words = element('span', { className: 'label' })
    if (status !== undefined)
      words.append(element('b', { textContent: status === 0 ? '302' : String(status) }), ' ')
    words.append(kind === 'note' ? noteText(title, reason, fields) : title)
    const way = kind === 'note' ? `${NAMES[from]} notes: ` : `${NAMES[from]} to ${NAMES[to]}: `
    const toggle = element(
      'button',
      { type: 'button', className: 'step' },
      element('span', { className: 'visually-hidden', textContent: way }),
      words,
      ...(kind === 'note' ? [] : [arrow(from, to, tone === 'refused')]),
      chevron(),
    )
    const details = detailsOf(step)
    details.id = this.#newId()
    toggle.setAttribute('aria-controls', details.id)
    toggle.addEventListener('click', () => unfold(toggle))
    const item = element('li', {}, toggle, details)
    const place = LANES.indexOf(from) + LANES.indexOf(to)
    Object.assign(item.dataset, {
      kind,
      tone,
      place: String(place),
      way: way.includes(' to ') ? directionOf(from, to) : '',
    })
    unfold(toggle, false)
    return item
  }

  #newId() {
    this.#ids += 1
    return `part-${this.#ids}`
  }

  /** The record keeps no more either. */
  #forgetOld() {
    while (this.#root.children.length > 12) this.#root.lastElementChild?.remove()
  }
}

/** @type {WeakMap<Element, Step>} */
const steps = new WeakMap()

/** @param {Step} a @param {Step} b */
function inOrder(a, b) {
  return a.at - b.at || RANK[a.kind] - RANK[b.kind] || (a.seq ?? 0) - (b.seq ?? 0)
}

/** @param {Step} step */
function toneOf({ tone, kind, title, status = 0 }) {
  if (tone !== undefined) return tone
  if (kind === 'note') return NO.test(title) ? 'refused' : YES.test(title) ? 'passed' : 'plain'
  return status >= 400 ? 'refused' : 'plain'
}

/** @param {string} title @param {string | undefined} reason @param {Record<string, string>} fields */
function noteText(title, reason, fields) {
  const why = reason ?? fields.checked
  // `code.verifier_mismatch: code_verifier_mismatch` says it twice.
  return why === undefined || title.replace('.', '_').endsWith(why) ? title : `${title}: ${why}`
}

/** @param {Step} step */
function detailsOf({ at, from, to, kind, fields, seq }) {
  const list = element('dl', { className: 'details' })
  const rows = [
    ...Object.entries(fields),
    ['seen by', seq === undefined ? 'this page' : seenBy(from, to, kind)],
    ['at', new Date(at).toISOString().slice(11, 23)],
  ]
  for (const [name = '', value = ''] of rows) {
    list.append(element('div', {}, element('dt', {}, name), element('dd', {}, value)))
  }
  return list
}

/** Who the demo's server has heard it from. @param {string} from @param {string} to @param {string} kind */
function seenBy(from, to, kind) {
  if (kind === 'note') return "the gateway's log"
  if ([from, to].includes('provider')) return 'the provider'
  return [from, to].includes('api') ? 'the API' : "the gateway's log"
}

/** @param {string} from @param {string} to */
function directionOf(from, to) {
  return LANES.indexOf(from) < LANES.indexOf(to) ? 'right' : 'left'
}

/** @param {string} lane */
function middleOf(lane) {
  return `${LANES.indexOf(lane) * 25 + 12.5}%`
}

/** A line from lane to lane, with its head; a cross where it was refused. @param {boolean} isRefused */
function arrow(/** @type {string} */ from, /** @type {string} */ to, isRefused) {
  const svg = document.createElementNS(SVG, 'svg')
  svg.setAttribute('class', 'arrow')
  svg.setAttribute('aria-hidden', 'true')
  const line = document.createElementNS(SVG, 'line')
  for (const [name, value] of [
    ['x1', middleOf(from)],
    ['x2', middleOf(to)],
    ['y1', '8'],
    ['y2', '8'],
  ]) {
    line.setAttribute(/** @type {string} */ (name), /** @type {string} */ (value))
  }
  const sign = directionOf(from, to) === 'right' ? -1 : 1
  const head = at(to, `M${sign * 8} 3L${sign * 1} 8L${sign * 8} 13`)
  svg.append(line, head)
  if (isRefused) svg.append(at(from, 'M-5 3L5 13M5 3L-5 13', 'cross'))
  return svg
}

/** A path whose origin is the middle of a lane. */
function at(/** @type {string} */ lane, /** @type {string} */ d, className = 'head') {
  const place = document.createElementNS(SVG, 'svg')
  place.setAttribute('x', middleOf(lane))
  place.setAttribute('overflow', 'visible')
  const path = document.createElementNS(SVG, 'path')
  path.setAttribute('d', d)
  path.setAttribute('class', className)
  place.append(path)
  return place
}

function chevron() {
  const svg = document.createElementNS(SVG, 'svg')
  svg.setAttribute('class', 'chevron')
  svg.setAttribute('viewBox', '0 0 16 16')
  svg.setAttribute('aria-hidden', 'true')
  const path = document.createElementNS(SVG, 'path')
  path.setAttribute('d', 'M6 3.5L10.5 8L6 12.5')
  svg.append(path)
  return svg
}

/** @param {HTMLButtonElement} toggle */
function unfold(toggle, isOpen = toggle.getAttribute('aria-expanded') !== 'true') {
  toggle.setAttribute('aria-expanded', String(isOpen))
  const part = toggle.closest('h3')?.nextElementSibling ?? toggle.nextElementSibling
  if (part instanceof HTMLElement) part.hidden = !isOpen
}

/**
 * @template {keyof HTMLElementTagNameMap} Name
 * @param {Name} name @param {Partial<HTMLElementTagNameMap[Name]>} properties @param {(Node | string)[]} children
 * @returns {HTMLElementTagNameMap[Name]}
 */
export function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties)
  made.append(...children)
  return made
}
