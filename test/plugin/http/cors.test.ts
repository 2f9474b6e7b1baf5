import type { LightMyRequestResponse } from 'fastify'
import t, { type Test } from 'tap'
import { Cors } from '../../../plugin/http/cors.ts'
import { noAgents } from '../../support/oauth-fixtures.ts'
import { REDIRECT_URI, startPluginApp, WELL_KNOWN } from '../../support/plugin-app.ts'

const SPA = 'https://spa.example.com'
const OTHER_SPA = 'http://localhost:5173'
const EVIL = 'https://evil.example'

const corsOf = ({ headers }: LightMyRequestResponse) =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith('access-control')))

t.test('CORS (C-22)', async (t) => {
  const client = { redirectUris: [REDIRECT_URI], scopes: ['orders.read'] }
  const plugin = await startPluginApp(t, {
    clients: [
      { ...client, clientId: 'app', allowedOrigins: [SPA] },
      { ...client, clientId: 'spa2', allowedOrigins: [OTHER_SPA] },
      { ...client, clientId: 'native' },
    ],
    resourceServers: [{ clientId: 'api', clientSecret: 'secret' }],
  })
  const { app } = plugin
  const FOR_APPS = ['/oauth2/token', '/oauth2/revoke', '/oauth2/userinfo', '/oauth2/jwks', ...WELL_KNOWN]
  const NOT_FOR_APPS = ['/oauth2/authorize', '/oauth2/callback', '/oauth2/introspect']
  const preflight = (url: string, origin: string) =>
    app.inject({
      method: 'OPTIONS',
      url,
      headers: {
        origin,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization,x-evil',
      },
    })

  await t.test(
    'a preflight from a registered origin is answered from the union, and asks nobody',
    async (t) => {
      plugin.store.countCalls()
      for (const url of FOR_APPS) {
        for (const origin of [SPA, OTHER_SPA]) {
          const response = await preflight(url, origin)
          t.equal(response.statusCode, 204, url)
          t.equal(response.body, '')
          t.same(corsOf(response), {
            'access-control-allow-origin': origin,
            'access-control-allow-methods': 'GET, POST',
            'access-control-allow-headers':
              'Authorization, Content-Type, DPoP, MCP-Protocol-Version, Traceparent, Tracestate',
            'access-control-expose-headers': 'WWW-Authenticate, Retry-After, X-Request-Id, DPoP-Nonce',
            'access-control-max-age': '600',
          })
          t.match(response.headers.vary, 'Origin')
        }
      }
      t.equal(plugin.store.countCalls(), 0)
    },
  )

  await t.test('any other origin: 405 and no header, never a reflection', async (t) => {
    for (const url of [...FOR_APPS, ...NOT_FOR_APPS]) {
      for (const origin of [
        EVIL,
        'null',
        '*',
        `${SPA}.evil.example`,
        `${SPA}/`,
        SPA.toUpperCase(),
        `${SPA}:443`,
        'http://spa.example.com',
      ]) {
        const response = await preflight(url, origin)
        t.equal(response.statusCode, 405, `${origin} ${url}`)
        t.same(corsOf(response), {})
      }
    }
    for (const url of NOT_FOR_APPS) {
      const response = await preflight(url, SPA)
      t.equal(response.statusCode, 405, `${url} is not for scripts`)
      t.same(corsOf(response), {})
    }
  })

  await t.test('OPTIONS that is no preflight is a method like any other', async (t) => {
    const response = await app.inject({ method: 'OPTIONS', url: '/oauth2/token', headers: { origin: SPA } })
    t.equal(response.statusCode, 405)
    t.equal(response.headers.allow, 'POST')
  })

  const readableBy = (
    t: Test,
    response: LightMyRequestResponse,
    origin: string | undefined,
    what: string,
  ) => {
    t.equal(response.headers['access-control-allow-origin'], origin, what)
    t.equal(response.headers['access-control-allow-credentials'], undefined, 'never with credentials')
    t.equal(response.headers['set-cookie'], undefined, 'no cookie')
  }

  await t.test('an answer is readable by the origins of its own client, errors included', async (t) => {
    const { code } = await plugin.code()
    const redeem = (client_id: string, origin: string) =>
      plugin.post(
        'token',
        {
          grant_type: 'authorization_code',
          client_id,
          code: 'x',
          redirect_uri: 'x',
          code_verifier: 'v'.repeat(43),
        },
        { origin },
      )
    readableBy(t, await redeem('app', SPA), SPA, 'its own')
    readableBy(t, await redeem('app', OTHER_SPA), undefined, "another client's")
    readableBy(t, await redeem('native', SPA), undefined, 'a client without any')
    readableBy(t, await redeem('unknown', SPA), SPA, 'client not known: the union')
    readableBy(t, await redeem('app', EVIL), undefined, 'nobody’s')
    readableBy(
      t,
      await plugin.post('token', { grant_type: 'nonsense' }, { origin: OTHER_SPA }),
      OTHER_SPA,
      '400',
    )
    const tokens = await plugin.post(
      'token',
      {
        grant_type: 'authorization_code',
        client_id: 'app',
        code,
        redirect_uri: REDIRECT_URI,
        code_verifier: 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk',
      },
      { origin: SPA },
    )
    t.equal(tokens.statusCode, 200)
    readableBy(t, tokens, SPA, '200')
    t.equal(
      tokens.headers['access-control-expose-headers'],
      'WWW-Authenticate, Retry-After, X-Request-Id, DPoP-Nonce',
    )

    const authorization = `Bearer ${tokens.json().access_token}`
    for (const [origin, allowed] of [
      [SPA, SPA],
      [OTHER_SPA, undefined],
      [EVIL, undefined],
    ] as const) {
      readableBy(
        t,
        await app.inject({ url: '/oauth2/userinfo', headers: { origin, authorization } }),
        allowed,
        `userinfo ${origin}`,
      )
      readableBy(
        t,
        await plugin.post('revoke', { client_id: 'app', token: 'garbage' }, { origin }),
        allowed,
        `revoke ${origin}`,
      )
    }
    const refused = await app.inject({ url: '/oauth2/userinfo', headers: { origin: SPA } })
    t.equal(refused.statusCode, 401)
    readableBy(t, refused, SPA, '401 before the client is known')
    readableBy(t, await plugin.post('introspect', { token: 'x' }, { origin: SPA }), undefined, 'introspect')
  })

  await t.test(
    'an answer that depends on the origin says so, and one without an origin has no header',
    async (t) => {
      for (const origin of [SPA, EVIL]) {
        t.match((await app.inject({ url: WELL_KNOWN[0]!, headers: { origin } })).headers.vary, 'Origin')
      }
      t.same(corsOf(await app.inject(WELL_KNOWN[0]!)), {})
    },
  )

  await t.test('a client of whom no browser is expected gets none of this', async (t) => {
    const native = await startPluginApp(t)
    for (const url of [...FOR_APPS, ...NOT_FOR_APPS]) {
      for (const method of ['GET', 'POST', 'OPTIONS'] as const) {
        const response = await native.app.inject({
          method,
          url,
          headers: { origin: EVIL, 'access-control-request-method': 'GET' },
        })
        t.same(corsOf(response), {}, `${method} ${url}`)
      }
    }
  })
})

