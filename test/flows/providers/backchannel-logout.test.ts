/**
 * A person signs out at a real provider (oidc-provider), which tells the gateways: three processes on one store, behind
 * a round robin. Whichever hears of it, all of them refuse, and what is open is closed.
 */
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { request } from 'undici'
import type { CookieJar } from '../../../examples/demo/login.ts'
import { type Instance, type Instances, startInstances } from '../../support/instances.ts'
import { NativeApp, send, type Tokens } from '../../support/native-app.ts'
import { startSharedStore } from '../../support/shared-store.ts'
import { deferred, until } from '../../support/wait.ts'

t.setTimeout(180_000)

const call = (instance: Instance, token: string) =>
  instance.send('/api/orders', { headers: { authorization: `Bearer ${token}` } })

async function statuses({ instances }: Instances, token: string): Promise<number[]> {
  const answers = await Promise.all(instances.map((instance) => call(instance, token)))
  return answers.map(({ status }) => status)
}

/** An event stream through one instance, which goes on until somebody closes it. */
async function openStream(instance: Instance, publicUrl: string, token: string) {
  const { statusCode, body } = await request(`${instance.url}/events`, {
    headers: { host: new URL(publicUrl).host, authorization: `Bearer ${token}` },
  })
  if (statusCode !== 200) throw new Error(`events: ${statusCode}`)
  let isOver = false
  const ended = new Promise<void>((resolve) => {
    const over = () => {
      isOver = true
      resolve()
    }
    body.on('end', over).on('error', over).resume()
  })
  return { ended, isOver: () => isOver }
}

/** RP-initiated logout at the provider, as the person confirms it in the browser of the jar. */
async function signOut({ provider }: Instances, jar: CookieJar): Promise<number> {
  const cookies = jar.get(provider.issuer)!
  const browse = async (url: string, form?: URLSearchParams) => {
    const answer = await send(url, {
      method: form ? 'POST' : 'GET',
      headers: { accept: 'text/html', cookie: [...cookies].map((pair) => pair.join('=')).join('; ') },
      ...(form && { body: form }),
    })
    for (const line of answer.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      cookies.set(name, value)
    }
    return answer
  }
  const page = await browse(`${provider.issuer}/session/end`)
  const xsrf = /name="xsrf" value="([^"]*)"/.exec(page.text)?.[1] ?? ''
  return (
    await browse(`${provider.issuer}/session/end/confirm`, new URLSearchParams({ xsrf, logout: 'yes' }))
  ).status
}

for (const kind of ['redis', 'postgres'] as const) {
  t.test(`a logout at the provider, three instances on ${kind}`, async (t) => {
    const store = await startSharedStore(t, kind)
    if (typeof store === 'string') return void t.pass(kind, { skip: store })
    await t.test('ends the sessions that came out of it on each of them (E-09, E-10, S-03)', (t) =>
      atRealProvider(t, store),
    )
    await t.test('a token exchange under way on another instance: the logout wins (E-11)', (t) =>
      races(t, store),
    )
  })
}

