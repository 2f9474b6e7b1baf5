/**
 * Two gateway processes on a real Redis, and an upstream that knows the issuer and its own name alone: it verifies
 * what it gets with jose, from the key set that the metadata names.
 */
import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { createRemoteJWKSet, customFetch, type JWTPayload, jwtVerify } from 'jose'
import t, { type Test } from 'tap'
import { configFile } from '../../../support/gateway-command.ts'
import { minimal } from '../../../support/gateway-config.ts'
import { type Instances, startInstances } from '../../../support/instances.ts'
import { NativeApp, send } from '../../../support/native-app.ts'
import { runCaptured } from '../../../support/run-command.ts'
import { until } from '../../../support/wait.ts'
import { exchange } from '../../../support/wire.ts'

t.setTimeout(120_000)

const secret = randomBytes(32)
const AUDIENCES = { '/api': undefined, '/reports': 'reports' } as const

async function setUp(t: Test): Promise<Instances | string> {
  return startInstances(t, {
    ...{ count: 2, store: 'redis', provider: 'stub' },
    change: (config) => ({
      ...config,
      secrets: [secret.toString('base64url')],
      upstreams: Object.entries(AUDIENCES).map(([prefix, audience]) => ({
        ...{ prefix, target: config.upstreams![0]!.target!, scopes: ['orders.read'] },
        ...{ credentials: 'identity-jwt', identityHeaders: { 'X-Email': 'email' } },
        ...(audience !== undefined && { audience }),
        websocket: true,
      })),
    }),
  })
}

