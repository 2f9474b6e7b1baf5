/** A provider that rotates its refresh tokens, remembers whom each of its codes and tokens is for, and has moods. */
import { randomBytes } from 'node:crypto'
import { json, type ReceivedRequest, type StubProvider, startStubProvider } from '../support/stub-provider.ts'
import { type Mood, PROVIDER_SECONDS } from './requests.ts'

/** What the provider knows of a login. */
export interface SignIn {
  readonly subject: string
  readonly nonce: string | null
}

export interface ModelProvider {
  readonly stub: StubProvider
  /** For the next requests at the token endpoint. */
  mood: Mood
  /** Number of the key that signs now. */
  readonly key: number
  /** Codes that it has exchanged. */
  readonly exchanges: number
  /** Signs with a new key from now on, and publishes that alone. */
  rotateKey(): Promise<void>
  /** Somebody has signed in. @returns the provider's code. */
  signIn(signIn: SignIn): string
  /** The logins of before are of no interest any more. */
  forget(): void
  /** An instance has died: what the provider has told it may be lost, and an old refresh token come again. */
  excuse(): void
  /** No request is with it. */
  readonly isIdle: boolean
  /** Refuses connections until the returned function is called. */
  leave(): Promise<() => Promise<void>>
  /** What must never be asked of a provider, in words. */
  violations: string[]
  close(): Promise<void>
}

export async function startModelProvider(): Promise<ModelProvider> {
  const stub = await startStubProvider()
  /** By what is still good for it. */
  const signIns = new Map<string, SignIn>()
  const used = new Set<string>()
  let busy = 0
  let isExcused = false
  let exchanges = 0
  let key = 0

  const self: ModelProvider = {
    stub,
    mood: 'well',
    violations: [],
    get key() {
      return key
    },
    get exchanges() {
      return exchanges
    },
    async rotateKey() {
      await stub.rotateKey()
      key += 1
    },
    signIn(signIn) {
      const code = `code-${randomBytes(12).toString('hex')}`
      signIns.set(code, signIn)
      return code
    },
    forget() {
      self.violations = []
      isExcused = false
      stub.requests.length = 0
      signIns.clear()
      used.clear()
    },
    excuse() {
      isExcused = true
    },
    get isIdle() {
      return busy === 0
    },
    async leave() {
      const comeBack = await stub.leave()
      // Clients must have heard that their connections are closed, or they send on one of them.
      await new Promise((resolve) => setTimeout(resolve, 5))
      return comeBack
    },
    close: () => stub.close(),
  }

  stub.behave.token = async (request, response) => {
    busy += 1
    response.on('close', () => {
      busy -= 1
    })
    const { mood } = self
    if (mood === 'failing') return json(response, 500, {})
    if (mood === 'at odds') return json(response, 401, { error: 'invalid_client' })
    const signIn = mood === 'refusing' ? undefined : take(request)
    if (!signIn) return json(response, 400, { error: 'invalid_grant' })
    const refresh_token = `refresh-${randomBytes(12).toString('hex')}`
    signIns.set(refresh_token, signIn)
    if (request.form.has('code')) exchanges += 1
    if (mood === 'cut') return response.destroy()
    return json(response, 200, {
      access_token: `access-${randomBytes(12).toString('hex')}`,
      refresh_token,
      token_type: 'Bearer',
      expires_in: PROVIDER_SECONDS,
      id_token: await idToken(request, signIn),
    })
  }
  stub.behave.revoke = ({ form }, response) => {
    signIns.delete(form.get('token') ?? '')
    return json(response, 200, {})
  }
  return self

  /** A code or a refresh token is good for one answer, and nobody asks again who has got it (C-15, D-06). */
  function take({ form }: ReceivedRequest): SignIn | undefined {
    const credential = form.get('code') ?? form.get('refresh_token') ?? ''
    if (used.has(credential) && (form.has('code') || !isExcused)) {
      self.violations.push(`a ${form.get('grant_type')} was presented twice at the provider`)
    }
    if (self.mood === 'cut') isExcused = true
    used.add(credential)
    const signIn = signIns.get(credential)
    signIns.delete(credential)
    return signIn
  }

  async function idToken({ form }: ReceivedRequest, { subject, nonce }: SignIn): Promise<string> {
    const isRefresh = form.has('refresh_token')
    const sub = self.mood === 'other subject' && isRefresh ? 'mallory' : subject
    const token = await stub.idToken({ sub, ...(!isRefresh && { nonce }) })
    if (self.mood !== 'unknown key') return token
    const header = Buffer.from(JSON.stringify({ alg: 'ES256', kid: 'unpublished' })).toString('base64url')
    return header + token.slice(token.indexOf('.'))
  }
}
