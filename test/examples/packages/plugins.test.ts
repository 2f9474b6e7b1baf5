/**
 * An app as teams have it: well-known plugins of Fastify, registered before ours and with hooks on every route, on
 * each kind of server. A whole login goes over real sockets; the provider is one that obeys.
 */
import compress from '@fastify/compress'
import cookie from '@fastify/cookie'
import cors from '@fastify/cors'
import formbody from '@fastify/formbody'
import helmet from '@fastify/helmet'
import jwt from '@fastify/jwt'
import rateLimit from '@fastify/rate-limit'
import sensible from '@fastify/sensible'
import session from '@fastify/session'
import fastifyStatic from '@fastify/static'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import underPressure from '@fastify/under-pressure'
import websocket from '@fastify/websocket'
import { Validator } from '@seriousme/openapi-schema-validator'
import fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { Agent, request } from 'undici'
import pkce, { type PkceOptions } from '../../../plugin/index.ts'
import { selfSigned } from '../../support/certificate.ts'
import { freePort } from '../../support/gateway-stack.ts'
import { CHALLENGE, REDIRECT_URI, VERIFIER } from '../../support/plugin-app.ts'
import { startStubProvider } from '../../support/stub-provider.ts'

const { cert, key } = selfSigned('app.test')
const KINDS = {
  http: {},
  https: { https: { cert, key } },
  http2: { http2: true, https: { cert, key } },
} as const

async function registerAll(app: FastifyInstance): Promise<void> {
  await app.register(swagger, { openapi: { openapi: '3.0.3', info: { title: 'app', version: '1' } } })
  await app.register(swaggerUi)
  await app.register(cors, { origin: true, credentials: true })
  await app.register(helmet)
  await app.register(cookie, { secret: 's'.repeat(32) })
  await app.register(session, { secret: 's'.repeat(32), cookie: { secure: false } })
  await app.register(websocket)
  await app.register(underPressure, { maxEventLoopDelay: 60_000, exposeStatusRoute: true })
  await app.register(formbody)
  await app.register(rateLimit, { global: true, max: 1000 })
  await app.register(sensible)
  await app.register(compress, { global: true, threshold: 0 })
  await app.register(jwt, { secret: 's'.repeat(32) })
  await app.register(fastifyStatic, { root: import.meta.dirname })
}

interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
}

interface Running {
  readonly app: FastifyInstance
  readonly ask: (
    path: string,
    form?: Record<string, string>,
    headers?: Record<string, string>,
  ) => Promise<Answer>
  readonly issuer: string
}

async function start(
  t: Test,
  kind: keyof typeof KINDS,
  options: Partial<PkceOptions> = {},
): Promise<Running> {
  const provider = await startStubProvider()
  const app = fastify(KINDS[kind] as object) as FastifyInstance
  const agent = new Agent({ allowH2: kind === 'http2', connect: { ca: cert } })
  t.teardown(async () => {
    await agent.close()
    await app.close()
    await provider.close()
  })
  await registerAll(app)
  const port = await freePort()
  const publicUrl = `http${kind === 'http' ? '' : 's'}://127.0.0.1:${port}`
  await app.register(pkce, {
    publicUrl,
    provider: { issuer: provider.issuer, clientId: 'gateway', clientSecret: 'gateway-secret', scope: 'api' },
    clients: [{ clientId: 'app', redirectUris: [REDIRECT_URI], scopes: ['orders.read'] }],
    ...options,
  } as PkceOptions)
  app.get(
    '/me',
    { onRequest: app.pkce.requireSession({ scopes: ['orders.read'] }), schema: { hide: true } },
    async ({ pkceSession, raw }) => ({ subject: pkceSession.subject, httpVersion: raw.httpVersion }),
  )
  await app.listen({ host: '127.0.0.1', port })
  return {
    app,
    issuer: provider.issuer,
    async ask(path, form, headers = {}) {
      const {
        statusCode,
        headers: fields,
        body,
      } = await request(publicUrl + path, {
        dispatcher: agent,
        method: form ? 'POST' : 'GET',
        headers: { ...headers, ...(form && { 'content-type': 'application/x-www-form-urlencoded' }) },
        ...(form && { body: new URLSearchParams(form).toString() }),
      })
      return { status: statusCode, headers: fields, text: await body.text() }
    },
  }
}

