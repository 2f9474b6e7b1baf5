/**
 * Whole logins through the gateway with every way to configure it: token modes, PKCE and client authentication
 * towards the provider, kinds of apps, kinds of requests; and what happens when the provider goes away between
 * two steps.
 */
import { createHash } from 'node:crypto'
import { exportJWK, generateKeyPair } from 'jose'
import * as oidc from 'openid-client'
import t, { type Test } from 'tap'
import type { GatewayInput } from '../../gateway/config/schemas/gateway.ts'
import { type GatewayStack, type StackOptions, startGatewayStack } from '../support/gateway-stack.ts'
import { lastingAdapter } from '../support/lasting-adapter.ts'
import { NativeApp, send } from '../support/native-app.ts'
import { type Exchange, recordTraffic } from '../support/traffic.ts'

const traffic = recordTraffic(t as unknown as Test)

/** The members that differ; the demo's configuration is the rest. */
interface Variant extends StackOptions {
  readonly tokens?: 'opaque' | 'relay'
  readonly provider?: NonNullable<StackOptions['provider']>
  readonly settings?: Partial<GatewayInput['provider']>
}

const SECRET = 'a:b%c+d'
const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
const signingKey = { ...(await exportJWK(privateKey)), kid: 'gateway-key', alg: 'ES256' }
const verifyingKey = { ...(await exportJWK(publicKey)), kid: 'gateway-key', alg: 'ES256', use: 'sig' }
const withoutPkce = { configuration: { pkce: { required: () => false } } }
const withoutOpenid = { scope: 'offline_access' }

function startVariant(t: Test, { tokens = 'opaque', settings = {}, ...options }: Variant) {
  return startGatewayStack(
    t,
    (config) => ({ ...config, tokens, provider: { ...config.provider, ...settings } }),
    options,
  )
}

/** What passed at a path of the provider, newest last. */
function atProvider({ provider }: GatewayStack, path: string): Exchange[] {
  return traffic.filter((exchange) => exchange.port === provider.port && exchange.path === path)
}

/** The newest token answer of the provider. */
function issued(stack: GatewayStack): { access_token: string; refresh_token: string; id_token?: string } {
  return JSON.parse(atProvider(stack, '/token').at(-1)!.answer)
}

/** What the API saw of the newest request. */
function seenByApi(stack: GatewayStack): Exchange {
  return traffic.findLast((exchange) => exchange.port === stack.api.port)!
}

/** Asks the provider, in the gateway's name, whether a token of its own is alive. */
async function aliveAtProvider(stack: GatewayStack, token: string, auth: oidc.ClientAuth): Promise<boolean> {
  const config = await oidc.discovery(new URL(stack.provider.issuer), 'gateway', undefined, auth, {
    execute: [oidc.allowInsecureRequests],
  })
  return (await oidc.tokenIntrospection(config, token)).active
}

