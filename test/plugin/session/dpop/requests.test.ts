/** Requests with a token that is bound to a key: RFC 9449 §4.3, §7, requirements O-02 and O-03. */
import t, { type Test } from 'tap'
import { ProofKeyPair, type ProofParts } from '../../../support/dpop.ts'
import { BROKEN, type Proving, WITHOUT_NONCE } from '../../../support/dpop-checks.ts'
import { REALM } from '../../../support/logged-in.ts'
import { refusal } from '../../../support/oauth-fixtures.ts'
import { PUBLIC_URL, REDIRECT_URI, startPluginApp, VERIFIER } from '../../../support/plugin-app.ts'

const clients = [
  { clientId: 'app', redirectUris: [REDIRECT_URI], scopes: ['orders.read'], dpop: 'allowed' as const },
]
const ALGS = 'algs="ES256 Ed25519 EdDSA PS256 RS256"'
const DPOP = 'DPoP realm="https://api.example.com"'

/** Which check refuses it: by the number in RFC 9449 §4.3. */
function reasonFor(name: string): RegExp {
  const number = /\((\w+)\)$/.exec(name)?.[1] ?? ''
  const others: Record<string, RegExp> = {
    '': /^dpop_proof_missing$/,
    1: /^dpop_proof_(?:repeated|malformed)$/,
    8: /^dpop_proof_(?:signature|malformed)$/,
    ...{ 9: /^dpop_proof_target$/, 10: /^dpop_proof_target$/, 12: /^dpop_proof_time$/ },
    ...{ '13a': /^dpop_proof_token$/, '13b': /^dpop_proof_key$/ },
  }
  return others[number] ?? /^dpop_proof_malformed$/
}

async function setUp(t: Test) {
  let handled = 0
  const plugin = await startPluginApp(
    t,
    { clients },
    {
      after: (app) => {
        const onRequest = app.pkce.requireSession()
        const handler = async (request: { pkceSession: { jkt: string | undefined } }) => {
          handled += 1
          return { jkt: request.pkceSession.jkt }
        }
        app.route({ method: ['GET', 'POST'], url: '/orders', onRequest, handler })
        app.get('/orders/*', { onRequest }, handler)
        app.get('/admin', { onRequest: app.pkce.requireSession({ scopes: ['admin'] }) }, handler)
      },
    },
  )
  const key = new ProofKeyPair()
  const url = `${PUBLIC_URL}/orders`
  const redeem = async (nonce?: string) => {
    const { code } = await plugin.code()
    const form = { grant_type: 'authorization_code', client_id: 'app', redirect_uri: REDIRECT_URI }
    const dpop = key.prove('POST', `${PUBLIC_URL}/oauth2/token`, { nonce })
    return plugin.post('token', { ...form, code, code_verifier: VERIFIER }, { dpop })
  }
  const asked = await redeem()
  const issued = await redeem(String(asked.headers['dpop-nonce']))
  const { access_token: accessToken } = issued.json() as { access_token: string }
  const nonce = String(issued.headers['dpop-nonce'])
  const send = (dpop: string | readonly string[] | undefined, path = '/orders', scheme = 'DPoP') =>
    plugin.app.inject({
      url: path,
      headers: {
        authorization: `${scheme} ${accessToken}`,
        ...(dpop !== undefined && { dpop: dpop as string }),
      },
    })
  const prove = (parts: ProofParts = {}, target = url) =>
    key.prove('GET', target, { accessToken, nonce, ...parts })
  const proving: Proving = { key, method: 'GET', url, accessToken, nonce }
  return { plugin, key, send, prove, proving, accessToken, nonce, handled: () => handled }
}

t.test(
  'one good proof, and the request passes, with the nonce for the next one (RFC 9449 §7.1, §8.2, O-02)',
  async (t) => {
    const { send, prove, key, nonce, handled } = await setUp(t)
    const response = await send(prove())
    t.equal(response.statusCode, 200, response.body)
    t.equal(response.json().jkt, key.jkt)
    t.equal(response.headers['dpop-nonce'], nonce)
    t.equal((await send(prove())).statusCode, 200, 'and another one')
    t.equal(handled(), 2)
  },
)

t.test('each check of RFC 9449 §4.3 broken one by one: 401, and no handler runs (O-02)', async (t) => {
  const { send, prove, proving, handled, plugin, nonce } = await setUp(t)
  for (const [name, broken] of Object.entries(BROKEN)) {
    const response = await send(broken(proving))
    t.equal(response.statusCode, 401, name)
    t.equal(
      response.headers['www-authenticate'],
      `${DPOP}, error="invalid_dpop_proof", error_description="The DPoP proof is missing or cannot be accepted.", ${ALGS}`,
      name,
    )
    t.equal(response.headers['dpop-nonce'], nonce, name)
    t.match(plugin.events.at(-1), { event: 'forward.denied', reason: reasonFor(name), clientId: 'app' }, name)
  }
  t.equal(handled(), 0)
  t.equal((await send(prove())).statusCode, 200, 'nothing was used up')
})