const authorization = `/oauth2/authorize?${new URLSearchParams({
  client_id: 'app',
  redirect_uri: REDIRECT_URI,
  response_type: 'code',
  code_challenge: CHALLENGE,
  code_challenge_method: 'S256',
  state: 'state',
})}`

/** From the start to the tokens. */
async function logIn({ ask, issuer }: Running): Promise<Record<string, string>> {
  const begun = await ask(authorization)
  const location = new URL(String(begun.headers.location))
  if (location.origin !== issuer) throw new Error(`not at the provider: ${begun.status} ${begun.text}`)
  const cookies = [begun.headers['set-cookie'] ?? []].flat().map((line) => line.split(';', 1)[0]!)
  const state = location.searchParams.get('state')!
  const answered = await ask(
    `/oauth2/callback?${new URLSearchParams({ state, code: 'provider-code' })}`,
    undefined,
    {
      cookie: cookies.join('; '),
    },
  )
  const code = new URL(String(answered.headers.location)).searchParams.get('code')!
  const tokens = await ask('/oauth2/token', {
    grant_type: 'authorization_code',
    client_id: 'app',
    code,
    redirect_uri: REDIRECT_URI,
    code_verifier: VERIFIER,
  })
  if (tokens.status !== 200) throw new Error(`no tokens: ${tokens.status} ${tokens.text}`)
  return JSON.parse(tokens.text) as Record<string, string>
}

for (const kind of Object.keys(KINDS) as (keyof typeof KINDS)[]) {
  t.test(
    `fourteen plugins before ours, on ${kind}: a whole login, its refresh and its end (SC-12)`,
    async (t) => {
      const running = await start(t, kind)
      const { app, ask } = running
      const tokens = await logIn(running)
      const bearer = (token?: string) => ({ authorization: `Bearer ${token}` })

      t.equal((await ask('/me')).status, 401)
      const me = await ask('/me', undefined, bearer(tokens.access_token))
      t.equal(me.status, 200)
      t.match(JSON.parse(me.text), { subject: /./, httpVersion: kind === 'http2' ? '2.0' : '1.1' })
      t.equal((await ask('/oauth2/userinfo', undefined, bearer(tokens.access_token))).status, 200)

      const form = { grant_type: 'refresh_token', client_id: 'app', refresh_token: tokens.refresh_token! }
      const refreshed = JSON.parse((await ask('/oauth2/token', form)).text) as Record<string, string>
      t.equal((await ask('/me', undefined, bearer(refreshed.access_token))).status, 200)
      const revoked = await ask('/oauth2/revoke', { client_id: 'app', token: refreshed.refresh_token! })
      t.equal(revoked.status, 200)
      t.equal((await ask('/me', undefined, bearer(refreshed.access_token))).status, 401)

      // Nothing that they do to every answer loosens ours.
      const metadata = await ask('/.well-known/oauth-authorization-server', undefined, {
        origin: 'https://evil.example',
      })
      t.equal(metadata.status, 200)
      t.notOk(metadata.headers['access-control-allow-origin'], 'no CORS but our own')
      t.equal((JSON.parse(metadata.text) as { issuer: string }).issuer, app.pkce.issuer)
      const refused = await ask('/oauth2/token', { ...form, client_id: 'nobody' })
      t.equal(refused.headers['cache-control'], 'no-store')
      t.match(JSON.parse(refused.text), { error: 'invalid_client' })
    },
  )
}

t.test('the OpenAPI document of such an app is valid, and has our endpoints (SC-12)', async (t) => {
  const { app, ask } = await start(t, 'http')
  await app.ready()
  const document = app.swagger()
  const result = await new Validator().validate(structuredClone(document) as Record<string, unknown>)
  t.same(result.errors, undefined)
  t.ok(result.valid)
  t.ok('/oauth2/token' in document.paths!)
  const broken = structuredClone(document) as { paths: Record<string, { post: { responses: unknown } }> }
  broken.paths['/oauth2/token']!.post.responses = []
  t.notOk((await new Validator().validate(broken)).valid, 'the validator can tell')
  t.equal((await ask('/documentation/json')).status, 200)
})

t.test('our limit by address holds behind a limiter of the app (J-05, SC-12)', async (t) => {
  const { ask } = await start(t, 'http', { rateLimit: { authorize: { max: 3 } } })
  const statuses: number[] = []
  for (let n = 0; n < 5; n++) statuses.push((await ask(authorization)).status)
  t.same(statuses, [302, 302, 302, 429, 429])
  t.equal((await ask('/me')).status, 401)
})
