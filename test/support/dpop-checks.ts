/** Each check of RFC 9449 §4.3 and §7.1, broken alone. */
import { createHmac, hash, sign } from 'node:crypto'
import { ProofKeyPair, type ProofParts } from './dpop.ts'

/** A request with a bound token: where it goes, and what a good proof needs. */
export interface Proving {
  readonly key: ProofKeyPair
  readonly method: string
  readonly url: string
  readonly accessToken: string
  readonly nonce: string
}

/** What is sent in `DPoP`; several: as many headers. */
type Broken = (proving: Proving) => string | readonly string[] | undefined

const other = new ProofKeyPair()
const rsa = new ProofKeyPair('RS256')
const small = new ProofKeyPair('RS256', 1024)

const seconds = () => Math.floor(Date.now() / 1000)
const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

function proof({ key, method, url, accessToken, nonce }: Proving, parts: ProofParts = {}): string {
  return key.prove(method, url, { accessToken, nonce, ...parts })
}

/** A proof whose parts are changed after it was signed. */
function changed(
  proving: Proving,
  change: (segments: [string, string, string]) => readonly string[],
): string {
  return change(proof(proving).split('.') as [string, string, string]).join('.')
}

const header =
  (members: Record<string, unknown>): Broken =>
  (proving) =>
    proof(proving, { header: members })
const claims =
  (members: Record<string, unknown>): Broken =>
  (proving) =>
    proof(proving, { claims: members })