/** The revocation at the provider is asynchronous: waits until it has been answered. */
async function revokedAtProvider(stack: GatewayStack): Promise<Exchange> {
  for (;;) {
    const revocation = atProvider(stack, '/token/revocation').find(({ status }) => status !== 0)
    if (revocation) return revocation
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** Login, API, refresh, API, revocation: what must hold in every variant. */
async function walk(t: Test, stack: GatewayStack, { tokens = 'opaque' }: Variant, auth: oidc.ClientAuth) {
  const app = new NativeApp(stack)
  const first = await app.login()
  const atFirst = issued(stack)
  t.equal(first.scope, 'orders.read')
  t.notOk('id_token' in first, 'no id_token: the gateway is no OpenID provider')
  t.match(first.refresh_token, /^pkr_/, 'the refresh token is ours in both modes')
  if (tokens === 'relay') t.equal(first.access_token, atFirst.access_token)
  else t.match(first.access_token, /^pka_/)

  t.equal((await app.call(first.access_token)).status, 200)
  t.equal(seenByApi(stack).headers.authorization, `Bearer ${atFirst.access_token}`, 'H-16')

  const second = (await app.refresh(first.refresh_token)).json as unknown as typeof first
  const atSecond = issued(stack)
  t.not(second.access_token, first.access_token)
  t.not(second.refresh_token, first.refresh_token, 'rotated (D-02)')
  t.equal(
    atProvider(stack, '/token').length,
    tokens === 'relay' ? 2 : 1,
    'the provider is asked only if needed',
  )
  t.equal((await app.call(second.access_token)).status, 200)
  t.equal(seenByApi(stack).headers.authorization, `Bearer ${atSecond.access_token}`)
  t.ok(await aliveAtProvider(stack, atSecond.refresh_token, auth))

  t.equal((await app.revoke(second.refresh_token)).text, '{}')
  t.equal((await app.call(second.access_token)).status, 401)
  t.equal((await app.call(first.access_token)).status, 401, 'all of the grant')
  t.equal((await revokedAtProvider(stack)).status, 200)
  t.notOk(await aliveAtProvider(stack, atSecond.refresh_token, auth), 'dead at the provider too (E-03)')
  t.notOk(await aliveAtProvider(stack, atSecond.access_token, auth))
}

t.test('client_secret_basic: id and secret are form-encoded (RFC 6749 §2.3.1, F-05)', async (t) => {
  const variant: Variant = { registration: { client_secret: SECRET }, settings: { clientSecret: SECRET } }
  const stack = await startVariant(t, variant)
  await walk(t, stack, variant, oidc.ClientSecretBasic(SECRET))
  const { headers, body } = atProvider(stack, '/token').at(-1)!
  const pair = Buffer.from(headers.authorization!.replace('Basic ', ''), 'base64').toString('latin1')
  const [id, secret] = pair.split(':').map((half) => new URLSearchParams(`v=${half}`).get('v'))
  t.equal(id, 'gateway')
  t.equal(secret, SECRET)
  t.notOk(body.includes('client_secret'), 'one method only')
})

t.test('client_secret_post, tokens relayed (RFC 6749 §2.3.1)', async (t) => {
  const variant: Variant = {
    tokens: 'relay',
    registration: { client_secret: SECRET, token_endpoint_auth_method: 'client_secret_post' },
    settings: { clientSecret: SECRET, clientAuthentication: 'client_secret_post' },
  }
  const stack = await startVariant(t, variant)
  await walk(t, stack, variant, oidc.ClientSecretPost(SECRET))
  const { headers, body } = atProvider(stack, '/token').at(-1)!
  t.equal(headers.authorization, undefined)
  t.equal(new URLSearchParams(body).get('client_secret'), SECRET)
})

t.test(
  'private_key_jwt: one assertion for each request, for the issuer alone (RFC 7523, F-05)',
  async (t) => {
    const variant: Variant = {
      tokens: 'relay',
      registration: {
        client_secret: undefined as unknown as string,
        token_endpoint_auth_method: 'private_key_jwt',
        token_endpoint_auth_signing_alg: 'ES256',
        jwks: { keys: [verifyingKey] },
      },
      settings: {
        clientSecret: undefined as unknown as string,
        clientAuthentication: 'private_key_jwt',
        privateKey: JSON.stringify(signingKey),
      },
    }
    const stack = await startVariant(t, variant)
    await walk(t, stack, variant, oidc.PrivateKeyJwt({ key: privateKey, kid: 'gateway-key' }))
    const assertions = [...atProvider(stack, '/token'), ...atProvider(stack, '/token/revocation')].map(
      ({ body }) => {
        const [, claims = ''] = new URLSearchParams(body).get('client_assertion')!.split('.')
        return JSON.parse(Buffer.from(claims, 'base64url').toString())
      },
    )
    for (const { aud, iss, sub } of assertions) {
      t.same({ aud, iss, sub }, { aud: stack.provider.issuer, iss: 'gateway', sub: 'gateway' })
    }
    t.equal(new Set(assertions.map(({ jti }) => jti)).size, 3, 'a jti of its own for each')
  },
)

const BASIC = oidc.ClientSecretBasic('gateway-secret')

for (const [pkce, tokens] of [
  ['own', 'relay'],
  ['relay', 'opaque'],
  ['relay', 'relay'],
  ['none', 'opaque'],
  ['none', 'relay'],
] as const) {
  t.test(`provider.pkce ${pkce}, tokens ${tokens} (RFC 7636, A-16)`, async (t) => {
    const variant: Variant = { tokens, settings: { pkce }, ...(pkce === 'none' && { provider: withoutPkce }) }
    const stack = await startVariant(t, variant)
    await walk(t, stack, variant, BASIC)

    const authorized = traffic.findLast(
      ({ port, path }) => port === stack.port && path === '/oauth2/authorize',
    )!
    const atApp = new URLSearchParams(authorized.target.split('?')[1])
    // oidc-provider offers PAR, so the browser carries a request_uri and nothing else.
    const sent = new URLSearchParams(atProvider(stack, '/request')[0]!.body)
    const exchanged = new URLSearchParams(atProvider(stack, '/token')[0]!.body)
    const verifier = exchanged.get('code_verifier')
    const challenge = sent.get('code_challenge')
    if (pkce === 'none') {
      t.equal(challenge, null)
      t.equal(verifier, null)
      return
    }
    t.equal(sent.get('code_challenge_method'), 'S256')
    t.equal(createHash('sha256').update(verifier!).digest('base64url'), challenge)
    if (pkce === 'relay') t.equal(challenge, atApp.get('code_challenge'))
    else t.not(challenge, atApp.get('code_challenge'))
  })
}

t.test('without openid there is no id_token, and each grant has a subject of its own', async (t) => {
  for (const tokens of ['opaque', 'relay'] as const) {
    await t.test(`tokens ${tokens}`, async (t) => {
      const variant: Variant = { tokens, settings: withoutOpenid }
      const stack = await startVariant(t, variant)
      await walk(t, stack, variant, BASIC)
      t.equal(issued(stack).id_token, undefined)
      const subjects = traffic
        .filter(({ port }) => port === stack.api.port)
        .map(({ headers }) => headers['x-auth-subject'])
      t.equal(new Set(subjects).size, 1, 'the same throughout the grant')
      t.match(subjects[0], /^grant:/)
    })
  }
})

t.test('a provider that rotates its refresh tokens: the newest is used each time (D-11)', async (t) => {
  const stack = await startVariant(t, {
    tokens: 'relay',
    provider: { configuration: { rotateRefreshToken: true } },
  })
  const app = new NativeApp(stack)
  let tokens = await app.login()
  const refreshTokens = [issued(stack).refresh_token]
  for (let round = 0; round < 3; round += 1) {
    tokens = (await app.refresh(tokens.refresh_token)).json as unknown as typeof tokens
    const sent = new URLSearchParams(atProvider(stack, '/token').at(-1)!.body)
    t.equal(sent.get('refresh_token'), refreshTokens.at(-1))
    refreshTokens.push(issued(stack).refresh_token)
    t.equal((await app.call(tokens.access_token)).status, 200)
  }
  t.equal(new Set(refreshTokens).size, 4)
})

const APP_SECRET = 's:e%c+ret'

t.test('two confidential apps and a public one, each with its own scopes (C-07, H-04)', async (t) => {
  const stack = await startGatewayStack(t, (config) => ({
    ...config,
    clients: [
      config.clients[0]!,
      {
        clientId: 'back office',
        clientSecret: APP_SECRET,
        authentication: 'client_secret_basic',
        redirectUris: ['https://office.example.com/callback'],
        scopes: ['orders.read', 'orders.write'],
      },
      {
        clientId: 'reports',
        clientSecret: APP_SECRET,
        authentication: 'client_secret_post',
        redirectUris: ['https://reports.example.com/callback'],
        scopes: ['reports.read'],
      },
    ],
    upstreams: [
      ...config.upstreams!,
      { ...config.upstreams![0]!, prefix: '/api/admin', scopes: ['orders.read', 'orders.write'] },
    ],
  }))
  const phone = new NativeApp(stack)
  const office = new NativeApp(stack, {
    clientId: 'back office',
    redirectUri: 'https://office.example.com/callback',
    secret: { method: 'basic', value: APP_SECRET },
  })
  const reports = new NativeApp(stack, {
    clientId: 'reports',
    redirectUri: 'https://reports.example.com/callback',
    secret: { method: 'post', value: APP_SECRET },
  })
  const phoneTokens = await phone.login()
  const officeTokens = await office.login({ scope: undefined }, 'bob')
  const reportTokens = await reports.login({ scope: 'reports.read' })

  await t.test('nothing requested is everything allowed, and the answer says so', async (t) => {
    t.equal(officeTokens.scope, 'orders.read orders.write')
  })

  await t.test('routes ask for their own scopes (RFC 6750 §3.1, H-06)', async (t) => {
    t.equal((await office.call(officeTokens.access_token, '/api/admin/users')).status, 200)
    t.equal(seenByApi(stack).headers['x-auth-subject'], 'bob')
    t.equal((await phone.call(phoneTokens.access_token, '/api/administrators')).status, 200, 'whole segments')
    const { requests } = stack.api
    const refused = await phone.call(phoneTokens.access_token, '/api/admin/users')
    t.equal(refused.status, 403)
    t.equal(
      refused.headers.get('www-authenticate'),
      `Bearer realm="${stack.publicUrl}", error="insufficient_scope", error_description="The access token lacks a required scope.", scope="orders.read orders.write", resource_metadata="${stack.publicUrl}/.well-known/oauth-protected-resource/api/admin"`,
    )
    t.equal((await reports.call(reportTokens.access_token)).status, 403)
    t.equal(stack.api.requests, requests)
  })

  await t.test('what a refresh narrows, its access token lacks (RFC 6749 §6, D-13)', async (t) => {
    const narrowed = (await office.refresh(officeTokens.refresh_token, { scope: 'orders.read' })).json
    t.equal((await office.call(String(narrowed.access_token), '/api/admin/users')).status, 403)
    t.equal((await office.call(String(narrowed.access_token))).status, 200)
    const widened = (await office.refresh(String(narrowed.refresh_token))).json
    t.equal(widened.scope, 'orders.read orders.write', 'the grant keeps the original')
  })

  await t.test("one app cannot use or end what is another's (D-01, E-02)", async (t) => {
    const stolen = await reports.refresh(phoneTokens.refresh_token)
    t.equal(stolen.status, 400)
    t.same(stolen.json.error, 'invalid_grant')
    t.equal((await reports.revoke(phoneTokens.refresh_token)).text, '{}')
    t.equal((await phone.call(phoneTokens.access_token)).status, 200)
    t.equal((await phone.refresh(phoneTokens.refresh_token)).status, 200)
  })

  await t.test('a confidential app authenticates at every step (C-07, D-01)', async (t) => {
    const impostor = new NativeApp(stack, { ...reports, secret: { method: 'post', value: 'guessed' } })
    const silent = new NativeApp(stack, { clientId: reports.clientId, redirectUri: reports.redirectUri })
    const other = new NativeApp(stack, { ...reports, secret: { method: 'basic', value: APP_SECRET } })
    for (const app of [impostor, silent, other]) {
      for (const answer of [
        await app.redeem({ code: 'pkc_', verifier: 'v'.repeat(43) }),
        await app.refresh(reportTokens.refresh_token),
        await app.revoke(reportTokens.refresh_token),
      ]) {
        t.equal(answer.status, 401)
        t.equal(answer.json.error, 'invalid_client')
        t.equal(answer.headers.get('www-authenticate'), `Basic realm="${stack.publicUrl}"`)
      }
    }
    t.equal((await reports.refresh(reportTokens.refresh_token)).status, 200)
  })
})

t.test('requests of every kind reach the API as they were sent, and say who sent them', async (t) => {
  const stack = await startGatewayStack(t, (config) => ({
    ...config,
    upstreams: [
      {
        ...config.upstreams![0]!,
        target: `${config.upstreams![0]!.target}/v1`,
        identityHeaders: { 'x-auth-subject': 'sub', 'x-auth-email': 'email', 'x-auth-phone': 'phone_number' },
      },
      ...config.upstreams!.slice(1),
    ],
  }))
  const app = new NativeApp(stack)
  const { access_token } = await app.login({}, 'älice')

  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
    await t.test(`${method} with a body (H-19)`, async (t) => {
      const body = JSON.stringify({ method, padding: 'x'.repeat(100_000) })
      const headers = { 'content-type': 'application/json', 'x-auth-subject': 'root', X_Auth_Subject: 'root' }
      const answer = await app.call(access_token, '/api/orders/7?a=b&c=%2F', { method, body, headers })
      t.equal(answer.status, 200)
      t.match(answer.json, { method, path: '/v1/orders/7?a=b&c=%2F', bodyBytes: body.length })
      const seen = seenByApi(stack)
      t.equal(seen.body, body)
      t.equal(
        seen.headers['x-auth-subject'],
        '%C3%A4lice',
        'the session, and not the client, says who (H-12)',
      )
      t.equal(seen.headers['x-auth-email'], '%C3%A4lice@example.com')
      t.equal(seen.headers['x-auth-phone'], undefined, 'an absent claim is an absent header')
      t.equal(seen.headers.x_auth_subject, undefined)
      t.equal(answer.headers.get('cache-control'), 'private, no-store', 'H-26')
    })
  }

  await t.test('HEAD goes where GET goes', async (t) => {
    const answer = await app.call(access_token, '/api/orders', { method: 'HEAD' })
    t.equal(answer.status, 200)
    t.equal(answer.text, '')
  })

  await t.test('a public route needs no session and passes no credential on (H-32)', async (t) => {
    t.match((await app.call(undefined, '/status')).json, { status: 'ok' })
    t.equal((await app.call(access_token, '/status')).status, 200)
    t.equal(seenByApi(stack).headers.authorization, undefined)
  })

  await t.test('userinfo says the same of the user (E-06)', async (t) => {
    const userinfo = await send(`${stack.publicUrl}/oauth2/userinfo`, {
      headers: { authorization: `Bearer ${access_token}` },
    })
    t.same(userinfo.json, { sub: 'älice', email: 'älice@example.com', name: 'Demo user älice' })
  })
})

t.test('the provider goes away and comes back between the steps (C-17, D-10, D-17)', async (t) => {
  for (const tokens of ['opaque', 'relay'] as const) {
    await t.test(`tokens ${tokens}`, async (t) => {
      const stack = await startVariant(t, {
        tokens,
        provider: { configuration: { adapter: lastingAdapter() } },
      })
      const app = new NativeApp(stack)
      const alive = await app.login()
      const { code, verifier } = await app.code()

      const start = await stack.stopProvider()
      t.equal((await app.call(alive.access_token)).status, 200, 'the API path never needs the provider')
      const lost = await app.redeem({ code, verifier })
      t.equal(lost.status, 503)
      t.equal(lost.json.error, 'temporarily_unavailable')
      t.ok(lost.headers.get('retry-after'))
      const refreshed = await app.refresh(alive.refresh_token)
      t.equal(refreshed.status, tokens === 'relay' ? 503 : 200, 'only a relayed token needs the provider')
      const { refresh_token } = { ...alive, ...(refreshed.status === 200 && refreshed.json) }

      await start()
      const again = await app.redeem({ code, verifier })
      t.equal(again.status, 200, 'a code that was never sent is not burnt')
      t.equal((await app.call(String(again.json.access_token))).status, 200)
      t.equal((await app.redeem({ code, verifier })).json.error, 'invalid_grant', 'and is used up now')
      t.equal((await app.refresh(refresh_token)).status, 200, 'a grant outlives the outage')
      t.equal((await app.call((await app.login()).access_token)).status, 200, 'and so does the gateway')
    })
  }
})

t.test('a provider that comes back without its memory ends the grants that need it (D-10)', async (t) => {
  const stack = await startVariant(t, { tokens: 'relay' })
  const app = new NativeApp(stack)
  const { access_token, refresh_token } = await app.login()
  const start = await stack.stopProvider()
  await start()
  const refused = await app.refresh(refresh_token)
  t.equal(refused.status, 400)
  t.equal(refused.json.error, 'invalid_grant')
  t.equal((await app.call(access_token)).status, 401)
  const ended = stack.events.find(({ event }) => event === 'session.ended')
  t.equal(ended?.reason, 'provider_refused_grant')
})
