import t, { type Test } from 'tap'
import type { ActiveGrant } from '../../../plugin/grant/grant.ts'
import type { StoredGrant } from '../../../plugin/grant/grants.ts'
import { SessionEndings } from '../../../plugin/session/endings.ts'
import { Session } from '../../../plugin/session/session.ts'
import { type PluginApp, startPluginApp, type Tokens } from '../../support/plugin-app.ts'
import { until } from '../../support/wait.ts'

interface Watching extends PluginApp {
  readonly tokens: Tokens
  /** What the routes have seen. */
  readonly sessions: Session[]
}

async function loggedIn(t: Test): Promise<Watching> {
  const sessions: Session[] = []
  const plugin = await startPluginApp(
    t,
    {},
    {
      after: (app) =>
        app.get('/own', { onRequest: app.pkce.requireSession() }, async (request) => {
          sessions.push(request.pkceSession)
        }),
    },
  )
  const tokens = await plugin.login()
  await own(plugin, tokens)
  return { ...plugin, tokens, sessions }
}

const own = ({ app }: PluginApp, { access_token }: Tokens) =>
  app.inject({ url: '/own', headers: { authorization: `Bearer ${access_token}` } })

/** Lets everything that has been set going come to its end: the test store answers within a few ticks. */
const settled = () => new Promise((resolve) => setTimeout(resolve, 30))

t.test('a listener is called once when the grant ends, however it ends (H-30)', async (t) => {
  const ends: Record<string, (plugin: Watching) => Promise<unknown>> = {
    'revoked by the app': ({ post, tokens }) =>
      post('revoke', { token: tokens.refresh_token, client_id: 'app' }),
    'ended by an administrator': ({ app, sessions }) =>
      app.pkce.endSession({ grantId: sessions[0]!.grantId }),
    'a refresh token used again': async ({ refresh, tokens }) => {
      const { refresh_token: second } = (await refresh(tokens.refresh_token)).json<Tokens>()
      await refresh(second)
      await refresh(tokens.refresh_token)
    },
  }
  for (const [how, end] of Object.entries(ends)) {
    await t.test(how, async (t) => {
      const plugin = await loggedIn(t)
      let calls = 0
      plugin.app.pkce.onSessionEnd(plugin.sessions[0]!, () => calls++)
      await settled()
      t.equal(calls, 0)
      await end(plugin)
      await until(() => calls > 0)
      await own(plugin, plugin.tokens)
      await settled()
      t.equal(calls, 1)
    })
  }
})

t.test('a rotation does not end the session of the token before it (D-05)', async (t) => {
  const plugin = await loggedIn(t)
  let calls = 0
  plugin.app.pkce.onSessionEnd(plugin.sessions[0]!, () => calls++)
  t.equal((await plugin.refresh(plugin.tokens.refresh_token)).statusCode, 200)
  await settled()
  t.equal((await own(plugin, plugin.tokens)).statusCode, 200)
  t.equal(calls, 0)
})

t.test('a session that had ended before anybody listened ends at once', async (t) => {
  const plugin = await loggedIn(t)
  await plugin.post('revoke', { token: plugin.tokens.refresh_token, client_id: 'app' })
  let calls = 0
  plugin.app.pkce.onSessionEnd(plugin.sessions[0]!, () => calls++)
  await until(() => calls === 1)
  plugin.store.advance(10_000)
  plugin.app.pkce.onSessionEnd(plugin.sessions[0]!, () => calls++)
  await until(() => calls === 2)
  t.pass('ended, and expired')
})

t.test('who has stopped listening is not called, and a quiet session costs one read', async (t) => {
  const plugin = await loggedIn(t)
  plugin.store.countCalls()
  let calls = 0
  const stop = plugin.app.pkce.onSessionEnd(plugin.sessions[0]!, () => calls++)
  await settled()
  t.equal(plugin.store.countCalls(), 1)
  stop()
  stop()
  await plugin.app.pkce.endSession({ grantId: plugin.sessions[0]!.grantId })
  await settled()
  t.equal(calls, 0)
})

