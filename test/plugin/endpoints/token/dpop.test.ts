/** Tokens that are bound to a key: RFC 9449 §5 and §10, requirement O-01. */
import t, { type Test } from 'tap'
import { ProofKeyPair, type ProofParts } from '../../../support/dpop.ts'
import { eventsOf } from '../../../support/logged-in.ts'
import {
  type PluginApp,
  PUBLIC_URL,
  REDIRECT_URI,
  startPluginApp,
  VERIFIER,
} from '../../../support/plugin-app.ts'

const TOKEN_URL = `${PUBLIC_URL}/oauth2/token`
const basic = { authorization: `Basic ${Buffer.from('server:server-secret').toString('base64')}` }
const resource = { authorization: `Basic ${Buffer.from('api:api-secret').toString('base64')}` }

const client = { redirectUris: [REDIRECT_URI], scopes: ['orders.read'] }
const clients = [
  { ...client, clientId: 'app', dpop: 'allowed' as const },
  { ...client, clientId: 'strict', dpop: 'required' as const },
  { ...client, clientId: 'plain' },
  { ...client, clientId: 'repeating', dpop: 'allowed' as const, repeatableExchange: true },
  {
    ...{ ...client, clientId: 'server', dpop: 'allowed' as const },
    ...{ authentication: 'client_secret_basic' as const, clientSecret: 'server-secret' },
  },
]

async function setUp(t: Test) {
  const plugin = await startPluginApp(t, {
    clients,
    resourceServers: [{ clientId: 'api', clientSecret: 'api-secret' }],
  })
  let nonce: string | undefined
  /** A token request with a proof, and with the nonce that the server has said last. */
  const send = async (
    form: Record<string, string>,
    key: ProofKeyPair,
    parts: ProofParts = {},
    headers = {},
  ) => {
    const proof = key.prove('POST', TOKEN_URL, { nonce, ...parts })
    const response = await plugin.post('token', form, { dpop: proof, ...headers })
    nonce = String(response.headers['dpop-nonce'] ?? nonce)
    return response
  }
  const redeemForm = (code: string, clientId: string) => ({
    ...{ grant_type: 'authorization_code', code, redirect_uri: REDIRECT_URI, code_verifier: VERIFIER },
    ...(clientId !== 'server' && { client_id: clientId }),
  })
  const refreshForm = (refreshToken: string, clientId = 'app') => ({
    ...{ grant_type: 'refresh_token', refresh_token: refreshToken },
    ...(clientId !== 'server' && { client_id: clientId }),
  })
  const key = new ProofKeyPair()
  // The first proof of a client has no nonce.
  const asked = await send(redeemForm('pkc_none', 'app'), key)
  t.match(asked.json(), { error: 'use_dpop_nonce' })
  const codeFor = async (clientId: string, more = {}) =>
    (await plugin.code({ client_id: clientId, ...more })).code
  const bound = async (clientId = 'app', headers = {}) => {
    const response = await send(redeemForm(await codeFor(clientId), clientId), key, {}, headers)
    t.equal(response.statusCode, 200, response.body)
    t.equal(response.json().token_type, 'DPoP')
    return response.json() as { access_token: string; refresh_token: string }
  }
  return { plugin, key, send, redeemForm, refreshForm, codeFor, bound, nonce: () => nonce }
}

const introspect = async ({ post }: PluginApp, token: string) =>
  (await post('introspect', { token }, resource)).json()
const isAlive = async (plugin: PluginApp, token: string) =>
  (await introspect(plugin, token)).active as boolean

t.test(
  'a proof binds the access token to its key, and introspection tells (RFC 9449 §5, §6.2, O-01)',
  async (t) => {
    const { plugin, key, bound } = await setUp(t)
    const { access_token } = await bound()
    t.match(await introspect(plugin, access_token), {
      active: true,
      token_type: 'DPoP',
      cnf: { jkt: key.jkt },
    })
  },
)

t.test(
  'without a proof the token is a bearer token, where that is allowed (RFC 9449 §5, O-01)',
  async (t) => {
    const { plugin, codeFor, redeemForm } = await setUp(t)
    const response = await plugin.post('token', redeemForm(await codeFor('app'), 'app'))
    t.equal(response.statusCode, 200)
    t.equal(response.json().token_type, 'Bearer')
    t.equal(response.headers['dpop-nonce'], undefined)
    const told = await introspect(plugin, response.json().access_token)
    t.equal(told.token_type, 'Bearer')
    t.equal(told.cnf, undefined)
  },
)

