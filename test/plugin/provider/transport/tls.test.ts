import type { IncomingMessage } from 'node:http'
import https, { type ServerOptions } from 'node:https'
import type { TLSSocket } from 'node:tls'
import t, { type Test } from 'tap'
import { selfSigned } from '../../../support/certificate.ts'
import { connected, listen } from '../../../support/provider-server.ts'
import {
  EXCHANGE,
  everythingIn,
  exchange,
  ISSUER,
  JSON_TYPE,
  metadata,
  mockProvider,
  problemsOf,
  refused,
  TOKENS,
} from '../../../support/provider-setup.ts'

const authority = selfSigned('as.example')
const other = selfSigned('as.example')
const ours = selfSigned('backend.example')
const renewed = selfSigned('backend.example')

/** A provider on TLS that answers each request on a connection of its own. */
const serveTls = (t: Test, options: ServerOptions = {}, seen: IncomingMessage[] = []) =>
  listen(
    t,
    https.createServer({ ...authority, ...options }, (request, response) => {
      seen.push(request)
      response.writeHead(200, { 'content-type': 'application/json', connection: 'close' })
      response.end(JSON.stringify(TOKENS))
    }),
  )

t.test('an authority of its own is trusted, in place of all others (F-07, Q-07)', async (t) => {
  const { origin, requests } = await serveTls(t)
  const { provider } = await connected(t, origin, { ca: authority.cert })
  t.match(await provider.redeemCode(exchange), { accessToken: 'at' })
  const both = await connected(t, origin, { ca: other.cert + authority.cert })
  t.match(await both.provider.redeemCode(exchange), { accessToken: 'at' })
  t.equal(requests.length, 2)

  for (const options of [{}, { ca: other.cert }]) {
    const { provider } = await connected(t, origin, options)
    const error = await refused(t, provider.redeemCode(exchange), {
      reason: 'provider_unavailable',
      unsent: true,
    })
    t.match(everythingIn(error), /SELF_SIGNED|UNABLE_TO_VERIFY/)
  }
  t.equal(requests.length, 2)
})

t.test('a file that was replaced is used by the next connection (Q-07, F-06)', async (t) => {
  const { origin } = await serveTls(t)
  let ca = other.cert
  const { provider } = await connected(t, origin, { ca: async () => ca })
  await refused(t, provider.redeemCode(exchange), { reason: 'provider_unavailable', unsent: true })
  ca = authority.cert
  t.match(await provider.redeemCode(exchange), { accessToken: 'at' })
})

t.test('files that cannot be read or used are an outage in which nothing was sent (Q-07)', async (t) => {
  const { origin, requests } = await serveTls(t)
  const missing = Object.assign(new Error('s3cret path'), { code: 'ENOENT' })
  for (const options of [
    { ca: () => Promise.reject(missing) },
    { ca: authority.cert, clientCert: () => 's3cret', clientKey: () => 's3cret' },
  ]) {
    const { provider } = await connected(t, origin, options)
    const error = await refused(t, provider.redeemCode(exchange), {
      reason: 'provider_unavailable',
      unsent: true,
    })
    t.match(everythingIn(error), /TLS files: /)
    t.notMatch(everythingIn(error), 's3cret')
  }
  t.equal(requests.length, 0)
})

t.test(
  'tls_client_auth: the certificate says who we are, and client_id alone is sent (RFC 8705 §2)',
  async (t) => {
    const seen: IncomingMessage[] = []
    const shown: string[] = []
    const asking = { requestCert: true, ca: [ours.cert, renewed.cert], minVersion: 'TLSv1.2' as const }
    const server = https.createServer({ ...authority, ...asking }, (request, response) => {
      shown.push((request.socket as TLSSocket).getPeerCertificate().fingerprint256)
      let body = ''
      request.on('data', (chunk) => {
        body += chunk
      })
      request.on('end', () => {
        const { client_secret, ...expected } = EXCHANGE
        t.match(Object.fromEntries(new URLSearchParams(body)), { ...expected, redirect_uri: String })
        t.notMatch(body, 'client_secret')
        t.equal(request.headers.authorization, undefined)
        response.writeHead(200, { 'content-type': 'application/json', connection: 'close' })
        response.end(JSON.stringify(TOKENS))
      })
      seen.push(request)
    })
    const { origin } = await listen(t, server)
    let own = ours
    const { provider } = await connected(t, origin, {
      ...{ clientAuthentication: 'tls_client_auth', ca: authority.cert },
      ...{ clientCert: () => own.cert, clientKey: () => own.key },
    })
    await provider.redeemCode(exchange)
    own = renewed
    await provider.redeemCode(exchange)
    t.equal(new Set(shown).size, 2, 'a renewed certificate is shown, and no TLS session of the old one')
    t.ok(shown.every(Boolean))

    const without = await connected(t, origin, { ca: authority.cert })
    await refused(t, without.provider.redeemCode(exchange), { reason: 'provider_unavailable' })
    t.equal(seen.length, 2)
  },
)

t.test('a client with a certificate calls the endpoints for it (RFC 8705 §5, F-05)', async (t) => {
  const aliases = {
    token_endpoint: `${ISSUER}/mtls/token`,
    authorization_endpoint: `${ISSUER}/mtls/authorize`,
    issuer: 'https://evil.example',
  }
  const { clientSecret, ...tls } = {
    ...{ clientSecret: undefined, clientAuthentication: 'tls_client_auth' as const },
    ...{ clientCert: ours.cert, clientKey: ours.key },
  }
  const mock = mockProvider(t, { ...tls, scope: '' })
  mock.discovery({ ...metadata, mtls_endpoint_aliases: aliases })
  await mock.provider.start()
  const { client_secret, ...expected } = EXCHANGE
  mock.post('/mtls/token', expected).reply(200, TOKENS, JSON_TYPE)
  t.match(await mock.provider.redeemCode(exchange), { accessToken: 'at' })
  const request = { state: 's', extraScope: [], passThrough: {}, prompt: false }
  t.match(await mock.provider.authorizationUrl(request), `${ISSUER}/authorize?`)

  const elsewhere = mockProvider(t, tls)
  elsewhere.discovery({
    ...metadata,
    mtls_endpoint_aliases: { token_endpoint: 'https://mtls.example/token' },
  })
  t.match(await problemsOf(elsewhere.provider.start()), [
    /token_endpoint is on another host.*mtls\.example:443/,
  ])

  const without = mockProvider(t, { scope: '' })
  without.discovery({ ...metadata, mtls_endpoint_aliases: aliases })
  await without.provider.start()
  without.post('/token', EXCHANGE).reply(200, TOKENS, JSON_TYPE)
  t.match(await without.provider.redeemCode(exchange), { accessToken: 'at' })
})
