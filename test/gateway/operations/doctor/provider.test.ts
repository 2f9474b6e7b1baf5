/** What doctor finds of providers, real and wrong ones. Each finding is provoked (Q-09, M-07). */
import type { IncomingMessage, RequestListener } from 'node:http'
import { createServer } from 'node:http'
import { createServer as createSecure } from 'node:https'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { ProviderConfig } from '../../../../gateway/config/schemas/gateway.ts'
import type { Finding } from '../../../../gateway/operations/doctor/finding.ts'
import { providerChecks } from '../../../../gateway/operations/doctor/provider.ts'
import { selfSigned } from '../../../support/certificate.ts'
import { codes, subjectOf, told } from '../../../support/doctor.ts'
import { minimal, secret } from '../../../support/gateway-config.ts'
import { startOidcProvider } from '../../../support/node-providers/oidc-provider.ts'
import { listen } from '../../../support/provider-server.ts'
import { startStubProvider } from '../../../support/stub-provider.ts'

const CALLBACK = 'http://127.0.0.1:3000/oauth2/callback'

type ProviderInput = Partial<ProviderConfig>

/** What is found of the only provider. */
async function findingsOf(t: Test, provider: ProviderInput): Promise<Finding[]> {
  const subject = subjectOf(t, { provider: { ...minimal().provider, ...provider } })
  return (await Promise.all(providerChecks(subject).map(([, check]) => check()))).flat()
}

interface Misbehaviour {
  readonly metadata?: Record<string, unknown>
  /** In milliseconds. */
  readonly clock?: number
  /** In seconds, of a cache. */
  readonly age?: number
  readonly jwks?: unknown
  readonly authorize?: RequestListener
  readonly par?: RequestListener
  readonly tls?: ReturnType<typeof selfSigned>
}

/** A provider with one key, and what is wrong with it. */
async function provider(
  t: Test,
  { metadata = {}, clock = 0, age = 0, jwks, authorize, par, tls }: Misbehaviour = {},
) {
  const stub = await startStubProvider()
  t.teardown(() => stub.close())
  const keys = await (await fetch(`${stub.issuer}/jwks`)).json()
  let origin = ''
  const listener: RequestListener = (request, response) => {
    const [path] = (request.url ?? '').split('?')
    response.setHeader('date', new Date(Date.now() + clock).toUTCString())
    if (age > 0) response.setHeader('age', age)
    if (path === '/authorize' && authorize) return authorize(request, response)
    if (path === '/par' && par) return par(request, response)
    response.setHeader('content-type', 'application/json')
    if (path === '/jwks' && jwks !== 'none') return response.end(JSON.stringify(jwks ?? keys))
    if (path !== '/.well-known/openid-configuration') return response.writeHead(404).end('{}')
    const document = {
      issuer: origin,
      authorization_endpoint: `${origin}/authorize`,
      token_endpoint: `${origin}/token`,
      jwks_uri: `${origin}/jwks`,
      code_challenge_methods_supported: ['S256'],
      ...metadata,
    }
    return response.end(JSON.stringify(document))
  }
  const server = await listen(t, tls ? createSecure(tls, listener) : createServer(listener))
  origin = server.origin
  return server
}

t.test('oidc-provider, as it is and with another redirect URI (Q-09)', async (t) => {
  const good = await startOidcProvider(t, CALLBACK)
  const { issuer, clientId, clientSecret } = good
  const sound = await findingsOf(t, { issuer, clientId, clientSecret, scope: 'openid offline_access' })
  t.same(codes(sound), ['provider_metadata', 'provider_clock', 'provider_keys', 'provider_redirect_untold'])
  t.match(sound, [{ status: 'ok' }, { status: 'ok' }, { status: 'ok' }, { status: 'ok' }])
  told(t, sound, 'provider_clock', { found: /agree within 1 s\.$/ })
  told(t, sound, 'provider_keys', { found: /^\d+ of its keys can verify/ })
  told(t, sound, 'provider_redirect_untold', {
    found: /^It refuses no authorization request/,
    advice: /^That http:\/\/127\.0\.0\.1:3000\/oauth2\/callback is registered/,
  })
  t.same(
    good.calls.filter((call) => !/^GET \/(\.well-known|jwks|auth)/.test(call)),
    ['POST /request'],
    'it is asked three things, and one request is pushed (RFC 9126)',
  )

  const other = await startOidcProvider(t, 'http://127.0.0.1:3000/other')
  const refused = await findingsOf(t, { issuer: other.issuer, clientId, clientSecret, par: 'never' })
  told(t, refused, 'provider_redirect_refused', {
    found: /^It refuses our authorization request: invalid_redirect_uri\.$/,
    advice:
      /^Register exactly http:\/\/127\.0\.0\.1:3000\/oauth2\/callback as a redirect URI at the provider/,
  })
  const pushed = await findingsOf(t, { issuer: other.issuer, clientId, clientSecret })
  told(t, pushed, 'provider_redirect_refused', {
    found: /: invalid_request\.$/,
    advice: new RegExp(`must be exactly ${CALLBACK}`),
  })
  const unknown = await findingsOf(t, { issuer, clientId: 'nobody', clientSecret })
  told(t, unknown, 'provider_redirect_refused', {
    found: /: invalid_client\.$/,
    advice: /^Check provider\.clientId, clientSecret/,
  })
})