t.test('dpop: off: whatever a client sends in DPoP and dpop_jkt binds nothing (O-01)', async (t) => {
  const { codeFor, redeemForm, send, key } = await setUp(t)
  const code = await codeFor('plain', { dpop_jkt: 'not even a thumbprint' })
  const response = await send(redeemForm(code, 'plain'), key, { claims: { htm: 'GET' } })
  t.equal(response.statusCode, 200)
  t.equal(response.json().token_type, 'Bearer')
})

t.test(
  'dpop: required, and no proof -> 400 invalid_dpop_proof, and the code can still be used (O-01)',
  async (t) => {
    const { plugin, codeFor, redeemForm, send, key } = await setUp(t)
    const code = await codeFor('strict')
    const refused = await plugin.post('token', redeemForm(code, 'strict'))
    t.equal(refused.statusCode, 400)
    t.equal(refused.json().error, 'invalid_dpop_proof')
    t.ok(refused.headers['dpop-nonce'], 'so that the first proof is right')
    const good = await send(redeemForm(code, 'strict'), key)
    t.equal(good.json().token_type, 'DPoP')
    const { refresh_token } = good.json()
    const unproved = await plugin.post('token', {
      ...{ grant_type: 'refresh_token', refresh_token },
      client_id: 'strict',
    })
    t.match([unproved.statusCode, unproved.json().error], [400, 'invalid_dpop_proof'])
  },
)

t.test('a wrong proof is refused before the code is looked at (RFC 9449 §5, O-01)', async (t) => {
  const { codeFor, redeemForm, send, key } = await setUp(t)
  const code = await codeFor('app')
  for (const [parts, error] of [
    [{ claims: { htm: 'GET' } }, 'invalid_dpop_proof'],
    [{ claims: { htu: `${PUBLIC_URL}/oauth2/par` } }, 'invalid_dpop_proof'],
    [{ signer: new ProofKeyPair().privateKey }, 'invalid_dpop_proof'],
    [{ nonce: 'AAAAAAAAAAAAAAAAAAAAAA' }, 'use_dpop_nonce'],
  ] as const) {
    const refused = await send(redeemForm(code, 'app'), key, parts)
    t.match([refused.statusCode, refused.json().error], [400, error], JSON.stringify(parts))
    t.ok(refused.headers['dpop-nonce'])
  }
  t.equal((await send(redeemForm(code, 'app'), key)).statusCode, 200)
})

t.test('one proof does not serve two token requests (RFC 9449 §11.1, O-03)', async (t) => {
  const { plugin, codeFor, redeemForm, key, nonce } = await setUp(t)
  const dpop = key.prove('POST', TOKEN_URL, { nonce: nonce() })
  const first = await plugin.post('token', redeemForm(await codeFor('app'), 'app'), { dpop })
  t.equal(first.statusCode, 200)
  const second = await plugin.post('token', redeemForm(await codeFor('app'), 'app'), { dpop })
  t.match([second.statusCode, second.json().error], [400, 'invalid_dpop_proof'])
})

t.test(
  'dpop_jkt binds the code: another key -> invalid_grant, and the login is over (RFC 9449 §10, O-01)',
  async (t) => {
    const { plugin, codeFor, redeemForm, send, key } = await setUp(t)
    const own = await send(redeemForm(await codeFor('app', { dpop_jkt: key.jkt }), 'app'), key)
    t.equal(own.statusCode, 200, own.body)

    const code = await codeFor('app', { dpop_jkt: key.jkt })
    const thief = await send(redeemForm(code, 'app'), new ProofKeyPair())
    t.match([thief.statusCode, thief.json().error], [400, 'invalid_grant'])
    t.match(plugin.events.at(-1), { event: 'code.mismatch', reason: 'code_key_mismatch' })
    t.equal(
      (await send(redeemForm(code, 'app'), key)).json().error,
      'invalid_grant',
      'a stolen code is a code no more',
    )

    const unproved = await plugin.post(
      'token',
      redeemForm(await codeFor('app', { dpop_jkt: key.jkt }), 'app'),
    )
    t.match([unproved.statusCode, unproved.json().error], [400, 'invalid_grant'])
  },
)