t.test('app.pkce.preflightHeaders: the preflight of a route of the app (Fetch §3.2.2, H-28)', async (t) => {
  const { app } = await startPluginApp(t, {
    clients: [{ clientId: 'app', redirectUris: [REDIRECT_URI], allowedOrigins: [SPA] }],
  })
  const preflight = (headers: Record<string, string>, method = 'OPTIONS') =>
    app.pkce.preflightHeaders({ method, headers }, 'GET, PUT')
  const asked = { origin: SPA, 'access-control-request-method': 'PUT' }
  const allowed = {
    vary: 'Origin',
    'access-control-allow-origin': SPA,
    'access-control-expose-headers': 'WWW-Authenticate, Retry-After, X-Request-Id, DPoP-Nonce',
    'access-control-allow-methods': 'GET, PUT',
    'access-control-max-age': '600',
  }

  t.same(preflight(asked), allowed)
  t.same(
    preflight({ ...asked, 'access-control-request-headers': 'authorization, x-trace' }),
    { ...allowed, 'access-control-allow-headers': 'authorization, x-trace' },
    'the fields that the script asks for',
  )
  t.same(preflight({ ...asked, 'access-control-request-headers': 'a\nb' }), allowed, 'and no others')
  t.equal(preflight({ ...asked, origin: 'https://evil.example' }), null, 'an origin of nobody')
  t.equal(preflight({ ...asked, origin: 'null' }), null, 'an opaque origin')
  t.equal(preflight({ 'access-control-request-method': 'PUT' }), null, 'no origin')
  t.equal(preflight({ origin: SPA }), null, 'OPTIONS that is no preflight')
  t.equal(preflight(asked, 'PUT'), null, 'another method')
})

t.test('without browser clients there is no CORS at all (C-22)', async (t) => {
  const cors = new Cors({ clients: new Map(), agents: noAgents })
  const headers = { origin: SPA, 'access-control-request-method': 'PUT' }
  t.equal(cors.preflightHeaders({ method: 'OPTIONS', headers }, 'PUT'), null)
  t.same(cors.headers(SPA), {})
})
