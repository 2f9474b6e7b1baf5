/** Apps that register themselves, at two instances with clients of their own, on every store. */
import t from 'tap'
import { loginAgent, register, startAgentApp } from '../../support/agents.ts'
import { type StoreKind, startSharedStore } from '../../support/shared-store.ts'
import { startStubProvider } from '../../support/stub-provider.ts'

t.setTimeout(120_000)

const secrets = [Buffer.alloc(32, 5).toString('base64url')]
const kinds: StoreKind[] = ['memory', 'redis', 'redis-cluster', 'postgres']

for (const kind of kinds) {
  t.test(`self-registered apps on ${kind} (N-04)`, async (t) => {
    const store = await startSharedStore(t, kind)
    if (typeof store === 'string') return void t.pass(kind, { skip: store })
    const provider = await startStubProvider()
    t.teardown(() => provider.close())
    const start = () =>
      startAgentApp(
        t,
        { secrets, store: store.open(t), agents: { registration: { max: 5 }, scopes: ['orders.read'] } },
        undefined,
        { provider },
      )
    const [a, b] = await Promise.all([start(), start()])

    const one = (await register(a)).json()
    const tokens = await loginAgent(b, one.client_id)
    t.equal(tokens.statusCode, 200, 'what one has registered, the other knows')
    t.equal((await a.call(tokens.json().access_token)).statusCode, 200)

    const raced = await Promise.all(Array.from({ length: 20 }, (_, n) => register(n % 2 ? a : b)))
    const accepted = raced.filter(({ statusCode }) => statusCode === 201).length
    t.ok(accepted <= 4, `never more than max: ${accepted} and the first`)
    t.ok(raced.every(({ statusCode }) => statusCode === 201 || statusCode === 503))
    const later = []
    for (let n = 0; n < 6; n++) later.push((await register(a)).statusCode)
    t.same(
      later,
      later.map((_, n) => (n < 4 - accepted ? 201 : 503)),
      'then as many as there is room for',
    )

    const removed = await b.app.inject({
      method: 'DELETE',
      url: `/oauth2/register/${one.client_id}`,
      headers: { authorization: `Bearer ${one.registration_access_token}` },
    })
    t.equal(removed.statusCode, 204)
    const dump = JSON.stringify(await store.dump())
    t.notMatch(dump, one.registration_access_token)
    const refresh = await a.refresh(tokens.json().refresh_token, { client_id: one.client_id })
    t.equal(refresh.json().error, 'invalid_client')
    t.equal((await register(b)).statusCode, 201, 'its place is free')
  })
}