t.test('a used code with another key does not end the session (RFC 9449 §10, C-14, O-01)', async (t) => {
  const { plugin, codeFor, redeemForm, send, key } = await setUp(t)
  const code = await codeFor('app', { dpop_jkt: key.jkt })
  const { access_token } = (await send(redeemForm(code, 'app'), key)).json()
  plugin.store.advance(20)
  // The clock of the store is ahead now, and so is the nonce.
  await send(redeemForm(code, 'app'), new ProofKeyPair())
  const thief = await send(redeemForm(code, 'app'), new ProofKeyPair())
  t.equal(thief.json().error, 'invalid_grant')
  t.ok(await isAlive(plugin, access_token))
  t.equal((await send(redeemForm(code, 'app'), key)).json().error, 'invalid_grant')
  t.notOk(await isAlive(plugin, access_token), 'the app itself, or who has its key')
})

t.test('a dpop_jkt that is no thumbprint is told to the app (RFC 9449 §10, O-01)', async (t) => {
  const { plugin, key } = await setUp(t)
  for (const dpop_jkt of ['x', `${key.jkt}A`, key.jkt.replace(/.$/, '=')]) {
    const { location } = await plugin.authorize({ dpop_jkt })
    t.equal(new URL(location).searchParams.get('error'), 'invalid_request', dpop_jkt)
  }
})

