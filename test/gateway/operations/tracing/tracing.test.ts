/** Spans of a gateway in a program that has registered a tracer provider. */
import { context, SpanKind, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base'
import t, { type Test } from 'tap'
import { createTracing } from '../../../../gateway/operations/tracing/tracing.ts'
import { send } from '../../../support/native-app.ts'
import { type ReloadableGateway, reloadableGateway } from '../../../support/reloadable-gateway.ts'
import { json } from '../../../support/stub-provider.ts'
import { until } from '../../../support/wait.ts'

const exporter = new InMemorySpanExporter()
const TRACE_ID = '0af7651916cd43dd8448eb211c80319c'
const TRACEPARENT = `00-${TRACE_ID}-b7ad6b7169203331-01`

t.test('without a registered provider nothing is traced (Q-05)', async (t) => {
  t.equal(createTracing(), undefined)
})

t.test('with one', async (t) => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  trace.setGlobalTracerProvider(
    new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }),
  )
  t.teardown(() => {
    trace.disable()
    context.disable()
  })
  await oneLogin(t)
  await failures(t)
  await parents(t)
})

const spans = () => exporter.getFinishedSpans()
const named = (name: string) => spans().filter((span) => span.name === name)
const idOf = (span: ReadableSpan | undefined) => span?.spanContext().spanId
const childrenOf = (span: ReadableSpan | undefined) =>
  spans()
    .filter(({ parentSpanContext }) => parentSpanContext?.spanId === idOf(span))
    .map(({ name }) => name)

/** The only one of that name, once it has ended. */
async function spanNamed(name: string): Promise<ReadableSpan> {
  await until(() => named(name).length > 0)
  return named(name)[0]!
}

/** What the upstream has been told. */
function receivedBy({ api }: ReloadableGateway) {
  const received: NodeJS.Dict<string | string[]>[] = []
  api.onRequest(({ headers }) => received.push(headers))
  return received
}

async function oneLogin(t: Test): Promise<void> {
  await t.test('the spans of one login have one parent, and its calls are traced (Q-05)', async (t) => {
    const stack = await reloadableGateway(t)
    const { app } = stack
    const received = receivedBy(stack)
    exporter.reset()
    const code = await app.code()
    const tokens = (await app.redeem(code)).json
    await app.call(String(tokens.access_token), '/api/orders/4711?card=secret-query')
    const forwarded = await spanNamed('GET /api')

    const authorize = await spanNamed('GET /oauth2/authorize')
    t.match(authorize, { kind: SpanKind.SERVER, parentSpanContext: undefined })
    t.match(authorize.attributes, {
      'http.request.method': 'GET',
      'http.route': '/oauth2/authorize',
      'http.response.status_code': 302,
      'url.scheme': 'http',
    })
    t.same(childrenOf(authorize), ['memory create', 'login callback', 'login token'])
    const [callback] = named('login callback')
    const [token] = named('login token')
    t.equal(token?.spanContext().traceId, authorize.spanContext().traceId)
    t.same(childrenOf(callback), ['memory replace'])
    t.same(
      new Set(childrenOf(token)),
      new Set(['GET jwks', 'POST token', 'memory add_to_index', 'memory replace', 'memory read_index']),
    )
    t.match(named('POST token')[0], {
      kind: SpanKind.CLIENT,
      attributes: { 'http.response.status_code': 200 },
    })

    const request = await spanNamed('POST /oauth2/token')
    t.match(childrenOf(request), ['memory read', 'memory replace'], 'after its body was read, too')
    t.same(
      request.links.map(({ context }) => context.spanId),
      [idOf(token)],
    )
    t.same(childrenOf(forwarded), ['memory read', 'GET'])
    t.same(
      forwarded.links.map(({ context }) => context.spanId),
      [idOf(authorize)],
      'the first request with the session',
    )
    const [upstream] = named('GET')
    t.match(upstream, { kind: SpanKind.CLIENT, attributes: { 'http.response.status_code': 200 } })
    const { traceId, spanId } = upstream!.spanContext()
    t.equal(received.at(-1)?.traceparent, `00-${traceId}-${spanId}-01`)

    const text = JSON.stringify(
      spans().map(({ name, attributes, status, events, links }) => [name, attributes, status, events, links]),
    )
    const state = code.redirect.searchParams.get('state')!
    const secrets = [code.code, code.verifier, code.challenge, state, ...Object.values(tokens).map(String)]
    const seen = [...secrets, 'alice', '4711', 'secret-query', 'gateway-secret', 'stub-code', '?'].filter(
      (secret) =>
        secret.length > 4 && secret !== 'Bearer' && secret !== 'orders.read' && text.includes(secret),
    )
    t.same(seen, [], 'no secret, no path, no query, no subject')
  })
}

async function failures(t: Test): Promise<void> {
  await t.test('what fails says so by a name, and a reload goes on tracing (Q-05)', async (t) => {
    const stack = await reloadableGateway(t, (config) => ({
      ...config,
      upstreams: [...config.upstreams!, { prefix: '/gone', target: 'http://127.0.0.1:9', public: true }],
    }))
    const { app, publicUrl, stub } = stack
    await stack.reload()
    exporter.reset()
    await send(`${publicUrl}/gone/x`)
    const gone = await spanNamed('GET /gone')
    t.match(gone.attributes, { 'http.response.status_code': 502, 'error.type': '502' })
    t.match(named('GET')[0]?.attributes, {
      'error.type': 'no_answer',
      'server.address': '127.0.0.1',
      'server.port': 9,
    })

    stub.behave.token = (_request, response) => json(response, 500, { error: 'secret words of the provider' })
    t.equal((await app.redeem(await app.code())).status, 503)
    const token = await spanNamed('login token')
    t.match(token.attributes, { 'error.type': 'provider_unavailable' })
    t.match(named('POST token')[0]?.attributes, { 'error.type': 'failed' })
    await send(`${publicUrl}/nowhere`, { method: 'PROPFIND' })
    t.match((await spanNamed('HTTP')).attributes, { 'http.request.method': '_OTHER' })
    t.notMatch(JSON.stringify(spans().map(({ attributes, status }) => [attributes, status])), /secret words/)
  })
}

async function parents(t: Test): Promise<void> {
  const ask = async (stack: ReloadableGateway, traceparent: string) => {
    exporter.reset()
    const received = receivedBy(stack)
    await send(`${stack.publicUrl}/status`, { headers: { traceparent, tracestate: 'vendor=1' } })
    return { span: await spanNamed('GET /status'), received: received[0]! }
  }

  await t.test('a stranger names no trace; the upstream gets ours (Q-05)', async (t) => {
    const { span, received } = await ask(await reloadableGateway(t), TRACEPARENT)
    t.equal(span.parentSpanContext, undefined)
    t.not(span.spanContext().traceId, TRACE_ID)
    t.match(received.traceparent, span.spanContext().traceId)
    t.equal(received.tracestate, undefined)
  })

  await t.test('the trace of a trusted proxy goes on (Q-05)', async (t) => {
    const stack = await reloadableGateway(t, (config) => ({ ...config, trustProxy: ['127.0.0.1'] }))
    const { span, received } = await ask(stack, TRACEPARENT)
    t.equal(span.spanContext().traceId, TRACE_ID)
    t.equal(span.parentSpanContext?.spanId, 'b7ad6b7169203331')
    t.match(received.traceparent, TRACE_ID)
    t.equal(received.tracestate, 'vendor=1')
    const invalid = await ask(stack, TRACEPARENT.replace(TRACE_ID, '0'.repeat(32)))
    t.equal(invalid.span.parentSpanContext, undefined)
  })
}
