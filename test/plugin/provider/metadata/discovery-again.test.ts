import { mock as platform } from 'node:test'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import t, { type Test } from 'tap'
import type { ResolvedProvider } from '../../../../plugin/options/resolved.ts'
import { createConnectError } from '../../../../plugin/provider/transport/network.ts'
import {
  EXCHANGE,
  exchange,
  ISSUER,
  JSON_TYPE,
  type LogLine,
  metadata,
  mockProvider,
  OUR_CREDENTIALS,
  readyProvider,
  refused,
  TOKENS,
  withoutOpenId,
} from '../../../support/provider-setup.ts'
import { until } from '../../../support/wait.ts'

const MINUTE_MS = 60_000
const WELL_KNOWN = { path: '/.well-known/openid-configuration' }

/** A pause of the provider client, which ends when the test says so. */
interface HeldPause {
  readonly ms: number
  readonly signal: AbortSignal
  end(): void
}

/** The pauses of discovery, which can be broken off, are kept. Those between the tries of one call do not wait. */
function heldPauses(random = 0) {
  const pauses: HeldPause[] = []
  const sleep = (ms: number, signal?: AbortSignal) =>
    signal ? new Promise<void>((end) => pauses.push({ ms, signal, end })) : Promise.resolve()
  return { pauses, options: { sleep, random: () => random } }
}

/** A provider client that has its metadata, and the pauses that it is in. */
async function ready(t: Test, overrides: Partial<ResolvedProvider> = withoutOpenId) {
  const { pauses, options } = heldPauses()
  const mock = await readyProvider(t, overrides, {}, options)
  return { ...mock, pauses }
}

const hasChanged = (lines: LogLine[]) => lines.some(({ message }) => message.includes('has changed'))
const levels = (lines: LogLine[]) => lines.map(({ level }) => level)

t.test('metadata is read again', async (t) => {
  t.test('every hour, each instance at a time of its own, and what has moved is used (M-06)', async (t) => {
    for (const [random, minutes] of [
      [0, 40],
      [0.5, 60],
      [1, 80],
    ] as const) {
      const { pauses, options } = heldPauses(random)
      await readyProvider(t, {}, {}, options)
      t.same(
        pauses.map(({ ms }) => ms / MINUTE_MS),
        [minutes],
      )
    }

    const { provider, discovery, pauses, lines, as } = await ready(t)
    discovery({ ...metadata, token_endpoint: `${ISSUER}/v2/token`, revocation_endpoint: undefined })
    pauses[0]!.end()
    await until(() => pauses.length === 2)
    t.match(lines.at(-1), {
      level: 'info',
      fields: { changed: ['token_endpoint', 'revocation_endpoint'] },
      message: /has changed/,
    })
    as.intercept({ path: '/v2/token', method: 'POST' }).reply(200, TOKENS, JSON_TYPE)
    t.match(await provider.redeemCode(exchange), { accessToken: 'at' })

    discovery({ ...metadata, token_endpoint: `${ISSUER}/v2/token`, revocation_endpoint: undefined })
    const before = lines.length
    pauses[1]!.end()
    await until(() => pauses.length === 3)
    t.equal(lines.length, before, 'nothing is said of what has not changed')
  })

  const page = { headers: { 'content-type': 'text/html' } }
  const wrong: [string, number, string | object, object, RegExp][] = [
    ['of another issuer', 200, { ...metadata, issuer: 'https://evil.example' }, JSON_TYPE, /another issuer/],
    [
      'without a token endpoint',
      200,
      { ...metadata, token_endpoint: undefined },
      JSON_TYPE,
      /token_endpoint is missing/,
    ],
    [
      'with an endpoint elsewhere',
      200,
      { ...metadata, token_endpoint: 'https://evil.example/token' },
      JSON_TYPE,
      /token_endpoint is on another host/,
    ],
    [
      'without S256',
      200,
      { ...metadata, code_challenge_methods_supported: ['plain'] },
      JSON_TYPE,
      /does not list S256/,
    ],
    ['that is no JSON', 200, '<html>', page, /no usable metadata.*not a JSON object/],
    ['that is refused', 403, {}, JSON_TYPE, /no usable metadata.*status 403/],
  ]
  for (const [name, status, body, type, problem] of wrong) {
    t.test(`a document ${name} changes nothing, and the log says what is wrong (M-06, F-01)`, async (t) => {
      const { provider, as, post, pauses, lines } = await ready(t)
      as.intercept(WELL_KNOWN).reply(status, body, type)
      pauses[0]!.end()
      await until(() => pauses.length === 2)
      t.match(lines.at(-1), { level: 'warn', message: /metadata cannot be used.*stays in use/ })
      t.match((lines.at(-1)!.fields as { problems: object[] }).problems, [{ problem }])
      t.equal(provider.ready, true)
      post('/token', EXCHANGE).reply(200, TOKENS, JSON_TYPE)
      t.match(await provider.redeemCode(exchange), { accessToken: 'at' })
    })
  }

  t.test('a provider that does not answer changes nothing, either (M-06)', async (t) => {
    const { provider, as, pauses, lines } = await ready(t)
    as.intercept(WELL_KNOWN).reply(503, '')
    pauses[0]!.end()
    await until(() => pauses.length === 2)
    t.match(lines.at(-1), { level: 'warn', fields: { cause: 'status 503' }, message: /cannot be read again/ })
    t.equal(provider.ready, true)
  })

  t.test('no more after close: the pauses are broken off (M-06)', async (t) => {
    const { provider, pauses, lines } = await ready(t)
    t.equal(pauses[0]!.signal.aborted, false)
    await provider.close()
    t.equal(pauses[0]!.signal.aborted, true)
    const before = lines.length
    pauses[0]!.end()
    await new Promise((resolve) => setImmediate(resolve))
    t.equal(lines.length, before)
    t.equal(pauses.length, 1)
  })
})