t.test(
  'a proof at /par is as good as dpop_jkt, and must not contradict it (RFC 9449 §10.1, O-01)',
  async (t) => {
    const { plugin, redeemForm, send, key, nonce } = await setUp(t)
    const request = {
      ...{ client_id: 'app', redirect_uri: REDIRECT_URI, response_type: 'code' },
      ...{ code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM', code_challenge_method: 'S256' },
    }
    const push = (form: Record<string, string>, parts: ProofParts = {}) => {
      const dpop = key.prove('POST', `${PUBLIC_URL}/oauth2/par`, { nonce: nonce(), ...parts })
      return plugin.post('par', form, { dpop })
    }
    const asked = await push(request, { nonce: undefined })
    t.match([asked.statusCode, asked.json().error], [400, 'use_dpop_nonce'])
    t.equal(asked.headers['dpop-nonce'], nonce())
    const other = await push({ ...request, dpop_jkt: new ProofKeyPair().jkt })
    t.match([other.statusCode, other.json().error], [400, 'invalid_dpop_proof'])

    for (const pushed of [await push(request), await push({ ...request, dpop_jkt: key.jkt })]) {
      t.equal(pushed.statusCode, 201, pushed.body)
      const { request_uri } = pushed.json()
      const authorized = await plugin.authorize({
        ...{
          client_id: 'app',
          request_uri,
          redirect_uri: undefined,
          response_type: undefined,
          state: undefined,
        },
        ...{ code_challenge: undefined, code_challenge_method: undefined },
      })
      const { headers } = await plugin.callback(authorized)
      const code = new URL(String(headers.location)).searchParams.get('code')!
      const thief = await send(redeemForm(code, 'app'), new ProofKeyPair())
      t.equal(thief.json().error, 'invalid_grant')
    }
    const plain = await plugin.post('par', { ...request, client_id: 'strict' })
    t.equal(plain.statusCode, 201, 'a proof is demanded for tokens, not for requests')
  },
)

t.test(
  'a stolen refresh token of a public client is useless, and the session lives on (RFC 9449 §5, O-01)',
  async (t) => {
    const { plugin, send, refreshForm, key, bound } = await setUp(t)
    const { access_token, refresh_token } = await bound()
    const thief = await send(refreshForm(refresh_token), new ProofKeyPair())
    t.match([thief.statusCode, thief.json().error], [400, 'invalid_grant'])
    t.match(plugin.events.at(-1), {
      event: 'refresh.key_mismatch',
      reason: 'refresh_key_mismatch',
      clientId: 'app',
    })
    const bare = await plugin.refresh(refresh_token)
    t.match([bare.statusCode, bare.json().error], [400, 'invalid_grant'], 'without any proof')
    t.ok(await isAlive(plugin, access_token))

    const own = await send(refreshForm(refresh_token), key)
    t.equal(own.statusCode, 200, own.body)
    t.match(own.json(), { token_type: 'DPoP' })
    t.match(await introspect(plugin, own.json().access_token), { cnf: { jkt: key.jkt } })

    plugin.store.advance(20)
    await send(refreshForm(own.json().refresh_token), key, { nonce: undefined })
    const next = await send(refreshForm(own.json().refresh_token), key)
    t.equal(next.statusCode, 200, next.body)
    const old = await send(refreshForm(refresh_token), new ProofKeyPair())
    t.equal(old.json().error, 'invalid_grant', 'an old one is no reuse without the key')
    t.notOk(eventsOf(plugin).includes('refresh.reuse'))
    t.ok(await isAlive(plugin, next.json().access_token))
    const reused = await send(refreshForm(refresh_token), key)
    t.equal(reused.json().error, 'invalid_grant')
    t.notOk(await isAlive(plugin, next.json().access_token), 'with the key it is')
  },
)

t.test('an answer that was lost is given again, to the same key (D-05, O-01)', async (t) => {
  const { send, refreshForm, key, bound } = await setUp(t)
  const { refresh_token } = await bound()
  const first = (await send(refreshForm(refresh_token), key)).json()
  const again = (await send(refreshForm(refresh_token), key)).json()
  t.match(again, { access_token: first.access_token, token_type: 'DPoP' })
})

t.test(
  'a bearer session of a public client becomes bound with the first proof (RFC 9449 §5, O-01)',
  async (t) => {
    const { plugin, send, refreshForm, key } = await setUp(t)
    const { refresh_token } = await plugin.login()
    const refreshed = (await send(refreshForm(refresh_token), key)).json()
    t.equal(refreshed.token_type, 'DPoP')
    t.equal((await plugin.refresh(refreshed.refresh_token)).json().error, 'invalid_grant')
  },
)

t.test(
  'a confidential client may change its key: its secret binds the refresh token (RFC 9449 §5, O-01)',
  async (t) => {
    const { plugin, send, refreshForm, bound } = await setUp(t)
    const { refresh_token } = await bound('server', basic)
    const other = new ProofKeyPair()
    const refreshed = await send(refreshForm(refresh_token, 'server'), other, {}, basic)
    t.equal(refreshed.statusCode, 200, refreshed.body)
    t.match(await introspect(plugin, refreshed.json().access_token), { cnf: { jkt: other.jkt } })
    const third = await send(refreshForm(refresh_token, 'server'), new ProofKeyPair(), {}, basic)
    t.equal(third.json().error, 'invalid_grant', 'the same answer again is for the same key')
    t.ok(await isAlive(plugin, refreshed.json().access_token))
  },
)

t.test('repeatableExchange: the same code gets the same answer, for the same key (C-25, O-01)', async (t) => {
  const { codeFor, redeemForm, send, key } = await setUp(t)
  const code = await codeFor('repeating')
  const first = (await send(redeemForm(code, 'repeating'), key)).json()
  t.equal((await send(redeemForm(code, 'repeating'), new ProofKeyPair())).json().error, 'invalid_grant')
  const again = (await send(redeemForm(code, 'repeating'), key)).json()
  t.match(again, { access_token: first.access_token, token_type: 'DPoP' })
})

t.test(
  'the metadata tells the algorithms, where any client may use them (RFC 9449 §5.1, O-01)',
  async (t) => {
    const told = async (plugin: PluginApp) =>
      (await plugin.app.inject('/.well-known/oauth-authorization-server')).json()
        .dpop_signing_alg_values_supported
    t.same(await told((await setUp(t)).plugin), ['ES256', 'Ed25519', 'EdDSA', 'PS256', 'RS256'])
    t.equal(await told(await startPluginApp(t)), undefined)
  },
)

for (const alg of ['ES256', 'EdDSA', 'Ed25519', 'PS256', 'RS256']) {
  t.test(`${alg} (RFC 9449 §5.1, O-02)`, async (t) => {
    const { plugin, codeFor, redeemForm, send } = await setUp(t)
    const key = new ProofKeyPair(alg)
    const response = await send(redeemForm(await codeFor('app'), 'app'), key)
    t.equal(response.statusCode, 200, response.body)
    t.match(await introspect(plugin, response.json().access_token), { cnf: { jkt: key.jkt } })
  })
}
