/**
 * A provider that does at each refresh what real ones do on bad days, and knows of each of its grants why it is dead:
 * so that an end of a session that has a reason can be told from one that has none.
 */

import { createHash, randomBytes } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { signInByCode } from '../../support/instances.ts'
import { json, type ReceivedRequest, type StubProvider } from '../../support/stub-provider.ts'
import { cards, Deck } from '../deck.ts'
import type { Ledger } from '../ledger.ts'
import { PROVIDER_ALONE_SECONDS, PROVIDER_SECONDS } from '../lifetimes.ts'
import { ProviderGrant, type Rotation } from './grant.ts'
import { AS_IT_SHOULD, MISBEHAVIOURS, type Misbehaviour } from './misbehaviours.ts'
import { SigningKeys } from './signing-keys.ts'

/** The gateway's client secret tells which instance is asking. */
export const secretOf = (instance: number) => `gateway-secret-${instance}`

const ROTATIONS = cards<Rotation>([6, 'strict'], [2, 'same'], [2, 'none'], [1, 'without refresh tokens'])

interface Issued {
  readonly access_token: string
  readonly refresh_token?: string
}

export class SoakProvider {
  /** Codes that were redeemed. */
  exchanges = 0
  readonly #stub: StubProvider
  readonly #ledger: Ledger
  readonly #keys: SigningKeys
  readonly #misbehaviours = new Deck(MISBEHAVIOURS)
  readonly #rotations = new Deck(ROTATIONS)
  readonly #spared = new Deck([true, false])
  readonly #byCode = new Map<string, ProviderGrant>()
  readonly #byRefreshToken = new Map<string, ProviderGrant>()
  /** Answers that are under way. */
  #answering = 0
  #isLeaving = false

  private constructor(stub: StubProvider, ledger: Ledger, keys: SigningKeys) {
    this.#stub = stub
    this.#ledger = ledger
    this.#keys = keys
    stub.behave.token = (request, response) => this.#answerOnce(request, response)
    stub.behave.revoke = (request, response) => this.#revoke(request, response)
    stub.behave.jwks = (_request, response) => keys.serve(response)
  }

  static async over(stub: StubProvider, ledger: Ledger): Promise<SoakProvider> {
    return new SoakProvider(stub, ledger, await SigningKeys.create(ledger))
  }