t.test('an endpoint that has moved', async (t) => {
  const moved = { ...metadata, token_endpoint: `${ISSUER}/v2/token` }

  for (const status of [404, 405]) {
    t.test(`${status}: the request fails, is not repeated, and the next one succeeds (M-06)`, async (t) => {
      const { provider, post, as, discovery, pauses, lines, clock } = await ready(t)
      clock.ms += MINUTE_MS
      discovery(moved)
      post('/token', EXCHANGE).reply(status, '<html>', { headers: { 'content-type': 'text/html' } })
      await refused(t, provider.redeemCode(exchange), { statusCode: 502, unsent: false })
      await until(() => hasChanged(lines))
      as.intercept({ path: '/v2/token', method: 'POST' }).reply(200, TOKENS, JSON_TYPE)
      t.match(await provider.redeemCode(exchange), { accessToken: 'at' })
      t.equal(pauses.length, 1, 'the hourly one alone')
    })
  }

  t.test('however many requests fail: one read, a minute after the last one (M-06)', async (t) => {
    const { provider, post, discovery, pauses, lines, clock } = await ready(t)
    clock.ms += 20_000
    post('/token', EXCHANGE).reply(404, {}, JSON_TYPE).times(3)
    for (let i = 0; i < 3; i += 1) await refused(t, provider.redeemCode(exchange), { statusCode: 502 })
    t.same(
      pauses.slice(1).map(({ ms }) => ms),
      [40_000],
    )
    discovery(moved)
    clock.ms += 40_000
    pauses[1]!.end()
    await until(() => hasChanged(lines))
    t.equal(pauses.length, 2)
  })

  t.test(
    'no connection: the breaker of the old address does not keep out the new one (M-06, F-12)',
    async (t) => {
      const { provider, post, discovery, as, pauses, lines } = await ready(t)
      const unsent = { reason: 'provider_unavailable', unsent: true } as const
      post('/token', EXCHANGE).replyWithError(createConnectError('ENOTFOUND')).times(5)
      for (let i = 0; i < 6; i += 1) await refused(t, provider.redeemCode(exchange), unsent)
      discovery(moved)
      pauses[1]!.end()
      await until(() => hasChanged(lines))
      as.intercept({ path: '/v2/token', method: 'POST' }).reply(200, TOKENS, JSON_TYPE)
      t.match(await provider.redeemCode(exchange), { accessToken: 'at' })
    },
  )

  t.test('other failures are none of a move: 500, and a client that is refused (M-06)', async (t) => {
    const { provider, post, pauses, clock } = await ready(t)
    clock.ms += MINUTE_MS
    post('/token', EXCHANGE).reply(500, '')
    await refused(t, provider.redeemCode(exchange), { statusCode: 503 })
    post('/token', EXCHANGE).reply(401, { error: 'invalid_client' }, JSON_TYPE)
    await refused(t, provider.redeemCode(exchange), { statusCode: 502 })
    t.equal(pauses.length, 1)
  })

  t.test('explicit endpoints are never asked for again (M-06, F-01)', async (t) => {
    const { pauses, options } = heldPauses()
    const explicit = {
      ...withoutOpenId,
      authorizationEndpoint: `${ISSUER}/a`,
      tokenEndpoint: `${ISSUER}/token`,
    }
    const { provider, post, lines, clock } = mockProvider(t, explicit, options)
    await provider.start()
    clock.ms += MINUTE_MS
    post('/token', EXCHANGE).reply(404, {}, JSON_TYPE)
    await refused(t, provider.redeemCode(exchange), { statusCode: 502 })
    t.same(pauses, [])
    t.same(levels(lines), ['info', 'error'], 'that the client is refused, and nothing of metadata')
  })

  t.test('a revocation under way goes on at the new address (M-06, E-03)', async (t) => {
    const { provider, post, discovery, as, lines, clock } = await ready(t)
    clock.ms += MINUTE_MS
    const request = { ...OUR_CREDENTIALS, token: 'rt', token_type_hint: 'refresh_token' }
    post('/revoke', request).replyWithError(createConnectError('ECONNREFUSED'))
    discovery({ ...metadata, revocation_endpoint: `${ISSUER}/v2/revoke` })
    let isRevoked = false
    as.intercept({ path: '/v2/revoke', method: 'POST' }).reply(() => {
      isRevoked = true
      return { statusCode: 200 }
    })
    provider.revoke({ accessToken: 'at', refreshToken: 'rt' })
    await until(() => isRevoked)
    t.same(levels(lines), ['info', 'info'])
  })

  t.test(
    'a jwks_uri: its keys are fetched anew, and those of the old address prove nothing (M-06)',
    async (t) => {
      const { publicKey, privateKey } = await generateKeyPair('ES256')
      const keys = [{ ...(await exportJWK(publicKey)), kid: 'k' }]
      const { provider, as, post, discovery, pauses, clock } = await ready(t, { scope: 'openid' })
      const iat = Math.floor(clock.ms / 1000)
      const id_token = await new SignJWT({ iss: ISSUER, sub: 'alice', aud: 'backend', iat, exp: iat + 300 })
        .setProtectedHeader({ alg: 'ES256', kid: 'k' })
        .sign(privateKey)
      const login = () => {
        post('/token', EXCHANGE).reply(200, { access_token: 'at', id_token }, JSON_TYPE)
        return provider.redeemCode(exchange)
      }
      as.intercept({ path: '/jwks' }).reply(200, { keys }, JSON_TYPE)
      t.match(await login(), { claims: { sub: 'alice' } })

      discovery({ ...metadata, jwks_uri: `${ISSUER}/v2/jwks`, revocation_endpoint: undefined })
      pauses[0]!.end()
      await until(() => pauses.length === 2)
      as.intercept({ path: '/v2/jwks' }).reply(200, { keys: [] }, JSON_TYPE)
      await refused(t, login(), { reason: 'provider_unavailable', endpoint: 'jwks' }, 'they are not there')
      clock.ms += 1000
      as.intercept({ path: '/v2/jwks' }).reply(200, { keys }, JSON_TYPE)
      t.match(await login(), { claims: { sub: 'alice' } })
    },
  )
})

