import t from 'tap'
import { file, load, minimal, problemsOf } from '../../support/gateway-config.ts'

t.test('flags win over the environment, it over the file, that over defaults (design)', async (t) => {
  const path = file(t, { ...minimal(), listen: { host: '127.0.0.2', port: 3001 }, log: { level: 'warn' } })
  const environment = { PKCE_GATEWAY_LISTEN__PORT: '3002', PKCE_GATEWAY_LOG__LEVEL: 'debug' }
  const { config } = load(path, environment, ['--port', '3003'])
  t.match(config, {
    listen: { host: '127.0.0.2', port: 3003 },
    log: { level: 'debug' },
    admin: { port: 9090 },
  })
})

t.test('the environment alone is enough: nesting, lists and maps as JSON (design)', async (t) => {
  const { config } = load(undefined, {
    PATH: '/bin',
    PKCE_GATEWAY_PUBLIC_URL: 'http://127.0.0.1:3000',
    PKCE_GATEWAY_PROVIDER__ISSUER: 'http://127.0.0.1:4000',
    PKCE_GATEWAY_PROVIDER__CLIENT_ID: 'gateway',
    PKCE_GATEWAY_PROVIDER__CLIENT_SECRET: '0123',
    PKCE_GATEWAY_PROVIDER__AUTHORIZATION_PARAMS: '{"prompt":"consent"}',
    PKCE_GATEWAY_CLIENTS: JSON.stringify(minimal().clients),
    PKCE_GATEWAY_STORE__DANGEROUSLY_ALLOW_IN_PRODUCTION: 'true',
    PKCE_GATEWAY_RATE_LIMIT: '{"token":{"max":1,"windowMs":5}}',
    PKCE_GATEWAY_RATE_LIMIT__TOKEN__MAX: '2',
    PKCE_GATEWAY_SERVICE_HOST: '10.0.0.1',
    PKCE_GATEWAY_SERVICE_PORT_HTTP: '80',
    PKCE_GATEWAY_PORT: 'tcp://10.0.0.1:80',
    PKCE_GATEWAY_PORT_80_TCP_ADDR: '10.0.0.1',
    PKCE_GATEWAY_CONFIG: 'read by the command',
  })
  t.match(config.plugin, {
    provider: { clientId: 'gateway', clientSecret: '0123', authorizationParams: { prompt: 'consent' } },
    clients: [{ clientId: 'com.example.app' }],
    rateLimit: { token: { max: 2, windowMs: 5 } },
  })
  t.same(config.warnings, [])
})

t.test('problems of the environment and the flags carry their names (design)', async (t) => {
  t.same(
    new Set(
      problemsOf(
        file(t, minimal()),
        {
          PKCE_GATEWAY_LISTEN_PORT: '3000',
          PKCE_GATEWAY_LISTNE__HOST: 'x',
          PKCE_GATEWAY_CLIENTS__0__NAME: 'x',
          PKCE_GATEWAY_PROVIDER__AUTHORIZATION_PARAMS__PROMPT: 'consent',
          PKCE_GATEWAY_TRUST_PROXY: '10.0.0.0/8',
          PKCE_GATEWAY_RATE_LIMIT__TOKEN__MAX: '0',
          PKCE_GATEWAY_LIFETIMES__CODE_SECONDS: '1m',
          PKCE_GATEWAY_UPSTREAMS: '[{"prefix":"/a"}]',
        },
        ['--port', '80a', '--log-level', 'loud'],
      ),
    ),
    new Set([
      'PKCE_GATEWAY_UPSTREAMS[0].target: is required',
      'PKCE_GATEWAY_LIFETIMES__CODE_SECONDS: must be a whole number',
      'PKCE_GATEWAY_RATE_LIMIT__TOKEN__MAX: must be at least 1',
      '--port: must be a whole number',
      '--log-level: must be one of fatal, error, warn, info, debug, trace, silent',
      'PKCE_GATEWAY_CLIENTS__0__NAME: a list is set as a whole: give PKCE_GATEWAY_CLIENTS as JSON',
      'PKCE_GATEWAY_LISTEN_PORT: is not known; the nearest is PKCE_GATEWAY_LISTEN__PORT',
      'PKCE_GATEWAY_LISTNE__HOST: is not known; the nearest is PKCE_GATEWAY_LISTEN__HOST',
      'PKCE_GATEWAY_PROVIDER__AUTHORIZATION_PARAMS__PROMPT: a map is set as a whole: give PKCE_GATEWAY_PROVIDER__AUTHORIZATION_PARAMS as JSON',
      'PKCE_GATEWAY_TRUST_PROXY: must be JSON',
    ]),
  )
  t.same(
    problemsOf(undefined, { PKCE_GATEWAY_PROVIDER__CLIENT_ID: 'x' }),
    ['PKCE_GATEWAY_PUBLIC_URL', 'PKCE_GATEWAY_CLIENTS', 'PKCE_GATEWAY_PROVIDER__ISSUER'].map(
      (name) => `${name}: is required`,
    ),
    'without a file the missing key is named as a variable',
  )
})

t.test('a bare PKCE_GATEWAY_PORT is ignored, with a word about it (design)', async (t) => {
  const { config } = load(file(t, minimal()), { PKCE_GATEWAY_PORT: '8080' })
  t.equal(config.listen.port, 3000)
  t.match(config.warnings, [/^PKCE_GATEWAY_PORT is ignored.*PKCE_GATEWAY_LISTEN__PORT/])
})
