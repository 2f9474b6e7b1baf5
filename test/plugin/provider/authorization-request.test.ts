import t from 'tap'
import { createConnectError } from '../../../plugin/provider/transport/network.ts'
import {
  CALLBACK,
  ISSUER,
  JSON_TYPE,
  metadata,
  mockProvider,
  OUR_CREDENTIALS,
  problemsOf,
  readyProvider,
  refused,
} from '../../support/provider-setup.ts'

t.test('authorization request', async (t) => {
  const PAR = { pushed_authorization_request_endpoint: `${ISSUER}/par` }
  const request = {
    state: 'pks_1',
    nonce: 'n1',
    codeChallenge: 'c'.repeat(43),
    extraScope: ['orders', 'openid'],
    passThrough: {},
    prompt: false,
  }

  t.test(
    'metadata, the fixed set and authorizationParams make the URL (RFC 6749 §4.1.1, A-14)',
    async (t) => {
      const { provider } = await readyProvider(
        t,
        { authorizationParams: { audience: 'api' } },
        {
          authorization_endpoint: `${ISSUER}/authorize?tenant=1&tenant=2&state=theirs`,
          authorization_response_iss_parameter_supported: true,
        },
      )
      const url = new URL(await provider.authorizationUrl({ ...request, passThrough: { login_hint: 'a@b' } }))
      t.equal(url.origin + url.pathname, `${ISSUER}/authorize`)
      t.same(
        [...url.searchParams],
        [
          ['tenant', '1'],
          ['tenant', '2'],
          ['response_type', 'code'],
          ['client_id', 'backend'],
          ['redirect_uri', CALLBACK],
          ['scope', 'openid offline_access orders'],
          ['state', 'pks_1'],
          ['nonce', 'n1'],
          ['code_challenge', 'c'.repeat(43)],
          ['code_challenge_method', 'S256'],
          ['audience', 'api'],
          ['login_hint', 'a@b'],
        ],
      )
      t.equal(provider.issRequired, true, 'B-05')
    },
  )

  t.test('a pass-through never replaces or repeats what we set (RFC 9700 §4.5, A-14)', async (t) => {
    const { provider } = await readyProvider(t, { authorizationParams: { audience: 'api' } })
    const passThrough = {
      client_id: 'x',
      nonce: 'y',
      state: 'z',
      audience: 'w',
      code_challenge_method: 'plain',
      max_age: '60',
    }
    const { searchParams } = new URL(await provider.authorizationUrl({ ...request, passThrough }))
    for (const name of Object.keys(passThrough)) t.equal(searchParams.getAll(name).length, 1, name)
    t.match(Object.fromEntries(searchParams), {
      client_id: 'backend',
      nonce: 'n1',
      state: 'pks_1',
      audience: 'api',
      code_challenge_method: 'S256',
      max_age: '60',
    })
  })

  t.test(
    'prompt asks for a step that a human sees, unless one is configured (RFC 8252 §8.6, A-21)',
    async (t) => {
      const { provider } = await readyProvider(t)
      const seen = async (from: typeof provider, passThrough = {}) =>
        new URL(await from.authorizationUrl({ ...request, passThrough, prompt: true })).searchParams.getAll(
          'prompt',
        )
      t.same(await seen(provider), ['consent'])
      t.same(await seen(provider, { prompt: 'login' }), ['consent'])
      const configured = await readyProvider(t, { authorizationParams: { prompt: 'select_account' } })
      t.same(await seen(configured.provider), ['select_account'])
    },
  )

  t.test('without PKCE and OpenID Connect there is no challenge and no nonce (A-14)', async (t) => {
    const { provider } = await readyProvider(t, { pkce: 'none', scope: '' })
    const url = await provider.authorizationUrl({
      state: 's',
      extraScope: [],
      passThrough: {},
      prompt: false,
    })
    t.equal(
      new URL(url).search,
      `?response_type=code&client_id=backend&redirect_uri=${encodeURIComponent(CALLBACK)}&state=s`,
    )
  })

  t.test('par: never -> the browser carries the request, wherever PAR lives (A-25)', async (t) => {
    const elsewhere = { pushed_authorization_request_endpoint: 'https://elsewhere.example/par' }
    for (const extra of [PAR, elsewhere]) {
      const { provider } = await readyProvider(t, { par: 'never' }, extra)
      t.match(new URL(await provider.authorizationUrl(request)).searchParams.get('state'), 'pks_1')
    }
  })

  t.test(
    'par: never, and required there; always, and not there -> no start (RFC 9126 §5, A-25)',
    async (t) => {
      const problems = (par: 'always' | 'never', extra: object) => {
        const mock = mockProvider(t, { par })
        mock.discovery({ ...metadata, ...extra })
        return problemsOf(mock.provider.start())
      }
      t.match(await problems('never', { ...PAR, require_pushed_authorization_requests: true }), [
        /^provider\.par: is never, .*requires/,
      ])
      t.match(await problems('always', {}), [
        /^provider\.par: is always, .*pushed_authorization_request_endpoint/,
      ])
      t.same(await problems('always', PAR), [])
    },
  )

  const PUSHED = {
    ...OUR_CREDENTIALS,
    response_type: 'code',
    redirect_uri: CALLBACK,
    scope: 'openid offline_access orders',
    state: 'pks_1',
    nonce: 'n1',
    code_challenge: 'c'.repeat(43),
    code_challenge_method: 'S256',
  }

  t.test('with PAR the URL carries only client_id and request_uri (RFC 9126 §4, A-25)', async (t) => {
    const { provider, post } = await readyProvider(t, {}, PAR)
    post('/par', PUSHED).reply(
      201,
      { request_uri: 'urn:ietf:params:oauth:request_uri:1', expires_in: 60 },
      JSON_TYPE,
    )
    t.equal(
      await provider.authorizationUrl(request),
      `${ISSUER}/authorize?client_id=backend&request_uri=urn%3Aietf%3Aparams%3Aoauth%3Arequest_uri%3A1`,
    )
  })

  t.test('PAR is tried again if nothing was sent, never otherwise (RFC 9110 §9.2.2, F-10)', async (t) => {
    const { provider, post } = await readyProvider(t, {}, PAR)
    post('/par', PUSHED).replyWithError(createConnectError('ECONNREFUSED'))
    post('/par', PUSHED).replyWithError(Object.assign(new Error('reset'), { code: 'ECONNRESET' }))
    await refused(t, provider.authorizationUrl(request), {
      reason: 'provider_unavailable',
      endpoint: 'par',
      unsent: false,
    })
  })

  t.test('a PAR answer without request_uri is nonsense (RFC 9126 §2.2)', async (t) => {
    const { provider, post } = await readyProvider(t, {}, PAR)
    post('/par', PUSHED).reply(201, { expires_in: 60 }, JSON_TYPE)
    await refused(t, provider.authorizationUrl(request), { reason: 'provider_answer_invalid' })
  })
})
