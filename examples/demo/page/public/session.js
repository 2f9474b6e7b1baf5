// @ts-check
import { mask, maskedFields } from './mask.js'
import * as oauth from './oauth.js'
import { send } from './wire.js'

/** @typedef {import('./record.js').Recorder} Recorder */
/** @typedef {import('./record.js').Verdict} Verdict */

const KEY = 'demo.login'

/**
 * The app's session. Tokens are in memory alone: a reload forgets them. What a login needs to come back to (verifier,
 * state) is in this tab's storage, and gone when it is back.
 */
export class Session extends EventTarget {
  /** @type {'out' | 'in' | 'revoked'} */
  state = 'out'
  subject = ''
  accessToken = ''
  refreshToken = ''
  expiresIn = 0
  /** The last call of the API was answered. */
  hasCalled = false
  hasRefreshed = false
  /** The API was called after the revocation. */
  wasRefused = false
  #record

  /** @param {Recorder} record */
  constructor(record) {
    super()
    this.#record = record
  }

  get shown() {
    return {
      access: this.accessToken && mask(this.accessToken),
      refresh: this.refreshToken && mask(this.refreshToken),
    }
  }

  /** Leaves the page for the gateway, and the gateway sends the browser on to the provider. */
  async begin() {
    const record = this.#record
    const { id } = record.begin('Sign in')
    const { authorization_endpoint: endpoint } = await oauth.discover(record)
    const { verifier, challenge } = await oauth.newProof()
    const state = oauth.newState()
    const url = oauth.authorizationUrl(endpoint, { challenge, state })
    const { pathname, searchParams } = new URL(url)
    const fields = maskedFields(searchParams)
    record.add({ kind: 'request', from: 'app', to: 'gateway', title: `GET ${pathname}`, fields })
    const login = { id, verifier, state, from: record.position }
    sessionStorage.setItem(KEY, JSON.stringify(login))
    location.assign(url)
  }

  /** What a login that has left this page needs to be finished; undefined: there is none. It is handed out once. */
  static takeLogin() {
    const { searchParams: answer } = new URL(location.href)
    const kept = sessionStorage.getItem(KEY)
    if (!answer.has('code') && !answer.has('error')) return undefined
    // Out of the address, the history and the storage: neither code nor verifier is needed again.
    history.replaceState(null, '', '/')
    sessionStorage.removeItem(KEY)
    if (kept === null) return undefined
    /** @type {{ id: string, verifier: string, state: string, from: { boot: string, seq: number } }} */
    const login = JSON.parse(kept)
    return { ...login, answer }
  }

  /**
   * The way back: checks the answer as an app must, and exchanges the code.
   *
   * @param {NonNullable<ReturnType<typeof Session.takeLogin>>} login @returns {Promise<Verdict>}
   */
  async finish({ verifier, state, answer }) {
    const record = this.#record
    record.add({
      ...{ kind: 'response', from: 'gateway', to: 'app', title: 'back at the app' },
      fields: maskedFields(answer),
    })
    const error = answer.get('error')
    if (error !== null) return { outcome: 'undecided', text: `The login ended with ${error}` }
    const isOurs = answer.get('state') === state && answer.get('iss') === location.origin
    record.add({
      ...{ kind: 'note', from: 'app', to: 'app', title: isOurs ? 'checked' : 'refused' },
      ...{ fields: { checked: 'state · iss' }, tone: isOurs ? 'passed' : 'refused' },
    })
    if (!isOurs) return { outcome: 'undecided', text: 'state or iss is not the one expected' }
    const { status, body } = await oauth.redeem(record, { code: answer.get('code') ?? '', verifier })
    if (status !== 200) return failed('The code was not exchanged', status)
    this.#take(body)
    const who = await send(record, {
      ...{ path: '/oauth2/userinfo', headers: oauth.bearer(this.accessToken) },
      gives: 'who signed in',
    })
    Object.assign(this, { state: 'in', subject: who.body.sub ?? '' })
    Object.assign(this, { hasCalled: false, hasRefreshed: false, wasRefused: false })
    return { outcome: 'done', text: `Signed in as ${this.subject}` }
  }

  /** @returns {Promise<Verdict>} */
  async call() {
    this.#record.begin('Call the API')
    const headers = this.accessToken === '' ? {} : oauth.bearer(this.accessToken)
    const { status, since, body } = await oauth.callApi(this.#record, headers)
    if (status === 200) {
      this.hasCalled = true
      return { outcome: 'done', text: `200, and the API was told who: ${body.headers?.['x-auth-subject']}` }
    }
    if (this.state === 'revoked') this.wasRefused = true
    const reason = await this.#record.reasonAfter(since)
    return { outcome: 'refused', text: `Refused: ${status} ${reason ?? ''}` }
  }

  /** @returns {Promise<Verdict>} */
  async refresh() {
    this.#record.begin('Refresh')
    const { status, since, body } = await oauth.refresh(this.#record, this.refreshToken)
    if (status === 200) {
      this.#take(body)
      this.hasRefreshed = true
      return { outcome: 'done', text: 'Both tokens are new' }
    }
    const reason = await this.#record.reasonAfter(since)
    return { outcome: 'refused', text: `Refused: ${status} ${reason ?? body.error ?? ''}` }
  }

  /** @returns {Promise<Verdict>} */
  async revoke() {
    this.#record.begin('Revoke')
    const { status } = await oauth.revoke(this.#record, this.refreshToken)
    if (status !== 200) return failed('Nothing was revoked', status)
    this.state = 'revoked'
    return { outcome: 'done', text: 'Revoked, and all that came with it' }
  }

  /** @param {Record<string, any>} tokens */
  #take(tokens) {
    this.accessToken = tokens.access_token
    this.refreshToken = tokens.refresh_token
    this.expiresIn = tokens.expires_in
  }
}

/** @param {string} what @param {number} status @returns {Verdict} */
function failed(what, status) {
  return { outcome: 'undecided', text: `${what}: ${status}` }
}