/** Endings of one grant that a test changes, over a store that it breaks. */
function endings({ expiresAt = Date.now() + 60_000, recheckMs = 20, unconfirmedMaxMs = 100 } = {}) {
  const session = new Session({
    grantId: 'g',
    clientId: 'app',
    issuer: 'https://login.example.com',
    subject: 's',
    scope: [],
    claims: {},
    expiresAt,
    tokenHash: 'h'.repeat(43),
    providerAuthorization: '',
  })
  const token = { hash: session.tokenHash, key: '', scope: [], expiresAt }
  const store = { live: true, broken: false, hanging: false, reads: 0 }
  const grants = {
    now: () => Date.now(),
    async read(): Promise<StoredGrant | null> {
      store.reads++
      if (store.broken) throw new Error('broken on purpose')
      if (store.hanging) await new Promise(() => {})
      const grant = { status: 'active', accessTokens: store.live ? [token] : [] } as unknown as ActiveGrant
      return { grant, version: 1 }
    },
  }
  const self = new SessionEndings(grants, { recheckMs, unconfirmedMaxMs })
  const heard = { calls: 0 }
  const listen = () => self.watch(session, () => heard.calls++)
  return { self, store, heard, listen }
}

t.test('an expiry is noticed when it comes (H-29)', async (t) => {
  const { self, heard, listen } = endings({ expiresAt: Date.now() + 1000 })
  self.onResume()
  listen()
  await settled()
  t.equal(heard.calls, 0)
  await until(() => heard.calls === 1)
})

t.test('an expiry in a far future does not overflow the timer', async (t) => {
  const { self, heard, listen } = endings({ expiresAt: Date.now() + 2 ** 33 })
  self.onResume()
  const stop = listen()
  await settled()
  t.equal(heard.calls, 0)
  stop()
})

t.test('in a gap every session is looked at again and again, after it once more (G-17)', async (t) => {
  const { self, store, heard, listen } = endings()
  self.onResume()
  listen()
  await settled()
  t.equal(store.reads, 1)
  self.onGap()
  await until(() => store.reads >= 4)
  t.equal(heard.calls, 0)
  store.live = false
  await until(() => heard.calls === 1)

  const after = endings()
  after.self.onResume()
  const stop = after.listen()
  after.self.onGap()
  after.store.live = false
  after.self.onResume()
  await until(() => after.heard.calls === 1)
  const { reads } = after.store
  stop()
  await settled()
  t.equal(after.store.reads, reads, 'and then nothing more')
})

t.test(
  'a session that cannot be confirmed for long counts as ended; a hiccup is none (fail closed)',
  async (t) => {
    for (const fault of ['broken', 'hanging'] as const) {
      const { self, store, heard, listen } = endings()
      self.onResume()
      listen()
      await settled()
      store[fault] = true
      self.onChange('g')
      const since = performance.now()
      await until(() => heard.calls === 1)
      t.ok(performance.now() - since >= 90, fault)
    }
    const { self, store, heard, listen } = endings({ unconfirmedMaxMs: 10_000 })
    self.onResume()
    store.broken = true
    const stop = listen()
    await until(() => store.reads > 2)
    store.broken = false
    const { reads } = store
    await until(() => store.reads > reads)
    await settled()
    t.equal(heard.calls, 0)
    t.equal(store.reads, reads + 1, 'confirmed again: nothing more is asked')
    stop()
  },
)

t.test('a change while the grant is being read makes it read again', async (t) => {
  const { self, store, heard, listen } = endings()
  self.onResume()
  listen()
  store.live = true
  self.onChange('g')
  self.onChange('other')
  store.live = false
  self.onChange('g')
  await until(() => heard.calls === 1)
  t.ok(store.reads <= 2, 'changes that come together cost one more read')
})
