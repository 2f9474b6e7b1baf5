import t from 'tap'
import { metadataWarnings } from '../../../../plugin/provider/metadata/warnings.ts'
import { adviceOn, adviceOnClient } from '../../../../plugin/provider/refusals/advice.ts'
import { authorizationRefusalWords, refusalWords } from '../../../../plugin/provider/refusals/words.ts'
import { startPluginApp } from '../../../support/plugin-app.ts'
import {
  CALLBACK,
  EXCHANGE,
  exchange,
  JSON_TYPE,
  providerOptions,
  readyProvider,
} from '../../../support/provider-setup.ts'

const at = (more: object = {}) => ({ provider: { ...providerOptions, ...more }, callbackUrl: CALLBACK })

t.test("the provider's own short words, and nothing else of it (J-01, B-08)", async (t) => {
  for (const [body, words] of [
    [{ error: 'bad_verification_code', error_description: 'text' }, ['bad_verification_code']],
    [{ ok: false, error: 'invalid_code' }, ['invalid_code']],
    [{ error: 'invalid_client', error_codes: [7000215] }, ['7000215', 'invalid_client']],
    [{ error: { code: 100, error_subcode: 36008, message: 'Invalid code' } }, ['36008', '100']],
    [{ error: { code: 'not-a-number', message: 'x' } }, ['not-a-number']],
    [{ error: 'Invalid Client' }, []],
    [{ error: 'a'.repeat(65) }, []],
    [{ error: 'line\nbreak' }, []],
    [{ error: '9f86d081884c7d659a2feaa0c55ad015' }, [], 'what it was sent, perhaps'],
    [{ error: ['invalid_client'] }, []],
    [{ error_codes: [1, 2, 3, 4, -1, 1.5, '7', null] }, ['1', '2', '3']],
    [{}, []],
  ] as const) {
    t.same(refusalWords(body), [...words], JSON.stringify(body))
  }
  t.same(authorizationRefusalWords('invalid_client: AADSTS7000215: Invalid client secret'), [
    '7000215',
    'invalid_client',
  ])
  t.same(authorizationRefusalWords('access_denied'), ['access_denied'])
  t.same(authorizationRefusalWords('<script>: x'), [])
})

t.test('the commonest mistakes lead to an option of ours and a place at the provider', async (t) => {
  const google = { preset: 'google', issuer: 'https://accounts.google.com' }
  for (const [words, more, expected] of [
    [['redirect_uri_mismatch'], google, [CALLBACK, 'authorized redirect URI', 'Google Cloud console']],
    [['invalid_client'], google, ['provider.clientId', 'clientSecret', 'Google Cloud console']],
    [['7000215', 'invalid_client'], { preset: 'entra' }, ['clientSecret', 'Microsoft Entra admin center']],
    [['invalid_client'], { preset: 'apple', clientAuthentication: 'apple' }, ['teamId', '.p8', 'clock']],
    [['invalid_client'], { clientAuthentication: 'none' }, ['needs a secret']],
    [['invalid_client'], { clientAuthentication: 'private_key_jwt' }, ['privateKey', 'clock']],
    [['invalid_client'], { clientAuthentication: 'tls_client_auth' }, ['clientCert']],
    [
      ['invalid_scope'],
      { issuer: google.issuer },
      ['provider.scope (openid offline_access)', 'preset: google'],
    ],
    [['unauthorized_client'], {}, ['authorization code flow', 'https://as.example']],
    [
      ['90002'],
      { issuer: 'https://login.example/x' },
      ['provider.issuer (https://login.example/x)', 'tenants'],
    ],
    [['9002325'], {}, ['PKCE', 'none']],
    [['9002325'], { pkce: 'none' }, ['set own']],
    [['consent_required'], {}, ['consent', 'prompt: consent']],
    [['bad_verification_code'], { preset: 'github' }, [CALLBACK, 'GitHub', 'PKCE']],
  ] as const) {
    const advice = adviceOn(words, at(more))
    for (const part of expected) t.match(advice, part, `${words}`)
  }
  for (const words of [[], ['access_denied'], ['login_required'], ['something_else']]) {
    t.equal(adviceOn(words, at()), undefined, `${words}`)
  }
  t.match(adviceOnClient(at()), CALLBACK, 'whatever the word')
})