/** By what is wrong: 401 `invalid_dpop_proof`. */
export const BROKEN: Readonly<Record<string, Broken>> = {
  'no proof': () => undefined,
  'two proofs (1)': (proving) => [proof(proving), proof(proving)],
  'the same proof twice (1)': (proving) => {
    const one = proof(proving)
    return [one, one]
  },
  'two proofs in one header (1)': (proving) => `${proof(proving)}, ${proof(proving)}`,
  'an empty header (2)': () => '',
  'no JWT (2)': () => 'proof',
  'two segments (2)': (proving) => changed(proving, ([head, body]) => [head, body]),
  'four segments (2)': (proving) => changed(proving, (all) => [...all, 'AAAA']),
  'padding (2)': (proving) => changed(proving, ([head, body, signature]) => [head, body, `${signature}=`]),
  'a header that is no JSON (2)': (proving) =>
    changed(proving, ([, body, signature]) => ['AAAA', body, signature]),
  'a header that is null (2)': (proving) =>
    changed(proving, ([, body, signature]) => [encode(null), body, signature]),
  'claims that are no JSON (2)': (proving) =>
    changed(proving, ([head, , signature]) => [head, 'AAAA', signature]),
  'claims that are null (2)': (proving) =>
    changed(proving, ([head, , signature]) => [head, encode(null), signature]),
  'claims that are a list (2)': (proving) =>
    changed(proving, ([head, , signature]) => [head, encode([]), signature]),
  'longer than any proof (2)': claims({ more: 'x'.repeat(4096) }),
  'no jti (3)': claims({ jti: undefined }),
  'an empty jti (3)': claims({ jti: '' }),
  'a jti that is a number (3)': claims({ jti: 7 }),
  'a jti of 1000 characters (3)': claims({ jti: 'x'.repeat(1000) }),
  'no htm (3)': claims({ htm: undefined }),
  'no htu (3)': claims({ htu: undefined }),
  'no iat (3)': claims({ iat: undefined }),
  'an iat that is text (3)': claims({ iat: String(seconds()) }),
  'no typ (4)': header({ typ: undefined }),
  'typ: JWT (4)': header({ typ: 'JWT' }),
  'typ: at+jwt (4)': header({ typ: 'at+jwt' }),
  'no alg (5)': header({ alg: undefined }),
  'alg: none (5)': (proving) =>
    changed(proving, ([, body]) => [
      encode({ typ: 'dpop+jwt', alg: 'none', jwk: proving.key.jwk }),
      body,
      'AA',
    ]),
  'alg: HS256 (5)': (proving) => symmetric(proving),
  'alg: ES384 for a key of P-256 (5)': header({ alg: 'ES384' }),
  'alg: RS256 for a key of P-256 (5)': header({ alg: 'RS256' }),
  'alg: toString (5)': header({ alg: 'toString' }),
  'an unknown critical member (5)': header({ crit: ['x'], x: 1 }),
  'no jwk (6)': header({ jwk: undefined }),
  'a jwk that is text (6)': header({ jwk: 'key' }),
  'a jwk that is a list (6)': header({ jwk: [] }),
  'a kid in its place (6)': header({ jwk: undefined, kid: '1' }),
  'a private key (7)': (proving) =>
    proof(proving, { header: { jwk: proving.key.privateKey.export({ format: 'jwk' }) } }),
  'a jwk with a d that is null (7)': (proving) =>
    proof(proving, { header: { jwk: { ...proving.key.jwk, d: null } } }),
  'a point that is not on the curve (6)': (proving) =>
    proof(proving, { header: { jwk: { ...proving.key.jwk, x: proving.key.jwk.y } } }),
  'a curve that is another (6)': (proving) =>
    proof(proving, { header: { jwk: { ...proving.key.jwk, crv: 'secp256k1' } } }),
  'signed by another key (8)': (proving) => proof(proving, { signer: other.privateKey }),
  'an empty signature (8)': (proving) => changed(proving, ([head, body]) => [head, body, '']),
  'half a signature (8)': (proving) =>
    changed(proving, ([head, body, tail]) => [head, body, tail.slice(0, 43)]),
  'a signature of zeros (8)': (proving) =>
    changed(proving, ([head, body]) => [head, body, Buffer.alloc(64).toString('base64url')]),
  'a signature in DER (8)': (proving) =>
    changed(proving, ([head, body]) => [
      ...[head, body],
      sign('sha256', Buffer.from(`${head}.${body}`), proving.key.privateKey).toString('base64url'),
    ]),
  'claims that were changed afterwards (8)': (proving) =>
    changed(proving, ([head, body, signature]) => {
      const told = JSON.parse(Buffer.from(body, 'base64url').toString()) as object
      return [head, encode({ ...told, jti: 'another' }), signature]
    }),
  'another method (9)': claims({ htm: 'PATCH' }),
  'the method in small letters (9)': (proving) =>
    proof(proving, { claims: { htm: proving.method.toLowerCase() } }),
  'another path (10)': (proving) => proof(proving, { claims: { htu: `${proving.url}/1` } }),
  'a path with a slash more (10)': (proving) => proof(proving, { claims: { htu: `${proving.url}/` } }),
  'a path in other letters (10)': (proving) => proof(proving, { claims: { htu: proving.url.toUpperCase() } }),
  'another host (10)': (proving) =>
    proof(proving, { claims: { htu: `https://evil.example${new URL(proving.url).pathname}` } }),
  'another port (10)': (proving) => {
    const { hostname, pathname } = new URL(proving.url)
    return proof(proving, { claims: { htu: `https://${hostname}:444${pathname}` } })
  },
  'another scheme (10)': (proving) =>
    proof(proving, { claims: { htu: proving.url.replace(/^https?/, 'ws') } }),
  'a host with a user (10)': (proving) =>
    proof(proving, { claims: { htu: proving.url.replace('://', '://a@') } }),
  'the path alone (10)': (proving) => proof(proving, { claims: { htu: new URL(proving.url).pathname } }),
  'iat 61 s ago (12)': claims({ iat: seconds() - 62 }),
  'iat in a minute and more (12)': claims({ iat: seconds() + 120 }),
  'no ath (13a)': (proving) => proof(proving, { accessToken: undefined }),
  'ath of another token (13a)': (proving) => proof(proving, { accessToken: `${proving.accessToken}x` }),
  'ath in hex (13a)': (proving) =>
    proof(proving, { claims: { ath: hash('sha256', proving.accessToken, 'hex') } }),
  'another key, and all of it right (13b)': (proving) => proof({ ...proving, key: other }),
  'another key of RSA, and all of it right (13b)': (proving) => proof({ ...proving, key: rsa }),
  'a key of RSA that is too small (6)': (proving) => proof({ ...proving, key: small }),
}

/** By what is wrong: 401 `use_dpop_nonce`. */
export const WITHOUT_NONCE: Readonly<Record<string, Broken>> = {
  'no nonce (11)': (proving) => proof(proving, { claims: { nonce: undefined } }),
  'an empty nonce (11)': claims({ nonce: '' }),
  'a nonce that nobody gave out (11)': claims({ nonce: 'AAAAAAAAAAAAAAAAAAAAAA' }),
}

function symmetric({ method, url, accessToken, nonce }: Proving): string {
  const signed = `${encode({ typ: 'dpop+jwt', alg: 'HS256', jwk: { kty: 'oct', k: 'AAAA' } })}.${encode({
    ...{ jti: 'symmetric', htm: method, htu: url, iat: seconds(), nonce },
    ath: hash('sha256', accessToken, 'base64url'),
  })}`
  return `${signed}.${createHmac('sha256', Buffer.alloc(3)).update(signed).digest('base64url')}`
}
