/** `/metrics` after everything that a gateway can be asked for. */
import { hash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { WebSocket } from 'undici'
import { LABELS, METRICS, type MetricName } from '../../../../gateway/operations/metrics/definitions.ts'
import { processMetrics } from '../../../support/metrics-page.ts'
import { metricOf, type Scraped, scrape } from '../../../support/metrics-scrape.ts'
import { send } from '../../../support/native-app.ts'
import { type ReloadableGateway, reloadableGateway } from '../../../support/reloadable-gateway.ts'
import { json } from '../../../support/stub-provider.ts'
import { until } from '../../../support/wait.ts'

const CLIENT = 'com.example.app'
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

/** An upstream with event streams and WebSockets that stay open, and one answer of each class. */
async function startUpstream(t: Test): Promise<string> {
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    request.resume()
    if (request.url?.startsWith('/events')) {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n')
    } else if (request.url === '/broken') request.socket.destroy()
    else json(response, request.url === '/missing' ? 404 : 200, {})
  })
  server.on('upgrade', (request, socket) => {
    const accept = hash('sha1', request.headers['sec-websocket-key'] + GUID, 'base64')
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    )
    socket.on('error', () => {}).on('data', () => socket.end())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function gatewayIn(t: Test): Promise<ReloadableGateway> {
  const target = await startUpstream(t)
  return reloadableGateway(t, (config) => ({
    ...config,
    lifetimes: { duplicateSeconds: 0 },
    upstreams: [
      { prefix: '/api', target, scopes: ['orders.read'], websocket: {} },
      { prefix: '/gone', target: 'http://127.0.0.1:9', public: true },
    ],
  }))
}

/** Every way of a request, good and bad. @returns ends what is still open. */
async function beBusy(t: Test, { app, publicUrl, stub, reload }: ReloadableGateway): Promise<() => void> {
  const { access_token } = await app.login()
  const { origin } = new URL(publicUrl)
  const call = (path: string, request: RequestInit = {}) => app.call(access_token, path, request)
  for (const path of ['/api/a', '/api/b', '/api/missing', '/api/broken', '/gone/x', '/nowhere'])
    await call(path)
  await call('/api/a', { method: 'POST', body: 'x' })
  await app.call(undefined, '/api/a')
  await app.call('wrong', '/api/a')

  const events = new AbortController()
  const stream = await fetch(`${publicUrl}/api/events`, {
    headers: { authorization: `Bearer ${access_token}` },
    signal: events.signal,
  })
  t.equal(stream.status, 200)
  const socket = new WebSocket(`${publicUrl.replace('http', 'ws')}/api/ws`, {
    headers: { authorization: `Bearer ${access_token}` },
  } as never)
  await new Promise((resolve) => socket.addEventListener('open', resolve))

  // A wrong verifier, a replay, a reused refresh token, a person who declines, a browser that comes back to nothing.
  const code = await app.code()
  t.equal((await app.redeem({ ...code, verifier: 'x'.repeat(43) })).status, 400)
  const used = await app.code()
  t.equal((await app.redeem(used)).status, 200)
  t.equal((await app.redeem(used)).status, 400)
  const { refresh_token } = await app.login()
  const first = await app.refresh(refresh_token)
  const second = await app.refresh(String(first.json.refresh_token))
  t.equal((await app.call(String(second.json.access_token), '/api/a')).status, 200)
  t.equal((await app.refresh(refresh_token)).status, 400)
  await send(`${origin}/oauth2/callback?code=x&state=x`)

  // The provider is down until its breaker opens.
  const answer = stub.behave.token
  stub.behave.token = (_request, response) => json(response, 500, {})
  for (let i = 0; i < 6; i++) await app.redeem(await app.code())
  stub.behave.token = answer

  // What callers choose.
  for (let i = 0; i < 20; i++) {
    const random = randomBytes(6).toString('hex')
    await send(`${origin}/oauth2/authorize?client_id=${random}&response_type=code`)
    await app.post('token', { grant_type: 'refresh_token', refresh_token: random, client_id: random })
    await send(`${origin}/${random}`)
    await call(`/api/${random}?${random}=1`)
    await call(`/api/${random}`, { method: `X${random}`.toUpperCase() }).catch(() => {})
    await call(`/api/${random}`, { method: 'PROPFIND' })
  }
  await reload()
  await reload((config) => ({ ...config, publicUrl: 'nonsense' }))
  return () => {
    events.abort()
    socket.close()
  }
}

t.test('every metric is there after a busy time, and all of them are documented (Q-04)', async (t) => {
  const stack = await gatewayIn(t)
  const end = await beBusy(t, stack)
  const scraped = await scrape(stack.gateway.adminAddress)

  const documented = [...Object.keys(METRICS), ...(await processMetrics()).map(({ name }) => name)]
  t.same([...scraped.types.keys()].sort(), documented.sort())
  const counted = new Set(scraped.samples.map(({ name }) => metricOf(name, scraped.types)))
  t.same(
    Object.keys(METRICS).filter((name) => !counted.has(name)),
    [],
    'each has a value',
  )
  t.same(
    Object.entries(METRICS).filter(([name, { type }]) => scraped.types.get(name) !== type),
    [],
  )

  labelsAreBounded(t, scraped)
  whatWasCounted(t, scraped)
  await theEnd(t, stack, end)
})

/** Random clients, paths and methods make no series of their own. */
function labelsAreBounded(t: Test, { samples, types }: Scraped): void {
  const values = new Map<string, Set<string>>()
  const undocumented: string[] = []
  for (const { name, labels } of samples) {
    const metric = metricOf(name, types)
    if (!(metric in METRICS)) continue
    const { le: _, ...own } = labels
    const documented: readonly string[] = METRICS[metric as MetricName].labels
    if (Object.keys(own).join() !== documented.join()) undocumented.push(`${metric} ${Object.keys(own)}`)
    for (const [label, value] of Object.entries(own)) {
      values.set(label, (values.get(label) ?? new Set()).add(value))
    }
  }
  t.same(undocumented, [])
  t.same(
    [...values.keys()].filter((label) => !(label in LABELS)),
    [],
  )
  t.same([...values.get('client')!].sort(), [CLIENT, 'unknown'], 'random client ids: unknown (J-09)')
  t.same([...values.get('route')!].sort(), [
    '/api',
    '/gone',
    '/oauth2/authorize',
    '/oauth2/callback',
    '/oauth2/token',
    'none',
  ])
  t.same([...values.get('method')!].sort(), ['other', 'read', 'write'])
  t.ok([...values.get('status')!].every((status) => /^[1-5]xx$|^none$/.test(status)))
}

function whatWasCounted(t: Test, { value }: Scraped): void {
  const login = (step: string, outcome = 'ok') =>
    value('pkce_login_steps_total', { client: CLIENT, step, outcome })
  t.equal(login('begun'), 10)
  t.equal(login('returned'), 10)
  t.equal(login('proved', 'refused'), 1)
  t.equal(login('proved'), 9, 'all but the wrong verifier')
  t.equal(login('redeemed', 'failed'), 6)
  t.equal(login('redeemed'), 3)
  t.equal(login('first_call'), 2, 'two of the sessions were used')
  t.equal(value('pkce_login_steps_total', { client: 'unknown', step: 'begun', outcome: 'refused' }), 20)
  for (const event of ['code.verifier_mismatch', 'code.replay', 'refresh.reuse']) {
    t.equal(value('pkce_audit_events_total', { event, client: CLIENT }), 1, event)
  }
  t.equal(value('pkce_refreshes_total', { outcome: 'ok' }), 2)
  t.equal(value('pkce_refreshes_total', { outcome: 'refused' }), 1)
  t.equal(value('pkce_requests_total', { route: '/api', method: 'write', status: '2xx' }), 1)
  t.equal(value('pkce_requests_total', { route: '/api', method: 'read', status: '1xx' }), 1, 'the WebSocket')
  t.equal(value('pkce_requests_total', { route: '/gone', status: '5xx' }), 1)
  t.equal(value('pkce_requests_total', { route: 'none', status: '4xx' }), 21)
  t.equal(
    value('pkce_request_duration_seconds_count', { route: '/api' }),
    value('pkce_requests_total', { route: '/api' }),
  )
  t.equal(value('pkce_upstream_failures_total', { route: '/api', failure: 'connection_lost' }), 1)
  t.equal(value('pkce_upstream_failures_total', { route: '/gone', failure: 'connect_failed' }), 1)
  t.equal(value('pkce_open_streams', { route: '/api', kind: 'event_stream' }), 1)
  t.equal(value('pkce_open_streams', { route: '/api', kind: 'websocket' }), 1)
  t.equal(value('pkce_refusals_total', { reason: 'token_absent' }), 1)
  t.equal(value('pkce_provider_breaker_open', { endpoint: 'token' }), 1)
  t.equal(value('pkce_provider_calls_total', { endpoint: 'token', outcome: 'failed' }), 5)
  t.equal(value('pkce_provider_calls_total', { endpoint: 'token', outcome: 'not_made' }), 1)
  t.equal(value('pkce_store_notifications_up'), 1)
  t.ok(value('pkce_store_notification_seconds_count') > 0)
  t.equal(value('pkce_store_operations_total', { outcome: 'error' }), 0)
  t.ok(value('pkce_session_cache_lookups_total', { result: 'hit' }) > 20)
  t.equal(value('pkce_reloads_total', { outcome: 'ok' }), 1)
  t.equal(value('pkce_reloads_total', { outcome: 'refused' }), 1)
  t.equal(value('pkce_last_reload_successful'), 0)
  t.equal(value('pkce_serving_processes'), 1)
}

/** A reload loses no count, and what has ended is no longer open. */
async function theEnd(
  t: Test,
  { gateway, publicUrl, reload }: ReloadableGateway,
  end: () => void,
): Promise<void> {
  const before = await scrape(gateway.adminAddress)
  t.notMatch(await reload((config) => ({ ...config, publicUrl })), { problems: [] })
  end()
  await until(async () => {
    const { value } = await scrape(gateway.adminAddress)
    return value('pkce_open_streams') === 0 && value('pkce_requests_in_flight') === 0
  })
  const after = await scrape(gateway.adminAddress)
  const lost = before.samples.filter(
    ({ name, labels, value }) =>
      ['counter', 'histogram'].includes(before.types.get(metricOf(name, before.types))!) &&
      after.value(name, labels) < value,
  )
  t.same(lost, [], 'no count goes back')
}