t.test('a provider that cannot be reached (Q-09)', async (t) => {
  told(t, await findingsOf(t, { issuer: 'http://127.0.0.1:1' }), 'provider_unreachable', {
    found: /^It cannot be reached: ECONNREFUSED\.$/,
    advice: /host of provider\.issuer/,
  })
  told(t, await findingsOf(t, { issuer: 'https://no-such-host.invalid' }), 'provider_unknown_name', {
    found: /\((?:ENOTFOUND|EAI_AGAIN)\)\.$/,
    advice: /^Correct provider\.issuer, or the DNS/,
  })
  const { origin } = await listen(
    t,
    createServer((_, response) => response.writeHead(503).end()),
  )
  told(t, await findingsOf(t, { issuer: origin }), 'provider_unreachable', {
    found: /status 503\.$/,
    advice: /whether it is up/,
  })
})

t.test('the certificate of a provider: whose, for whom, until when (Q-09, Q-07)', async (t) => {
  const inDays = (days: number) => new Date(Date.now() + days * 86_400_000)
  const tlsOf = async (tls: ReturnType<typeof selfSigned>, trusted = true, host = '127.0.0.1') => {
    const { port } = await provider(t, { tls })
    const folder = t.testdir({ 'ca.pem': tls.cert })
    const issuer = `https://${host}:${port}`
    return findingsOf(t, {
      ...{ issuer, dangerouslyAllowPrivateNetwork: true },
      ...(trusted && { caFile: join(folder, 'ca.pem') }),
    })
  }
  t.equal(codes(await tlsOf(selfSigned('localhost', inDays(90))))[0], 'provider_metadata')
  const ending = await tlsOf(selfSigned('localhost', inDays(5)))
  told(t, ending, 'provider_certificate_ends', {
    found: /^Its certificate ends on/,
    advice: /provider\.issuer/,
  })
  told(t, await tlsOf(selfSigned('localhost'), false), 'provider_untrusted', {
    found: /\(DEPTH_ZERO_SELF_SIGNED_CERT\); its issuer is "[0-9a-f]{16}"\.$/,
    advice: /provider\.caFile/,
  })
  told(t, await tlsOf(selfSigned('localhost', inDays(-1))), 'provider_certificate_wrong', {
    found: /\(CERT_HAS_EXPIRED\)/,
    advice: /the clock of this machine/,
  })
  told(t, await tlsOf(selfSigned('as.example.com'), true, 'localhost'), 'provider_certificate_wrong', {
    found: /\(ERR_TLS_CERT_ALTNAME_INVALID\)/,
    advice: /^Correct provider\.issuer/,
  })
})

t.test('metadata that cannot be used (Q-09, F-01)', async (t) => {
  const of = async (metadata: Record<string, unknown>, more: ProviderInput = {}) =>
    findingsOf(t, { issuer: (await provider(t, { metadata })).origin, ...more })
  told(t, await of({ issuer: 'https://other.example' }), 'provider_no_metadata', {
    found: /^provider\.issuer: the metadata names another issuer\.$/,
    advice: /^It must be the same string, slash for slash\.$/,
  })
  told(t, await of({ issuer: 'https://login.example/{tenantid}/v2.0' }), 'provider_no_metadata', {
    found: /^provider\.tenants is required/,
    advice: /^List the ids of yours/,
  })
  told(t, await of({ code_challenge_methods_supported: ['plain'] }), 'provider_pkce', {
    found: /^provider\.pkce is own, but the provider's metadata does not list S256/,
    advice: /^If it has no S256, set none\.$/,
  })
  told(t, await of({ jwks_uri: undefined }), 'provider_no_metadata', {
    found: /jwks_uri is missing\.$/,
    advice: /provider\.issuer/,
  })
  told(t, await of({}, { par: 'always' }), 'provider_metadata_refused', {
    found: /^provider\.par is always, but/,
    advice: /provider\.par/,
  })
  const none = await listen(
    t,
    createServer((_, response) => response.writeHead(404).end()),
  )
  told(t, await findingsOf(t, { issuer: none.origin }), 'provider_no_metadata', {
    found: /there is no usable metadata/,
    advice: /authorizationEndpoint and tokenEndpoint\.$/,
  })
})