t.test('a proof without a nonce of ours gets one, and that is no denial (RFC 9449 §9, O-03)', async (t) => {
  const { send, prove, proving, handled, plugin, nonce } = await setUp(t)
  for (const [name, broken] of Object.entries(WITHOUT_NONCE)) {
    const response = await send(broken(proving))
    t.equal(response.statusCode, 401, name)
    t.equal(
      response.headers['www-authenticate'],
      `${DPOP}, error="use_dpop_nonce", error_description="The DPoP proof needs the nonce of DPoP-Nonce.", ${ALGS}`,
    )
    t.equal(response.headers['dpop-nonce'], nonce)
  }
  t.equal(handled(), 0)
  t.notOk(plugin.events.some(({ event }) => event === 'forward.denied'))
  t.equal((await send(prove())).statusCode, 200)
})

t.test(
  'htu is compared as RFC 3986 compares, without query and fragment (RFC 9449 §4.3, O-02)',
  async (t) => {
    const { send, prove } = await setUp(t)
    for (const [path, htu] of [
      ['/orders?page=2', `${PUBLIC_URL}/orders`],
      ['/orders', `${PUBLIC_URL}/orders?page=2#part`],
      ['/orders', 'HTTPS://API.Example.COM:443/orders'],
      ['/orders/%7ea', `${PUBLIC_URL}/orders/~a`],
      ['/orders/a%2fb', `${PUBLIC_URL}/orders/a%2Fb`],
      ['/orders', `${PUBLIC_URL}/x/../orders`],
    ] as const) {
      t.equal((await send(prove({}, htu), path)).statusCode, 200, `${path} ${htu}`)
    }
    for (const [path, htu] of [
      ['/orders/a%2fb', `${PUBLIC_URL}/orders/a/b`],
      ['/orders/%25', `${PUBLIC_URL}/orders/%`],
    ] as const) {
      t.equal((await send(prove({}, htu), path)).statusCode, 401, `${path} ${htu}`)
    }
  },
)

t.test('a stolen access token is useless: as Bearer it is 401 (RFC 9449 §7.2, O-02)', async (t) => {
  const { send, prove, handled, plugin } = await setUp(t)
  for (const dpop of [undefined, prove()]) {
    const response = await send(dpop, '/orders', 'Bearer')
    t.equal(response.statusCode, 401)
    t.match(response.headers['www-authenticate'], `${DPOP}, error="invalid_token"`)
    t.ok(response.headers['dpop-nonce'])
    t.match(plugin.events.at(-1), { event: 'forward.denied', reason: 'token_bound' })
  }
  t.equal(handled(), 0)
})

t.test('the scheme DPoP with a token that is bound to no key: 401 (RFC 9449 §7.1, O-02)', async (t) => {
  const { plugin, key, nonce, handled } = await setUp(t)
  const { access_token: accessToken } = await plugin.login()
  const dpop = key.prove('GET', `${PUBLIC_URL}/orders`, { accessToken, nonce })
  const response = await plugin.app.inject({
    url: '/orders',
    headers: { authorization: `DPoP ${accessToken}`, dpop },
  })
  t.equal(response.statusCode, 401)
  t.match(response.headers['www-authenticate'], `${REALM}, error="invalid_token"`)
  t.match(plugin.events.at(-1), { event: 'forward.denied', reason: 'token_not_bound' })
  t.equal(handled(), 0)
  t.equal(
    (await plugin.app.inject({ url: '/orders', headers: { authorization: `Bearer ${accessToken}`, dpop } }))
      .statusCode,
    200,
  )
})

t.test(
  'who has no token that counts hears of both schemes, each with its own (RFC 9449 §7.1, O-02)',
  async (t) => {
    const { plugin } = await setUp(t)
    const challengeOf = async (authorization?: string) =>
      (await plugin.app.inject({ url: '/orders', headers: { ...(authorization && { authorization }) } }))
        .headers['www-authenticate']
    t.equal(await challengeOf(), `${REALM}, ${DPOP}, ${ALGS}`)
    t.match(
      await challengeOf('Bearer x'),
      new RegExp(`^${REALM}, error="invalid_token".*, ${DPOP}, ${ALGS}$`),
    )
    t.match(await challengeOf('DPoP x'), new RegExp(`^${DPOP}, error="invalid_token".*, ${ALGS}$`))
    t.equal(await challengeOf('Basic x'), `${REALM}, ${DPOP}, ${ALGS}`)
    t.notMatch(await challengeOf('Bearer a b'), 'DPoP')
    const without = await startPluginApp(t)
    const { headers } = await without.app.inject('/protected')
    t.equal(headers['www-authenticate'], REALM, 'where no client uses DPoP nobody hears of it')
  },
)