t.test('a refused client and a refused code are explained in the log (C-17, D-10)', async (t) => {
  for (const [error, level, message] of [
    ['invalid_client', 'error', /^the provider refuses this client: check provider\.clientId, clientSecret/],
    ['redirect_uri_mismatch', 'error', /register exactly https:\/\/api\.example\/oauth2\/callback/],
    ['something_else', 'error', /^the provider refuses this client: check provider\.clientId/],
    ['invalid_grant', 'warn', /^the provider refuses its code: if no login succeeds/],
  ] as const) {
    const { provider, post, lines } = await readyProvider(t)
    post('/token', EXCHANGE).reply(400, { error, error_description: 's3cret' }, JSON_TYPE)
    await t.rejects(provider.redeemCode(exchange))
    const line = lines.find((one) => one.level === level && message.test(one.message))
    t.match(line?.fields, { endpoint: 'token', cause: `status 400, error ${error}` }, error)
    t.notMatch(JSON.stringify(lines), /s3cret|c0de/)
  }
})

t.test('what metadata says against the options is a warning at start (M-07)', async (t) => {
  for (const [options, said, expected] of [
    [{}, { scopes_supported: ['openid', 'email'] }, [/provider\.scope has offline_access/]],
    [{}, { scopes_supported: ['openid', 'offline_access'] }, []],
    [{}, {}, []],
    [
      { clientAuthentication: 'client_secret_basic' },
      { token_endpoint_auth_methods_supported: ['client_secret_post', 'x\ny'] },
      [
        /clientAuthentication is client_secret_basic, .*\(token_endpoint_auth_methods_supported: client_secret_post\)$/,
      ],
    ],
    [{}, { token_endpoint_auth_methods_supported: ['client_secret_post'] }, []],
    [
      { responseMode: 'form_post' },
      { response_modes_supported: ['query'] },
      [/provider\.responseMode is form_post/],
    ],
    [{ responseMode: 'form_post' }, {}, [/response_modes_supported: query, fragment/]],
    [{ responseMode: 'form_post' }, { response_modes_supported: ['form_post'] }, []],
  ] as const) {
    const { lines } = await readyProvider(t, { ...options } as never, said)
    const warnings = lines.filter(({ level }) => level === 'warn').map(({ message }) => message)
    t.match(warnings, [...expected], JSON.stringify([options, said]))
    t.equal(warnings.length, expected.length)
    t.match(lines.at(-1)?.fields, { redirectUri: CALLBACK }, 'ready to copy')
  }
  const [warning] = metadataWarnings(
    { code_challenge_methods_supported: ['S256'], scopes_supported: ['openid', 'email', 'profile'] },
    { ...providerOptions, issuer: 'https://accounts.google.com' },
  )
  t.match(
    warning,
    /has offline_access.*invalid_scope, take that out.*`preset: google`/,
    'google + offline_access',
  )
})

t.test(
  'a mistake that comes back with the browser is a warning, a user who declines is not (B-08)',
  async (t) => {
    const plugin = await startPluginApp(t)
    for (const [error, level, words] of [
      [
        'redirect_uri_mismatch',
        40,
        /"msg":"the provider refused: register exactly https:\/\/api\.example\.com\/oauth2\/callback/,
      ],
      ['access_denied', 30, /"msg":"the provider refused"/],
    ] as const) {
      const before = plugin.log().length
      await plugin.callback(await plugin.authorize(), { error })
      const line = plugin
        .log()
        .slice(before)
        .split('\n')
        .find((one) => words.test(one))
      t.equal(JSON.parse(line ?? '{}').level, level, error)
    }
  },
)