t.test('metadata that speaks against the options (Q-09, M-07)', async (t) => {
  const metadata = {
    scopes_supported: ['openid'],
    token_endpoint_auth_methods_supported: ['private_key_jwt'],
    code_challenge_methods_supported: undefined,
    response_modes_supported: ['fragment'],
  }
  const findings = await findingsOf(t, {
    issuer: (await provider(t, { metadata })).origin,
    scope: 'openid offline_access',
  })
  const warnings = findings.filter(({ code }) => code === 'provider_metadata_warning')
  for (const [found, advice] of [
    [/PKCE \(code_challenge_methods_supported\)/, /refuses a wrong code_verifier/],
    [/^provider\.scope has offline_access, which/, /take that out/],
    [/^provider\.clientAuthentication is client_secret_\w+, which/, /provider\.clientAuthentication/],
    [/^provider\.responseMode is query, which/, /provider\.responseMode/],
  ] as const) {
    told(
      t,
      warnings.filter((one) => found.test(one.found)),
      'provider_metadata_warning',
      { found, advice },
    )
  }
  t.equal(warnings.length, 4)
  t.notOk(codes(findings).includes('provider_metadata'))
})

t.test('its clock, by its Date (Q-09)', async (t) => {
  const of = async (seconds: number) =>
    findingsOf(t, { issuer: (await provider(t, { clock: seconds * 1000 })).origin })
  told(t, await of(-20), 'provider_clock_differs', {
    found: /^Its clock is (?:19|20|21) s behind of the one here\.$/,
    advice: /by NTP/,
  })
  told(t, await of(300), 'provider_clock_off', {
    found:
      /^Its clock is (?:299|300|301) s ahead of the one here, more than provider\.clockToleranceSeconds\.$/,
    advice: /by NTP/,
  })
})

t.test('what a cache has kept is no other clock (Q-09, RFC 9111 §5.1)', async (t) => {
  const { origin } = await provider(t, { clock: -300_000, age: 300 })
  told(t, await findingsOf(t, { issuer: origin }), 'provider_clock', { found: /agree within [12] s/ })
})

t.test('its keys (Q-09)', async (t) => {
  const of = async (jwks: unknown) => findingsOf(t, { issuer: (await provider(t, { jwks })).origin })
  const unusable = [
    { kty: 'oct', k: 'c2VjcmV0', alg: 'HS256' },
    { kty: 'EC', crv: 'P-256', x: 'x', y: 'y', alg: 'ES256' },
    { kty: 'OKP', crv: 'X25519', x: 'hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo', use: 'enc' },
    null,
  ]
  told(t, await of({ keys: unusable }), 'provider_keys_unusable', {
    found: /^None of its keys/,
    advice: /RS256 or ES256/,
  })
  told(t, await of({}), 'provider_keys_unreachable', {
    found: /: not a key set\.$/,
    advice: /provider\.jwksUri/,
  })
  told(t, await of('none'), 'provider_keys_unreachable', { found: /status 404/, advice: /jwks_uri/ })
})