async function atRealProvider(t: Test, store: Exclude<Awaited<ReturnType<typeof startSharedStore>>, string>) {
  const events = await startEvents(t)
  const stack = await startInstances(t, {
    store,
    change: (config) => ({
      ...config,
      upstreams: [...(config.upstreams ?? []), { prefix: '/events', target: events.origin }],
    }),
  })
  if (typeof stack === 'string') return void t.pass('instances', { skip: stack })
  const app = new NativeApp(stack)
  const [desk, phone]: CookieJar[] = [new Map(), new Map()]
  const login = async (jar: CookieJar, username = 'alice') =>
    (await app.redeem(await app.code({}, username, jar))).json as unknown as Tokens
  const [one, again, other, bobs] = [
    await login(desk!),
    await login(desk!),
    await login(phone!),
    await login(new Map(), 'bob'),
  ]
  for (const { access_token } of [one, again, other, bobs]) {
    t.same(await statuses(stack, access_token), [200, 200, 200])
  }
  const streams = await Promise.all(
    stack.instances.map((instance) => openStream(instance, stack.publicUrl, one.access_token)),
  )
  const kept = await openStream(stack.instances[0]!, stack.publicUrl, other.access_token)
  await until(() => events.open.size === 4)

  t.equal(await signOut(stack, desk!), 303)
  await until(() => heard(stack).length === 2)
  for (const { access_token, refresh_token } of [one, again]) {
    for (const instance of stack.instances) {
      await until(async () => (await call(instance, access_token)).status === 401)
    }
    t.equal((await app.refresh(refresh_token)).json.error, 'invalid_grant')
  }
  await Promise.all(streams.map(({ ended }) => ended))
  t.notOk(kept.isOver(), 'the stream of another session goes on')
  for (const { access_token } of [other, bobs]) t.same(await statuses(stack, access_token), [200, 200, 200])
  t.match(
    heard(stack).map(({ reason }) => reason),
    ['provider_logout', 'provider_logout'],
  )
  t.equal(stack.provider.calls.get('/token/revocation') ?? 0, 0)
}

function heard({ instances }: Instances) {
  return instances.flatMap((instance) => instance.events().filter(({ event }) => event === 'session.ended'))
}

async function races(t: Test, store: Exclude<Awaited<ReturnType<typeof startSharedStore>>, string>) {
  const stack = await startInstances(t, { store, provider: 'stub' })
  if (typeof stack === 'string') return void t.pass('instances', { skip: stack })
  const app = new NativeApp(stack)
  const { token } = stack.stub.behave
  const logOut = async (username: string, at: number) => {
    const logout_token = await stack.stub.logoutToken({ sub: username })
    stack.balancer.next(at)
    return app.post('backchannel-logout', { logout_token })
  }

  await t.test('told while the provider is asked', async (t) => {
    const goOn = deferred()
    let asked = 0
    stack.stub.behave.token = async (request, response) => {
      asked += 1
      await goOn.promise
      return token(request, response)
    }
    const attempt = await app.code({}, 'carol')
    stack.balancer.next(1)
    const redeeming = app.redeem(attempt)
    await until(() => asked === 1)
    t.equal((await logOut('carol', 0)).status, 200)
    goOn.resolve()
    const answer = await redeeming
    t.equal(answer.status, 400)
    t.equal(answer.json.error, 'invalid_grant')
    stack.stub.behave.token = token
  })

  await t.test('told at any moment: no session is left, whatever the app was told', async (t) => {
    let refused = 0
    for (let round = 0; round < 60; round++) {
      const username = `user-${round}`
      const attempt = await app.code({}, username)
      const answered = deferred()
      stack.stub.behave.token = async (request, response) => {
        await token(request, response)
        answered.resolve()
      }
      const redeeming = app.redeem(attempt)
      await answered.promise
      // The exchange takes a few milliseconds from here on.
      await new Promise((resolve) => setTimeout(resolve, (round % 12) / 2))
      t.equal((await logOut(username, round % 3)).status, 200)
      const answer = await redeeming
      if (answer.status === 200) {
        const { access_token, refresh_token } = answer.json as unknown as Tokens
        for (const instance of stack.instances) {
          await until(async () => (await call(instance, access_token)).status === 401)
        }
        t.equal((await app.refresh(refresh_token)).status, 400)
      } else {
        refused += 1
        t.equal(answer.json.error, 'invalid_grant')
      }
    }
    t.comment(`${refused} of 60 logins were refused, the others ended`)
  })
}

/** An upstream whose answers do not end. */
async function startEvents(t: Test) {
  const open = new Set<ServerResponse>()
  const server = createServer((_request, response) => {
    open.add(response)
    response.on('close', () => open.delete(response))
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write('data: hello\n\n')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, open }
}