t.test(
  'what else is refused is told in the scheme of the token (RFC 6750 §3.1, RFC 9449 §7.1, O-02)',
  async (t) => {
    const { send, prove } = await setUp(t)
    const response = await send(prove({}, `${PUBLIC_URL}/admin`), '/admin')
    t.equal(response.statusCode, 403)
    t.match(
      response.headers['www-authenticate'],
      new RegExp(`^${DPOP}, error="insufficient_scope".*scope="admin", ${ALGS}$`),
    )
  },
)

t.test(
  'a proof is for one request: a replay on the same instance is 401 (RFC 9449 §11.1, O-03)',
  async (t) => {
    const { send, prove, plugin, handled } = await setUp(t)
    const dpop = prove()
    t.equal((await send(dpop)).statusCode, 200)
    t.equal((await send(dpop)).statusCode, 401)
    t.match(plugin.events.at(-1), { event: 'forward.denied', reason: 'dpop_proof_replayed' })
    const sameId = prove({ claims: { jti: 'the same', more: 1 } })
    t.equal((await send(sameId)).statusCode, 200)
    t.equal((await send(prove({ claims: { jti: 'the same', more: 2 } }))).statusCode, 401)
    t.equal(handled(), 2)
  },
)

t.test('one proof in many requests at once: one of them wins (RFC 9449 §11.1, O-03)', async (t) => {
  const { send, prove, plugin } = await setUp(t)
  const dpop = prove()
  const cached = await Promise.all(Array.from({ length: 10 }, () => send(dpop)))
  t.equal(cached.filter(({ statusCode }) => statusCode === 200).length, 1)
  // And where the session has to be read first.
  plugin.store.gap()
  plugin.store.resume()
  const next = prove()
  const cold = await Promise.all(Array.from({ length: 10 }, () => send(next)))
  t.equal(cold.filter(({ statusCode }) => statusCode === 200).length, 1)
})

t.test('a wrong signature uses no jti up (RFC 9449 §11.1, O-03)', async (t) => {
  const { send, prove } = await setUp(t)
  const claims = { jti: 'guessed' }
  t.equal((await send(prove({ claims, signer: new ProofKeyPair().privateKey }))).statusCode, 401)
  t.equal((await send(prove({ claims }))).statusCode, 200)
})

t.test(
  'a nonce lives for at most 30 s, and what it has been used for is remembered as long (O-03)',
  async (t) => {
    const { send, prove, plugin, nonce } = await setUp(t)
    const used = prove()
    t.equal((await send(used)).statusCode, 200)
    let seconds = 0
    for (; seconds < 40; seconds += 1) {
      const response = await send(used)
      t.equal(response.statusCode, 401, `after ${seconds} s`)
      if (String(response.headers['www-authenticate']).includes('use_dpop_nonce')) break
      plugin.store.advance(1)
    }
    t.ok(seconds >= 13 && seconds <= 30, `the nonce was refused after ${seconds} s`)
    const iat = Math.floor(plugin.store.now() / 1000)
    const late = await send(prove({ claims: { iat } }))
    t.match(late.headers['www-authenticate'], 'use_dpop_nonce', 'the old one, in a proof that is new')
    const next = String(late.headers['dpop-nonce'])
    t.not(next, nonce)
    t.equal((await send(prove({ nonce: next, claims: { iat } }))).statusCode, 200)
  },
)

t.test('userinfo and the sessions of a person ask for the proof, too (RFC 9449 §7, O-02)', async (t) => {
  const { send, prove, nonce, accessToken, key, plugin } = await setUp(t)
  for (const path of ['/oauth2/userinfo', '/oauth2/sessions']) {
    t.equal((await send(undefined, path)).statusCode, 401, path)
    t.equal((await send(undefined, path, 'Bearer')).statusCode, 401, path)
    const response = await send(prove({}, PUBLIC_URL + path), path)
    t.equal(response.statusCode, 200, path)
    t.equal(response.headers['dpop-nonce'], nonce)
  }
  const url = '/oauth2/sessions/x'
  const dpop = key.prove('DELETE', PUBLIC_URL + url, { accessToken, nonce })
  const headers = { authorization: `DPoP ${accessToken}`, dpop }
  t.equal((await plugin.app.inject({ method: 'DELETE', url, headers })).statusCode, 404)
})

t.test(
  'app.pkce.authenticate asks for it, and dpopHeaders has the nonce (RFC 9449 §8.2, O-02)',
  async (t) => {
    const { plugin, prove, nonce, accessToken } = await setUp(t)
    const request = (dpop: string) => ({
      ...{ id: '1', ip: '192.0.2.1', log: plugin.app.log },
      raw: {
        method: 'GET',
        url: '/orders',
        rawHeaders: ['Authorization', `DPoP ${accessToken}`, 'DPOP', dpop],
      },
    })
    const session = await plugin.app.pkce.authenticate(request(prove()))
    t.same(plugin.app.pkce.dpopHeaders(session), { 'dpop-nonce': nonce })
    const used = prove()
    await plugin.app.pkce.authenticate(request(used))
    t.match(
      refusal(() => plugin.app.pkce.authenticate(request(used))),
      {
        statusCode: 401,
        error: 'invalid_dpop_proof',
      },
    )
  },
)
