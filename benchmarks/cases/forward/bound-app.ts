import { constants, generateKeyPairSync, hash, type KeyObject, randomUUID, sign } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { request } from 'undici'
import { codeForm, obtainCodes } from '../../servers/app.ts'

export type ProofAlgorithm = 'ES256' | 'PS256'

const LOOK_MS = 100

/** An app whose access token is bound to a key of its own (RFC 9449). */
export class BoundApp {
  readonly #alg: ProofAlgorithm
  readonly #key: KeyObject
  /** The first segment of its proofs. */
  readonly #header: string
  #nonce: string | undefined
  #accessToken = ''

  constructor(alg: ProofAlgorithm) {
    const { privateKey, publicKey } =
      alg === 'ES256'
        ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
        : generateKeyPairSync('rsa', { modulusLength: 2048 })
    this.#alg = alg
    this.#key = privateKey
    this.#header = encode({ typ: 'dpop+jwt', alg, jwk: publicKey.export({ format: 'jwk' }) })
  }

  /** A whole login. @throws Error when an answer is not as expected. */
  static async signIn(port: number, alg: ProofAlgorithm): Promise<BoundApp> {
    const app = new BoundApp(alg)
    const [code = ''] = await obtainCodes(port, 1)
    // The first answer gives the nonce.
    await app.#redeem(port, code)
    const { access_token, token_type } = await app.#redeem(port, code)
    if (access_token === undefined || token_type !== 'DPoP')
      throw new Error(`no bound token but ${token_type}`)
    app.#accessToken = access_token
    return app
  }

  /** Until there is a nonce that has all of its life before it. */
  async waitForNonce(port: number): Promise<void> {
    const before = this.#nonce
    while (this.#nonce === before) {
      await pause(LOOK_MS)
      const headers = { authorization: `DPoP ${this.#accessToken}` }
      const answer = await request(`http://127.0.0.1:${port}/api/small`, { headers })
      await answer.body.dump()
      this.#keepNonce(answer.headers)
    }
  }

  /** Of one request: its proof is a new one. */
  headers(port: number, method: string, path: string): { authorization: string; dpop: string } {
    const ath = hash('sha256', this.#accessToken, 'base64url')
    return { authorization: `DPoP ${this.#accessToken}`, dpop: this.#prove(port, method, path, { ath }) }
  }

  async #redeem(port: number, code: string): Promise<{ access_token?: string; token_type?: string }> {
    const answer = await request(`http://127.0.0.1:${port}/oauth2/token`, {
      method: 'POST',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        dpop: this.#prove(port, 'POST', '/oauth2/token'),
      },
      body: codeForm(code),
    })
    this.#keepNonce(answer.headers)
    return (await answer.body.json()) as { access_token?: string }
  }

  #keepNonce({ 'dpop-nonce': nonce }: Record<string, string | string[] | undefined>): void {
    if (typeof nonce === 'string') this.#nonce = nonce
  }

  #prove(port: number, htm: string, path: string, more: object = {}): string {
    const iat = Math.floor(Date.now() / 1000)
    const htu = `http://127.0.0.1:${port}${path}`
    const claims = { jti: randomUUID(), htm, htu, iat, nonce: this.#nonce, ...more }
    const signed = `${this.#header}.${encode(claims)}`
    const options =
      this.#alg === 'ES256'
        ? { dsaEncoding: 'ieee-p1363' as const }
        : { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }
    return `${signed}.${sign('sha256', Buffer.from(signed), { key: this.#key, ...options }).toString('base64url')}`
  }
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
