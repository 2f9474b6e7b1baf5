import t from 'tap'
import { createConnectError } from '../../../../plugin/provider/transport/network.ts'
import {
  ISSUER,
  JSON_TYPE,
  metadata,
  mockProvider,
  problemsOf,
  readyProvider,
  refused,
} from '../../../support/provider-setup.ts'

t.test('discovery', async (t) => {
  t.test('metadata of another issuer stops the start (RFC 8414 §3.3, F-01)', async (t) => {
    const { provider, discovery } = mockProvider(t)
    discovery({ ...metadata, issuer: `${ISSUER}/` })
    t.match(await problemsOf(provider.start()), ['provider.issuer: the metadata names another issuer'])
    t.equal(provider.ready, false)
  })

  t.test(
    'where openid-configuration is 404, oauth-authorization-server is asked (RFC 8414 §3, F-01)',
    async (t) => {
      const { provider, as, discovery } = mockProvider(t)
      discovery({}, 404)
      as.intercept({ path: '/.well-known/oauth-authorization-server' }).reply(200, metadata, JSON_TYPE)
      await provider.start()
      t.equal(provider.ready, true)
      t.equal(provider.hasUserinfo, true)
      t.equal(provider.issRequired, false)
    },
  )

  t.test(
    'all that is wrong with the metadata is listed at once (RFC 8414 §6.2, A-16, F-02, F-03)',
    async (t) => {
      const { provider, discovery } = mockProvider(t, {
        allowedHosts: ['keys.example:443', '[::ffff:169.254.169.254]:443'],
      })
      discovery({
        ...metadata,
        code_challenge_methods_supported: ['plain'],
        authorization_endpoint: undefined,
        token_endpoint: 'http://as.example/token',
        revocation_endpoint: 'https://evil.example/revoke',
        userinfo_endpoint: 'https://user@as.example/userinfo',
        pushed_authorization_request_endpoint: `${ISSUER}/par#x`,
        jwks_uri: 'https://[::ffff:169.254.169.254]/',
      })
      t.match(await problemsOf(provider.start()), [
        /^provider\.pkce: is own, but .* does not list S256/,
        /authorization_endpoint is missing/,
        /token_endpoint must be https/,
        /pushed_authorization_request_endpoint must have no fragment/,
        /revocation_endpoint is on another host; .* add evil\.example:443 to provider\.allowedHosts/,
        /userinfo_endpoint must not hold credentials/,
        /jwks_uri is on another host/,
      ])
    },
  )

  t.test('a private address is refused even where its host is allowed (F-03)', async (t) => {
    const { provider, discovery } = mockProvider(t, { allowedHosts: ['169.254.169.254:443'] })
    discovery({ ...metadata, jwks_uri: 'https://169.254.169.254/' })
    t.match(await problemsOf(provider.start()), [/jwks_uri is on a private address/])
  })

  t.test('endpoints on hosts of allowedHosts are used (F-02)', async (t) => {
    const { provider } = await readyProvider(
      t,
      { allowedHosts: ['keys.example:443', 'tokens.example:8443'] },
      {
        jwks_uri: 'https://keys.example/',
        token_endpoint: 'https://tokens.example:8443/token',
      },
    )
    t.equal(provider.ready, true)
  })

  t.test(
    'metadata that lists challenge methods without S256 stops the start (RFC 8414 §2, A-16)',
    async (t) => {
      for (const methods of [['plain'], [], 'plain']) {
        const relay = mockProvider(t, { pkce: 'relay' })
        relay.discovery({ ...metadata, code_challenge_methods_supported: methods })
        t.match(await problemsOf(relay.provider.start()), [
          /^provider\.pkce: is relay, but .* does not list S256/,
        ])
      }
      const none = await readyProvider(t, { pkce: 'none' }, { code_challenge_methods_supported: ['plain'] })
      t.equal(none.provider.ready, true)
    },
  )

  t.test('metadata that lists no challenge methods: S256 is sent, with one warning (A-16)', async (t) => {
    for (const methods of [undefined, null]) {
      const { provider, lines } = await readyProvider(t, {}, { code_challenge_methods_supported: methods })
      const codeChallenge = 'c'.repeat(43)
      const request = { state: 's', codeChallenge, extraScope: [], passThrough: {}, prompt: false }
      const { searchParams } = new URL(await provider.authorizationUrl(request))
      t.equal(searchParams.get('code_challenge_method'), 'S256')
      t.equal(searchParams.get('code_challenge'), codeChallenge)
      const warnings = lines.filter(({ level }) => level === 'warn')
      t.match(warnings, [{ message: /code_challenge_methods_supported.*S256 is sent/ }])
      t.equal(warnings.length, 1)
    }
    for (const quiet of [
      await readyProvider(t),
      await readyProvider(t, { pkce: 'none' }, { code_challenge_methods_supported: undefined }),
    ]) {
      t.notOk(quiet.lines.some(({ level }) => level === 'warn'))
    }
  })

  t.test('metadata is read whatever text type labels it (F-09)', async (t) => {
    const { provider, as } = mockProvider(t)
    as.intercept({ path: '/.well-known/openid-configuration' }).reply(200, JSON.stringify(metadata), {
      headers: { 'content-type': 'text/plain' },
    })
    await provider.start()
    t.equal(provider.ready, true)
  })

  t.test('metadata that requires PAR must offer it (RFC 9126 §5, A-25)', async (t) => {
    const { provider, discovery } = mockProvider(t)
    discovery({ ...metadata, require_pushed_authorization_requests: true })
    t.match(await problemsOf(provider.start()), [/requires pushed authorization requests/])
  })

  t.test('an answer that is no metadata stops the start (F-01)', async (t) => {
    const { provider, as } = mockProvider(t)
    as.intercept({ path: '/.well-known/openid-configuration' }).reply(200, '<html>', {
      headers: { 'content-type': 'text/html' },
    })
    t.match(await problemsOf(provider.start()), [
      /there is no usable metadata .*; if the provider has none, write its authorizationEndpoint and tokenEndpoint$/,
    ])
  })

  t.test('explicit endpoints need no request, and keep to the same rules (F-01, F-02)', async (t) => {
    const explicit = {
      authorizationEndpoint: `${ISSUER}/a`,
      tokenEndpoint: `${ISSUER}/t`,
      jwksUri: `${ISSUER}/j`,
    }
    const { provider } = mockProvider(t, explicit)
    await provider.start()
    t.equal(provider.ready, true)
    t.equal(provider.hasUserinfo, false)
    const wrong = mockProvider(t, {
      ...explicit,
      tokenEndpoint: 'http://as.example/t',
      jwksUri: 'https://other.example/',
    })
    t.match(await problemsOf(wrong.provider.start()), [
      'provider.tokenEndpoint: must be https',
      'provider.jwksUri: is on another host',
    ])
  })

  t.test('a provider that cannot be reached leaves the start alive and is asked again (F-01)', async (t) => {
    const pauses: { ms: number; go: () => void }[] = []
    const { provider, as, discovery, lines } = mockProvider(
      t,
      {},
      {
        sleep: (ms) => new Promise<void>((go) => pauses.push({ ms, go })),
      },
    )
    const settled = () => new Promise((resolve) => setImmediate(resolve))
    as.intercept({ path: '/.well-known/openid-configuration' }).replyWithError(
      createConnectError('ECONNREFUSED'),
    )
    await provider.start()
    t.equal(provider.ready, false)
    t.match(lines, [{ level: 'error', fields: { cause: 'ECONNREFUSED' }, message: /check provider\.issuer/ }])
    await refused(
      t,
      provider.authorizationUrl({ state: 's', extraScope: [], passThrough: {}, prompt: false }),
      {
        reason: 'provider_not_ready',
        statusCode: 503,
      },
    )

    discovery({ ...metadata, issuer: 'https://evil.example' })
    pauses[0]!.go()
    while (pauses.length < 2) await settled()
    t.equal(provider.ready, false, 'wrong metadata found later does not end the process')
    t.match(lines[1], { level: 'error', fields: { problems: [{ path: ['provider', 'issuer'] }] } })

    discovery()
    pauses[1]!.go()
    while (!provider.ready) await settled()
    t.same(
      pauses.slice(0, 2).map(({ ms }) => ms),
      [500, 1000],
      'the pauses double',
    )
    t.match(lines[2], { level: 'info', message: 'the provider is ready' })
  })

  t.test('an http issuer is for loopback, or dangerouslyAllowPrivateNetwork (F-01)', async (t) => {
    const endpoints = (issuer: string) => ({
      issuer,
      scope: '',
      authorizationEndpoint: `${issuer}/a`,
      tokenEndpoint: `${issuer}/t`,
    })
    t.same(await problemsOf(mockProvider(t, endpoints('http://127.0.0.1:4000')).provider.start()), [])
    t.same(await problemsOf(mockProvider(t, endpoints('http://[::1]:4000')).provider.start()), [])
    const internal = { ...endpoints('http://as.internal'), dangerouslyAllowPrivateNetwork: true }
    t.same(await problemsOf(mockProvider(t, internal).provider.start()), [])
    const escaping = {
      ...endpoints('http://127.0.0.1:4000'),
      tokenEndpoint: 'http://127.0.0.1:4001/t',
      allowedHosts: ['127.0.0.1:4001'],
    }
    t.match(await problemsOf(mockProvider(t, escaping).provider.start()), [
      /tokenEndpoint: is on a private address/,
    ])
  })

  t.test(
    'NODE_TLS_REJECT_UNAUTHORIZED=0 is refused in production and named elsewhere (RFC 9700 §2.6, F-07)',
    async (t) => {
      const off = { NODE_TLS_REJECT_UNAUTHORIZED: '0' }
      const production = mockProvider(t, {}, { environment: { ...off, NODE_ENV: 'production' } })
      t.match(await problemsOf(production.provider.start()), [
        /^NODE_TLS_REJECT_UNAUTHORIZED: is 0.* provider\.ca .*provider\.caFile, upstreams\[\]\.caFile.*NODE_EXTRA_CA_CERTS$/,
      ])
      const development = mockProvider(t, {}, { environment: off })
      development.discovery()
      await development.provider.start()
      t.match(development.lines[0], { level: 'warn', message: /NODE_TLS_REJECT_UNAUTHORIZED/ })
    },
  )
})