  /** A user signs in. @returns the redirect to the app, and the provider's side of what begins. */
  async signIn(
    publicUrl: string,
    authorizationUrl: URL,
    subject: string,
  ): Promise<{ redirect: URL; grant: ProviderGrant }> {
    const grant = new ProviderGrant(subject, this.#rotations.draw(), this.#spared.draw())
    const code = `code-${randomBytes(16).toString('hex')}`
    const redirect = await signInByCode(publicUrl, authorizationUrl, (asked) => {
      grant.nonce = asked.get('nonce') ?? undefined
      this.#byCode.set(code, grant)
      return code
    })
    return { redirect, grant }
  }

  /** Refuses connections for a while. What it has answered before, arrives. */
  async leave(ms: number): Promise<void> {
    this.#isLeaving = true
    do await pause(50)
    while (this.#answering > 0)
    const comeBack = await this.#stub.leave()
    await pause(ms)
    await comeBack()
    this.#isLeaving = false
  }

  async #answerOnce(request: ReceivedRequest, response: ServerResponse): Promise<void> {
    if (this.#isLeaving) return void response.destroy()
    this.#answering += 1
    response.once('close', () => {
      this.#answering -= 1
    })
    const { form } = request
    if (form.get('grant_type') === 'refresh_token') await this.#refresh(request, response)
    else await this.#redeem(form.get('code') ?? '', response)
  }

  async #redeem(code: string, response: ServerResponse): Promise<void> {
    const grant = this.#byCode.get(code)
    this.#byCode.delete(code)
    if (grant === undefined) {
      this.#ledger.violate("the provider's code was redeemed twice, or never issued")
      return json(response, 400, { error: 'invalid_grant' })
    }
    this.exchanges += 1
    const tokens = this.#issue(grant)
    if (tokens.refresh_token) this.#byRefreshToken.set(tokens.refresh_token, grant)
    json(response, 200, await this.#answer(grant, tokens, {}))
  }

  async #refresh(request: ReceivedRequest, response: ServerResponse): Promise<void> {
    const presented = request.form.get('refresh_token') ?? ''
    const instance = instanceOf(request)
    const grant = this.#byRefreshToken.get(presented)
    if (grant === undefined) {
      this.#ledger.violate(`instance ${instance} has presented a refresh token that was never issued`)
      return json(response, 400, { error: 'invalid_grant' })
    }
    const refusal = grant.refusalOf(presented, instance)
    if (refusal !== undefined) return send(response, refusal)
    if (!grant.begin(response)) this.#ledger.violate('two refreshes of one session at the provider (D-06)')

    const how = this.#misbehaviours.draw(
      ({ ends, keys }) => !(ends && grant.isSpared) && (keys === undefined || this.#keys.isAtRest),
    )
    grant.note(`${grant.nameOf(presented)} from instance ${instance}: ${how.name}`)
    if (how === AS_IT_SHOULD) this.#ledger.count(`provider: ${how.name}`)
    else response.once('close', this.#ledger.fault('provider', how.name))
    if (how.keys) await this.#keys.play(how.keys)
    if (how.ends) grant.end(how.ends, how.answer)
    if (how.answer === 'none') return
    if (how.answer === 'cut off') return void response.destroy()
    if (how.answer) return send(response, how.answer)

    const tokens = this.#issue(grant)
    const body = { ...(await this.#answer(grant, tokens, how)), ...how.members }
    // Nobody is there to hear it: then nothing has been issued.
    if (response.destroyed) return grant.note('the client has gone, and nothing was issued')
    if (tokens.refresh_token) this.#byRefreshToken.set(tokens.refresh_token, grant)
    grant.issued(presented, tokens.refresh_token, { instance, delayMs: how.delayMs ?? 0 })
    if (how.delayMs) await pause(how.delayMs)
    send(response, { status: 200, body: JSON.stringify(body) }, how.gzip)
  }

  #issue(grant: ProviderGrant): Issued {
    const { rotation, current } = grant
    const access_token = randomBytes(24).toString('hex')
    if (rotation === 'without refresh tokens') return { access_token }
    if (rotation === 'none' && current !== undefined) return { access_token }
    const refresh_token = (rotation === 'same' && current) || randomBytes(24).toString('hex')
    grant.current ??= refresh_token
    return { access_token, refresh_token }
  }

  async #answer(grant: ProviderGrant, tokens: Issued, how: Partial<Misbehaviour>): Promise<object> {
    const { subject, nonce, rotation } = grant
    const now = Math.floor(Date.now() / 1000) + (how.clockSeconds ?? 0)
    const claims = {
      iss: this.#stub.issuer,
      aud: 'gateway',
      sub: subject,
      email: `${subject}@example.com`,
      name: subject,
      iat: now,
      // Short, so that a clock that is behind makes a difference.
      exp: now + 20,
      at_hash: halfHash(tokens.access_token),
      ...(nonce !== undefined && { nonce }),
      ...how.claims,
    }
    return {
      ...tokens,
      token_type: 'Bearer',
      expires_in: rotation === 'without refresh tokens' ? PROVIDER_ALONE_SECONDS : PROVIDER_SECONDS,
      id_token: how.idToken ?? (await this.#keys.sign(claims)),
    }
  }

  /** RFC 7009: with a refresh token, whichever of the grant's, the grant ends. */
  #revoke(request: ReceivedRequest, response: ServerResponse): void {
    const grant = this.#byRefreshToken.get(request.form.get('token') ?? '')
    grant?.note(`${grant.nameOf(request.form.get('token')!)} revoked by instance ${instanceOf(request)}`)
    grant?.end('revoked')
    json(response, 200, {})
  }
}

/** By HTTP Basic (RFC 6749 §2.3.1). */
function instanceOf({ headers }: ReceivedRequest): number {
  const pair = Buffer.from(headers.authorization?.split(' ')[1] ?? '', 'base64').toString()
  return Number(/-(\d+)$/.exec(pair)?.[1])
}

function send(
  response: ServerResponse,
  answer: { status: number; contentType?: string; body: string },
  isGzip = false,
): void {
  const { status, contentType = 'application/json', body } = answer
  response.writeHead(status, { 'content-type': contentType, ...(isGzip && { 'content-encoding': 'gzip' }) })
  response.end(isGzip ? gzipSync(body) : body)
}

/** OIDC Core §3.1.3.6, of ES256. */
function halfHash(accessToken: string): string {
  return createHash('sha256').update(accessToken).digest().subarray(0, 16).toString('base64url')
}
