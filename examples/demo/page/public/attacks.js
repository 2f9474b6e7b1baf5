// @ts-check
import { maskedFields } from './mask.js'
import * as oauth from './oauth.js'
import { send } from './wire.js'

/** @typedef {import('./record.js').Recorder} Recorder */
/** @typedef {import('./record.js').Verdict} Verdict */
/** @typedef {import('./wire.js').Answer} Answer */

/**
 * What a thief can do, and does here, by real requests of this page. Who is robbed signs in at the real provider in
 * another browser, which the demo's server plays. Each returns the answers that have to be refusals.
 *
 * @type {{ id: string, title: string, text: string, run: (record: Recorder) => Promise<Answer[]> }[]}
 */
export const ATTACKS = [
  {
    id: 'wrong-verifier',
    title: 'Wrong verifier',
    text: 'The code was intercepted. The thief guesses a verifier; after that, the right one comes too late.',
    async run(record) {
      const { code, verifier: right } = await victimSignsIn(record)
      const { verifier } = await oauth.newProof()
      const theft = await oauth.redeem(record, { code, verifier })
      return [theft, await oauth.redeem(record, { code, verifier: right })]
    },
  },
  {
    id: 'replayed-code',
    title: 'Replayed code',
    text: 'A code is redeemed, and sent a second time. The tokens of the first time end, too.',
    async run(record) {
      const stolen = await victimSignsIn(record)
      const first = await oauth.redeem(record, stolen)
      if (first.status !== 200) throw new Error(`the code was not exchanged: ${first.status}`)
      const second = await oauth.redeem(record, stolen)
      return [second, await oauth.callApi(record, oauth.bearer(first.body.access_token))]
    },
  },
  {
    id: 'other-browser',
    title: 'Stolen code, other browser',
    text: "The provider's code for somebody else's login is stolen, and opened in this browser.",
    async run(record) {
      const { redirectTo } = await walkOtherBrowser(record, 'callback')
      const { pathname, search } = new URL(redirectTo)
      return [await send(record, { path: pathname + search })]
    },
  },
  {
    id: 'provider-token',
    title: "Provider's token",
    text: "The provider's own, valid token has leaked. The thief uses it directly, in place of ours.",
    async run(record) {
      const first = await oauth.redeem(record, await victimSignsIn(record))
      if (first.status !== 200) throw new Error(`the code was not exchanged: ${first.status}`)
      const { providerToken } = await ask('/demo/provider-token', {})
      if (typeof providerToken !== 'string') throw new Error('no token of the provider was seen')
      return [await oauth.callApi(record, oauth.bearer(providerToken))]
    },
  },
  {
    id: 'spoofed-header',
    title: 'Spoofed identity header',
    text: 'No token. The request says itself what the gateway would tell the API: x-auth-subject.',
    async run(record) {
      return [await oauth.callApi(record, { 'x-auth-subject': 'victim' })]
    },
  },
]

/**
 * Runs one, and judges it by what was answered and by what the API has counted. Nothing else makes it a refusal.
 *
 * @param {Recorder} record @param {(typeof ATTACKS)[number]} attack @returns {Promise<Verdict>}
 */
export async function runAttack(record, attack) {
  record.begin(attack.title)
  const before = await apiRequests()
  const answers = await attack.run(record)
  const upstream = (await apiRequests()) - before
  const [first] = answers
  const success = answers.find(({ status }) => status < 400)
  const reason = (await record.reasonAfter(first?.since ?? 0)) ?? first?.body.error ?? ''
  const counted = `upstream requests: ${upstream}`
  if (upstream > 0 || success !== undefined) {
    return { outcome: 'succeeded', text: `NOT refused: ${(success ?? first)?.status}, ${counted}` }
  }
  // A limit or an outage proves nothing.
  const isRefusal = answers.every(({ status }) => status === 400 || status === 401)
  if (!isRefusal) return { outcome: 'undecided', text: `Undecided: ${first?.status}, ${counted}` }
  return { outcome: 'refused', text: `Refused: ${reason}, ${counted}` }
}

async function apiRequests() {
  const { apiRequests: count } = await (await fetch('/demo/state', { cache: 'no-store' })).json()
  return /** @type {number} */ (count)
}

/** @param {Recorder} record @returns {Promise<{ code: string, verifier: string }>} */
async function victimSignsIn(record) {
  const { redirectTo, verifier } = await walkOtherBrowser(record)
  const code = new URL(redirectTo).searchParams.get('code')
  if (code === null) throw new Error('the other browser came back without a code')
  return { code, verifier }
}

/**
 * @param {Recorder} record @param {string} [until] where it is stopped, before it opens that
 * @returns {Promise<{ redirectTo: string, verifier: string }>}
 */
async function walkOtherBrowser(record, until) {
  const { verifier, challenge } = await oauth.newProof()
  const endpoint = `${location.origin}/oauth2/authorize`
  const url = oauth.authorizationUrl(endpoint, { challenge, state: oauth.newState() })
  const at = Date.now()
  const { redirectTo, trail } = await ask('/demo/other-browser', { url, until })
  const { searchParams } = new URL(redirectTo)
  record.add({
    ...{ at, kind: 'request', from: 'app', to: 'provider', title: 'another browser signs in' },
    fields: {
      ...Object.fromEntries(trail.map(wayOf)),
      'stolen from it':
        until === undefined ? 'the code, at the app' : 'the address of the callback, unopened',
      ...maskedFields(searchParams),
    },
  })
  return { redirectTo, verifier }
}

/** @param {import('./record.js').Step} step @param {number} index @returns {[string, string]} */
function wayOf({ from, to, title, status }, index) {
  return [`${index + 1}. ${from} to ${to}`, [status, title].filter(Boolean).join(' ')]
}

/** @param {string} path @param {object} body */
async function ask(path, body) {
  const response = await fetch(path, {
    ...{ method: 'POST', headers: { 'content-type': 'application/json' } },
    body: JSON.stringify(body),
  })
  const answer = await response.json()
  if (!response.ok) throw new Error(answer.error)
  return answer
}
