import t0 from 'tap'
t0.setTimeout(200000)
import t from 'tap'
import { startInstances } from './support/instances.ts'
import { NativeApp } from './support/native-app.ts'
for (const store of ['redis', 'redis-cluster', 'postgres'] as const) for (const provider of ['real', 'stub'] as const) t.test(store+provider, {timeout:60000}, async (t) => {
  const began = Date.now()
  const stack = await startInstances(t as never, { store, provider })
  if (typeof stack === 'string') return t.pass(stack)
  console.log('started', Date.now() - began)
  const app = new NativeApp(stack)
  stack.balancer.next(0, 1, 2, 0)
  const tokens = await app.login()
  t.equal((await app.call(tokens.access_token)).status, 200)
  t.equal(stack.tokenCalls(), 1)
  t.equal((await stack.instances[1]!.send('/api/x', { headers: { authorization: `Bearer ${tokens.access_token}` } })).status, 200)
  console.log(stack.instances.map(i => i.log().match(/"url":"[^"?]*/g)))
})
