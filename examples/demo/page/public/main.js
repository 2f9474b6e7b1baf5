// @ts-check
import { ATTACKS, runAttack } from './attacks.js'
import { Diagram, element } from './diagram.js'
import { Recorder } from './record.js'
import { Session } from './session.js'

/** @typedef {import('./record.js').Verdict} Verdict */

const record = new Recorder()
const session = new Session(record)
const diagram = new Diagram(part('runs'))
const said = part('said')
const buttons = {
  signIn: /** @type {HTMLButtonElement} */ (part('sign-in')),
  call: /** @type {HTMLButtonElement} */ (part('call')),
  refresh: /** @type {HTMLButtonElement} */ (part('refresh')),
  revoke: /** @type {HTMLButtonElement} */ (part('revoke')),
}
let isBusy = false

record.addEventListener('run', (event) => {
  const run = /** @type {CustomEvent<import('./record.js').Run>} */ (event).detail
  diagram.begin(run)
  part('empty').hidden = true
  showDiagram()
})
record.addEventListener('step', (event) => {
  const { run, step } = /** @type {CustomEvent} */ (event).detail
  diagram.add(run, step)
})
record.addEventListener('count', (event) => {
  part('count').textContent = String(/** @type {CustomEvent<number>} */ (event).detail)
})

for (const run of record.runs.toReversed()) diagram.begin(run)
part('empty').hidden = record.runs.length > 0
const attackButtons = [...ATTACKS.map(attackItem), /** @type {HTMLButtonElement} */ (part('attack-all'))]
part('attack-all').addEventListener('click', runAll)
buttons.signIn.addEventListener('click', () => act(() => session.begin()))
buttons.call.addEventListener('click', () => act(() => session.call()))
buttons.refresh.addEventListener('click', () => act(() => session.refresh()))
buttons.revoke.addEventListener('click', () => act(() => session.revoke()))
// A page that the browser has kept is as it was left: on its way.
addEventListener('pageshow', ({ persisted }) => persisted && location.reload())
await start()

async function start() {
  const login = Session.takeLogin()
  const isBack = login !== undefined && record.resume(login.id) !== undefined
  if (login && !isBack) record.begin('Sign in')
  record.isAway = isBack
  const { gateway, provider, api } = await record.listen(isBack ? login?.from : undefined)
  part('gateway-at').textContent = `:${new URL(gateway).port}`
  part('provider-at').textContent = `:${new URL(provider).port}`
  part('api-at').textContent = `:${new URL(api).port}`
  showSession()
  if (login === undefined) return setBusy(false)
  await record.settle()
  record.isAway = false
  await act(() => session.finish(login))
}

/** One thing after the other: what is drawn meanwhile is of this one. @param {() => Promise<Verdict | void>} work */
async function act(work) {
  if (isBusy) return
  setBusy(true)
  /** @type {Verdict | void} */
  let verdict
  try {
    verdict = await work()
    // The page is left: the run goes on when it is back.
    if (verdict === undefined) return
    await record.settle()
  } catch (error) {
    verdict = {
      outcome: 'undecided',
      text: `Not finished: ${error instanceof Error ? error.message : error}`,
    }
  }
  const run = record.current
  record.end(verdict)
  await diagram.drawn()
  if (run) diagram.tellVerdict(run)
  said.textContent = `${run?.title}. ${verdict.text}. ${run?.steps.length} steps are on the diagram.`
  setBusy(false)
  showSession()
  return verdict
}

/** The focus stays where it is. @param {boolean} busy */
function setBusy(busy) {
  isBusy = busy
  document.body.dataset.busy = String(busy)
  for (const button of [...Object.values(buttons), ...attackButtons]) {
    button.setAttribute('aria-disabled', String(busy))
  }
}

function showSession() {
  const { state, subject, expiresIn, shown } = session
  const words = { out: 'Signed out', in: `Signed in as ${subject}`, revoked: 'Revoked' }
  part('state').textContent = words[state]
  part('state').dataset.state = state
  part('access').textContent = shown.access || 'none'
  part('refresh-token').textContent = shown.refresh || 'none'
  part('life').textContent = state === 'in' ? `${Math.round(expiresIn / 60)} minutes` : 'over'
  part('tokens').hidden = state === 'out'
  part('no-tokens').hidden = state !== 'out'
  buttons.signIn.textContent = state === 'out' ? 'Sign in' : 'Sign in again'
  buttons.refresh.disabled = state === 'out'
  buttons.revoke.disabled = state !== 'in'
  const next = nextStep()
  for (const [name, button] of Object.entries(buttons)) {
    button.classList.toggle('is-next', name === next)
  }
}

/** What a person who walks through it would do now. */
function nextStep() {
  const { state, hasCalled, hasRefreshed, wasRefused } = session
  if (state === 'out') return 'signIn'
  if (state === 'revoked') return wasRefused ? 'signIn' : 'call'
  if (!hasCalled) return 'call'
  return hasRefreshed ? 'revoke' : 'refresh'
}

/** @param {(typeof ATTACKS)[number]} attack */
function attackItem(attack) {
  const verdict = element('p', { className: 'verdict', id: `verdict-${attack.id}` })
  const button = element('button', { type: 'button', id: attack.id, textContent: 'Attack' })
  button.setAttribute('aria-labelledby', `${attack.id} title-${attack.id}`)
  button.addEventListener('click', () => runShown(attack))
  const title = element('h3', { id: `title-${attack.id}`, textContent: attack.title })
  const text = element('div', {}, title, element('p', { textContent: attack.text }))
  part('attacks').append(element('li', {}, text, button, verdict))
  return button
}

/** @param {(typeof ATTACKS)[number]} attack */
async function runShown(attack) {
  const told = await act(() => runAttack(record, attack))
  const verdict = part(`verdict-${attack.id}`)
  if (!told) return
  verdict.dataset.outcome = told.outcome
  verdict.textContent = told.text
}

async function runAll() {
  for (const attack of ATTACKS) await runShown(attack)
}

/** Where the diagram is below the buttons, it is what happens now. */
function showDiagram() {
  if (matchMedia('(min-width: 62rem)').matches) return
  const isStill = matchMedia('(prefers-reduced-motion: reduce)').matches
  part('diagram').scrollIntoView({ behavior: isStill ? 'auto' : 'smooth' })
}

/** @param {string} id */
function part(id) {
  return /** @type {HTMLElement} */ (document.getElementById(id))
}