t.test('a request that meets missing metadata', async (t) => {
  /** A provider client that began in an outage. */
  async function inOutage(t: Test) {
    const { pauses, options } = heldPauses()
    const mock = mockProvider(t, withoutOpenId, options)
    const away = () => mock.as.intercept(WELL_KNOWN).replyWithError(createConnectError('ECONNREFUSED'))
    away()
    await mock.provider.start()
    return { ...mock, pauses, away }
  }

  t.test('triggers a try at once, which all share who wait (M-06)', async (t) => {
    const { provider, as, post } = await inOutage(t)
    let tries = 0
    const count = () => {
      tries += 1
      return { statusCode: 200, data: metadata, responseOptions: JSON_TYPE }
    }
    as.intercept(WELL_KNOWN).reply(count).persist()
    post('/token', EXCHANGE).reply(200, TOKENS, JSON_TYPE)
    const { authorizationUrl, redeemCode, whenReady } = provider
    const [first, second, tokens] = await Promise.all([whenReady(), whenReady(), redeemCode(exchange)])
    t.same([first, second], [true, true])
    t.equal(tries, 1)
    t.match(tokens, { accessToken: 'at' })
    const request = { state: 's', extraScope: [], passThrough: {}, prompt: false }
    t.match(await authorizationUrl(request), `${ISSUER}/authorize?`)
  })

  t.test(
    'after a failed try: refused at once for a second, then tried again, without a breaker (M-06)',
    async (t) => {
      const { provider, discovery, away, clock } = await inOutage(t)
      for (let failures = 0; failures < 10; failures += 1) {
        away()
        t.equal(await provider.whenReady(), false)
        clock.ms += 999
        await refused(t, provider.refresh({ refreshToken: 'r1' }), {
          ...{ reason: 'provider_not_ready', endpoint: 'discovery', statusCode: 503 },
          unsent: true,
        })
        clock.ms += 1
      }
      discovery()
      t.equal(await provider.whenReady(), true)
      t.equal(provider.ready, true)
    },
  )

  t.test(
    'finds a wrong document: refused, and the log has it from the try in the background (M-06)',
    async (t) => {
      const { provider, discovery, pauses, lines } = await inOutage(t)
      discovery({ ...metadata, issuer: 'https://evil.example' })
      t.equal(await provider.whenReady(), false)
      t.same(levels(lines), ['error'], 'of the start')
      discovery({ ...metadata, issuer: 'https://evil.example' })
      pauses[0]!.end()
      await until(() => pauses.length === 2)
      t.match(lines.at(-1), { level: 'error', fields: { problems: [{ path: ['provider', 'issuer'] }] } })
      t.equal(provider.ready, false)
    },
  )

  t.test('waits four seconds at most, and what comes later still counts (M-06)', async (t) => {
    const { provider, as } = await inOutage(t)
    platform.timers.enable({ apis: ['setTimeout'] })
    t.teardown(() => platform.timers.reset())
    as.intercept(WELL_KNOWN).reply(200, metadata, JSON_TYPE).delay(4500)
    let outcome: boolean | undefined
    const waiting = provider.whenReady().then((isReady) => {
      outcome = isReady
    })
    platform.timers.tick(3999)
    await new Promise((resolve) => setImmediate(resolve))
    t.equal(outcome, undefined)
    platform.timers.tick(1)
    await waiting
    t.equal(outcome, false)
    platform.timers.tick(500)
    await until(() => provider.ready)
  })
})
