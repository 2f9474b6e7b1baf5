// @ts-check
import { send } from './wire.js'

/** @typedef {import('./record.js').Recorder} Recorder */

export const CLIENT_ID = 'com.example.page'
export const REDIRECT_URI = `${location.origin}/`
const SCOPE = 'orders.read'

/**
 * The issuer's metadata, from its address alone (RFC 8414).
 *
 * @param {Recorder} record
 */
export async function discover(record) {
  const path = '/.well-known/oauth-authorization-server'
  const { body } = await send(record, { path, gives: 'metadata' })
  if (body.issuer !== location.origin) throw new Error(`the metadata is of ${body.issuer}`)
  return body
}

/** A secret of one login, and what may be told of it before (RFC 7636 §4.1, §4.2). */
export async function newProof() {
  const verifier = base64url(crypto.getRandomValues(new Uint8Array(32)))
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(verifier))
  return { verifier, challenge: base64url(new Uint8Array(digest)) }
}

export function newState() {
  return base64url(crypto.getRandomValues(new Uint8Array(16)))
}

/** @param {string} endpoint @param {{ challenge: string, state: string }} login */
export function authorizationUrl(endpoint, { challenge, state }) {
  return `${endpoint}?${new URLSearchParams({
    response_type: 'code',
    client_id: CLIENT_ID,
    redirect_uri: REDIRECT_URI,
    scope: SCOPE,
    state,
    code_challenge: challenge,
    code_challenge_method: 'S256',
  })}`
}

/** @param {Recorder} record @param {{ code: string, verifier: string }} proof */
export function redeem(record, { code, verifier }) {
  return send(record, {
    path: '/oauth2/token',
    form: {
      ...{ grant_type: 'authorization_code', client_id: CLIENT_ID, redirect_uri: REDIRECT_URI },
      ...{ code, code_verifier: verifier },
    },
    checked: 'code · client · redirect_uri · code_verifier',
    gives: 'tokens',
  })
}

/** @param {Recorder} record @param {string} token */
export function refresh(record, token) {
  return send(record, {
    path: '/oauth2/token',
    form: { grant_type: 'refresh_token', client_id: CLIENT_ID, refresh_token: token },
    checked: 'client · never used before',
    gives: 'new tokens',
  })
}

/** @param {Recorder} record @param {string} token */
export function revoke(record, token) {
  return send(record, { path: '/oauth2/revoke', form: { client_id: CLIENT_ID, token }, gives: 'revoked' })
}

/** @param {Recorder} record @param {Record<string, string>} [headers] */
export function callApi(record, headers = {}) {
  return send(record, {
    ...{ path: '/api/orders?limit=1', headers },
    checked: 'path · method · session · scopes · headers',
    gives: 'what the API answered',
  })
}

/** @param {string} token */
export function bearer(token) {
  return { authorization: `Bearer ${token}` }
}

/** @param {Uint8Array} bytes */
function base64url(bytes) {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '')
}