t.test('an upstream verifies the identity from the key set alone (Q-11)', async (t) => {
  const stack = await setUp(t)
  if (typeof stack === 'string') return void t.pass('redis', { skip: stack })
  const { publicUrl, instances, api } = stack
  const [first, second] = instances as [Instances['instances'][number], Instances['instances'][number]]
  let received = ''
  api.onRequest(({ headers }) => {
    received = headers.authorization ?? ''
  })
  const metadata = await send(`${publicUrl}/.well-known/oauth-authorization-server`)
  const jwksUri = new URL(String(metadata.json.jwks_uri))
  let fetched = 0
  const upstream = () =>
    createRemoteJWKSet(jwksUri, {
      cooldownDuration: 0,
      [customFetch]: (url, options) => {
        fetched++
        return fetch(url, options)
      },
    })
  const known = upstream()
  async function verified(audience = `${publicUrl}/api`, keys = known): Promise<JWTPayload> {
    const token = /^Bearer (.+)$/.exec(received)![1]!
    const options = { issuer: publicUrl, audience, typ: 'at+jwt', algorithms: ['ES256'] }
    return (await jwtVerify(token, keys, options)).payload
  }
  const app = new NativeApp(stack)
  const tokens = await app.login({}, 'alice')
  const bearer = { authorization: `Bearer ${tokens.access_token}` }
  const call = async (instance = first, path = '/api/orders') => {
    received = ''
    return (await instance.send(path, { headers: bearer })).status
  }

  await t.test('on either instance, by keys of either', async (t) => {
    for (const instance of instances) {
      t.equal(await call(instance), 200)
      const { sub, scope, client_id, sid, email, exp, iat } = await verified()
      t.match(
        { sub, scope, client_id, email },
        { sub: 'alice', scope: 'orders.read', client_id: 'com.example.app', email: 'alice@example.com' },
      )
      t.equal(exp! - iat!, 60)
      t.not(tokens.access_token.includes(String(sid)), true)
    }
    t.equal(fetched, 1, 'both sign with one key')
    const keys = await Promise.all(instances.map(async (one) => (await one.send('/oauth2/jwks')).json))
    t.same(keys[0], keys[1])
    t.notMatch(JSON.stringify(keys), /"d"/)
  })

  await t.test('the same token again for half a minute: nothing is signed for each request', async (t) => {
    await call()
    const once = received
    await call()
    t.equal(received, once)
  })

  await t.test('the code of docs/identity-jwt.md verifies it', async (t) => {
    const [, code = ''] = /```js\n(.*?)```/s.exec(readFileSync('docs/identity-jwt.md', 'utf8')) ?? []
    mkdirSync('.cache', { recursive: true })
    // Inside the project, where jose is found.
    const folder = mkdtempSync(resolve('.cache/identity-'))
    t.teardown(() => rmSync(folder, { recursive: true, force: true }))
    const file = join(folder, 'verify.mjs')
    writeFileSync(file, code.replace('https://api.example.com', publicUrl).replace('/orders`', '/api`'))
    const { callerOf } = await import(pathToFileURL(file).href)
    await call()
    t.equal((await callerOf(received)).sub, 'alice')
    await t.rejects(callerOf(`${received}x`))
    await t.rejects(callerOf(undefined))
    await call(first, '/reports/x')
    await t.rejects(callerOf(received), /"aud"/)
  })

  await t.test('at the wrong upstream it is refused', async (t) => {
    await call(first, '/reports/x')
    t.equal((await verified('reports')).aud, 'reports')
    await t.rejects(verified(), { code: 'ERR_JWT_CLAIM_VALIDATION_FAILED', claim: 'aud' })
    await call()
    await t.rejects(verified('reports'), /"aud"/)
    await t.rejects(verified(`${publicUrl}/other`), /"aud"/)
  })

  await t.test('a WebSocket handshake carries it as well', async (t) => {
    const lines = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13']
    const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='
    const host = `Host: ${new URL(publicUrl).host}`
    received = ''
    const head = ['GET /api/ws HTTP/1.1', host, `Authorization: ${bearer.authorization}`, ...lines, key]
    await exchange(Number(new URL(first.url).port), `${head.join('\r\n')}\r\n\r\n`)
    t.equal((await verified()).sub, 'alice')
  })

  await t.test(
    'a rotation at once reaches both instances, and what the old key signed is refused',
    async (t) => {
      await call()
      const old = received
      const { kid } = JSON.parse(Buffer.from(old.slice(7).split('.')[0]!, 'base64url').toString())
      const config = configFile(t, {
        ...minimal(),
        secrets: [secret.toString('base64url')],
        store: stack.store.settings,
      })
      const rotated = await runCaptured(['rotate-keys', '--config', config, '--at-once'])
      t.match(rotated, { status: 0, stdout: /^[A-Za-z0-9_-]{43}\n$/, stderr: '' })
      const newKid = rotated.stdout.trim()
      t.not(newKid, kid)
      for (const instance of instances) {
        await until(async () => {
          const { keys } = (await instance.send('/oauth2/jwks')).json as { keys: { kid: string }[] }
          return keys.length === 1 && keys[0]!.kid === newKid
        })
      }
      received = old
      await t.rejects(verified(undefined, upstream()), { code: 'ERR_JWKS_NO_MATCHING_KEY' })
      // A session that was not seen there has no token yet.
      const other = await app.login({}, 'bob')
      await second.send('/api/orders', { headers: { authorization: `Bearer ${other.access_token}` } })
      t.equal((await verified()).sub, 'bob', 'an upstream that knew the old key learns the new one')
      await call(first)
      t.equal((await verified()).sub, 'alice', 'what was prepared under the old key is gone')
    },
  )

  await t.test('a restart keeps the key', async (t) => {
    const before = await send(jwksUri)
    await first.end('SIGTERM')
    await first.start()
    t.same((await first.send('/oauth2/jwks')).json, before.json)
    t.equal(await call(), 200)
    t.equal((await verified()).sub, 'alice')
  })

  await t.test('no token outlives its session, and an ended session gets none (Q-11, D-08)', async (t) => {
    stack.setProviderLife(20)
    const short = await app.login({}, 'carol')
    await first.send('/api/orders', { headers: { authorization: `Bearer ${short.access_token}` } })
    const { exp, iat } = await verified()
    t.ok(exp! - iat! <= 20, `${exp! - iat!} s`)
    await send(`${publicUrl}/oauth2/revoke`, {
      method: 'POST',
      body: new URLSearchParams({ token: tokens.refresh_token, client_id: 'com.example.app' }),
    })
    t.equal(await call(), 401)
    t.equal(received, '')
  })

  await t.test('a dump of the store opens nothing, and no key is in a log (Q-11, G-03)', async (t) => {
    const dump = await stack.store.dump()
    const record = dump.find(({ key }) => key.includes('identity-keys'))
    t.match(JSON.stringify(record), /sealed/)
    t.notMatch(JSON.stringify(dump), /PRIVATE|"d"|\\"d\\"/)
    for (const instance of instances) {
      t.notMatch(instance.log(), /PRIVATE KEY|"d":|eyJhbGciOiJFUzI1NiI/)
      t.notMatch(instance.log(), JSON.stringify(record).slice(20, 80))
    }
  })
})