t.test('what the answer to an authorization request tells (Q-09)', async (t) => {
  const seen: IncomingMessage[] = []
  const of = async (authorize: RequestListener) =>
    findingsOf(t, {
      issuer: (
        await provider(t, {
          authorize(request, response) {
            seen.push(request)
            authorize(request, response)
          },
        })
      ).origin,
    })
  const page = (status: number, text: string) =>
    of((_, response) => response.writeHead(status, { 'content-type': 'text/html' }).end(text))
  const to = (location: string) => of((_, response) => response.writeHead(302, { location }).end())

  told(t, await to(`${CALLBACK}?error=login_required&state=x`), 'provider_redirect_registered', {
    found: /^http:\/\/127\.0\.0\.1:3000\/oauth2\/callback is registered there\.$/,
  })
  told(t, await to(`${CALLBACK}?error=invalid_scope&state=x`), 'provider_redirect_refused', {
    found: /: invalid_scope\.$/,
    advice: /^Check provider\.scope/,
  })
  told(t, await to(`${CALLBACK}?error=pkce_required&state=x`), 'provider_redirect_refused', {
    found: /: pkce_required\.$/,
    advice: /^PKCE with S256 must be allowed/,
  })
  t.match(codes(await to('/login?return_to=%2Fauthorize')), /provider_redirect_untold/)
  t.match(
    codes(await page(200, '<h1>Sign in</h1> <!-- unauthorized_page invalid_scope -->')),
    /redirect_untold/,
  )

  // As Google, Entra ID, Keycloak and Auth0 say it.
  const authError = Buffer.from('\n\u0015redirect_uri_mismatch\u0012').toString('base64url')
  for (const [title, findings] of [
    ['Google', await to(`https://accounts.google.com/signin/oauth/error?authError=${authError}`)],
    ['Entra ID', await page(200, "AADSTS50011: The redirect URI '…' does not match")],
    ['Keycloak', await page(400, 'Invalid parameter: redirect_uri')],
    ['Auth0', await page(403, '<title>Callback URL mismatch.</title>')],
  ] as const) {
    told(t, findings, 'provider_redirect_refused', {
      found: /redirect_uri_mismatch|50011/,
      advice: new RegExp(`^Register exactly ${CALLBACK}`),
    })
    t.pass(title)
  }
  told(t, await page(400, 'no'), 'provider_redirect_refused', {
    found: /without a word that is known\.$/,
    advice: /provider\.clientId/,
  })
  t.match(codes(await page(403, 'robots are not welcome')), /provider_redirect_untold/)
  told(t, await page(502, ''), 'provider_authorization_unreachable', {
    found: /: status 502\.$/,
    advice: /register http:\/\/127\.0\.0\.1:3000\/oauth2\/callback/,
  })
  for (const { method, url = '', headers } of seen) {
    t.equal(method, 'GET')
    t.notOk('authorization' in headers)
    t.notMatch(url, /prompt|secret/)
  }
})

t.test('where requests are pushed, it is seen whether our client is accepted (Q-09)', async (t) => {
  // The address of the endpoint has to be that of the server.
  let origin = ''
  const metadata: Record<string, unknown> = {}
  Object.defineProperty(metadata, 'pushed_authorization_request_endpoint', {
    enumerable: true,
    get: () => `${origin}/par`,
  })
  const refusing = await provider(t, {
    metadata,
    par: (_, response) => response.writeHead(401).end('{"error":"invalid_client"}'),
  })
  origin = refusing.origin
  const findings = await findingsOf(t, { issuer: origin })
  told(t, findings, 'provider_redirect_refused', {
    found: /: invalid_client\.$/,
    advice: /^Check provider\.clientId, clientSecret/,
  })
  t.notMatch(JSON.stringify(findings), secret)
})

t.test('endpoints that are written, and several providers by their names (Q-09, M-04)', async (t) => {
  const { origin } = await provider(t)
  const written = await findingsOf(t, {
    ...{ issuer: origin, scope: '' },
    ...{ authorizationEndpoint: `${origin}/authorize`, tokenEndpoint: `${origin}/token` },
  })
  told(t, written, 'provider_endpoints', { found: /written in the configuration/ })
  t.ok(codes(written).includes('provider_clock'), 'its clock is seen all the same')

  const { provider: one, ...rest } = minimal()
  const subject = subjectOf(t, {
    ...rest,
    provider: undefined as never,
    providers: {
      good: { ...one, issuer: origin },
      bad: { ...one, issuer: 'http://127.0.0.1:1' },
    },
  })
  const checks = providerChecks(subject)
  t.same(
    checks.map(([part]) => part),
    ['providers.good', 'providers.bad'],
  )
  const [good, bad] = await Promise.all(checks.map(([, check]) => check()))
  t.match(good!.at(-1)!.advice, 'http://127.0.0.1:3000/oauth2/callback/good')
  told(t, bad!, 'provider_unreachable', { found: /ECONNREFUSED/, advice: /providers\.bad\.issuer/ })
})
