/**
 * What the soak's provider does at a refresh: each entry is something that real providers, or what stands between
 * them and us, have done. None may lose a session but those that `end` it (D-09, D-10, D-11, D-14).
 */
import { cards } from '../deck.ts'
import type { KeyTrick } from './signing-keys.ts'

/** An answer that is not tokens. */
interface Answer {
  readonly status: number
  readonly contentType?: string
  readonly body: string
}

export interface Misbehaviour {
  readonly name: string
  /** The session must end, and the app be told so. */
  readonly ends?: 'refused' | 'another subject'
  /** Instead of tokens. The refresh token stays good, unless the entry `ends` the session. */
  readonly answer?: Answer | 'none' | 'cut off'
  readonly keys?: KeyTrick
  /** Laid over the claims of the id_token. */
  readonly claims?: Readonly<Record<string, unknown>>
  /** Of the provider's clock, added to the real one. */
  readonly clockSeconds?: number
  /** In place of a signed one. */
  readonly idToken?: string
  /** Laid over the answer's members. */
  readonly members?: Readonly<Record<string, unknown>>
  /** The tokens are issued at once, and the answer comes so much later. */
  readonly delayMs?: number
  readonly gzip?: boolean
}

export const AS_IT_SHOULD: Misbehaviour = { name: 'nothing strange' }

/** The session goes on. */
const SURVIVED: readonly Misbehaviour[] = [
  { name: 'the signing key has just been replaced', keys: 'replaced' },
  { name: 'a new signing key, and the key set answers 503', keys: 'down' },
  { name: 'a new signing key, and the key set does not answer', keys: 'silent' },
  { name: 'a new signing key, and the key set cuts connections', keys: 'cut off' },
  { name: 'a new signing key, and the key set is a stale copy', keys: 'stale' },
  { name: 'at_hash is null', claims: { at_hash: null } },
  { name: 'the clock is 90 s ahead', clockSeconds: 90 },
  { name: 'the clock is 90 s behind', clockSeconds: -90 },
  { name: 'the id_token is malformed', idToken: 'eyJhbGciOiJFUzI1NiJ9.e30' },
  { name: 'the id_token is no JWT', idToken: 'none' },
  { name: 'the id_token is null', members: { id_token: null } },
  { name: 'the id_token is a number', members: { id_token: 1 } },
  { name: 'the access token is missing', members: { access_token: null } },
  { name: 'a token type that nobody knows', members: { token_type: 'mac' } },
  { name: 'scope of a form that nobody knows', members: { scope: {} } },
  { name: 'an answer 500', answer: { status: 500, body: 'Internal Server Error' } },
  { name: 'an answer 503', answer: { status: 503, body: '{"error":"temporarily_unavailable"}' } },
  { name: 'an answer 429', answer: { status: 429, body: '{"error":"slow_down"}' } },
  { name: 'no answer', answer: 'none' },
  { name: 'a connection cut off', answer: 'cut off' },
  {
    name: 'a page that asks for patience',
    answer: { status: 400, contentType: 'text/html', body: '<html>' },
  },
  { name: 'an answer that is slow', delayMs: 600 },
  { name: 'an answer in gzip', gzip: true },
  { name: 'scope as a list', members: { scope: ['openid', 'email', null] } },
  { name: 'expires_in as text', members: { expires_in: '3' } },
]

const json = (error: string) => JSON.stringify({ error })

/** The session ends: the provider's own word about its refresh token, or the proof of another subject. */
const FATAL: readonly Misbehaviour[] = [
  ...[
    { status: 400, body: json('invalid_grant') },
    { status: 400, body: json('invalid_request') },
    { status: 400, body: json('invalid_token') },
    { status: 401, body: json('invalid_token') },
    { status: 403, body: json('access_denied') },
    { status: 400, body: json('bad_refresh_token') },
    { status: 200, body: json('invalid_refresh_token') },
    { status: 400, body: json('interaction_required') },
    { status: 400, contentType: 'text/plain', body: json('invalid_grant') },
  ].map((answer): Misbehaviour => {
    const { status, contentType = 'JSON', body } = answer
    return { name: `${status} ${body} as ${contentType}`, ends: 'refused', answer }
  }),
  { name: 'an id_token of another subject', ends: 'another subject', claims: { sub: 'somebody else' } },
]

/** What is drawn from, at each refresh: half of all is as it should be. */
export const MISBEHAVIOURS: readonly Misbehaviour[] = [
  ...SURVIVED,
  ...FATAL,
  ...cards([SURVIVED.length + FATAL.length, AS_IT_SHOULD], [4, SURVIVED.find(({ delayMs }) => delayMs)!]),
]
