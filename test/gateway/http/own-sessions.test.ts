import t from 'tap'
import { startGatewayStack } from '../../support/gateway-stack.ts'
import { NativeApp } from '../../support/native-app.ts'

t.test('through the gateway an app lists the sessions of its user, and ends one (S-02)', async (t) => {
  const stack = await startGatewayStack(t)
  const [phone, lost] = [new NativeApp(stack), new NativeApp(stack)]
  const mine = await phone.login()
  const theirs = await lost.login()
  const authorization = `Bearer ${mine.access_token}`
  const ask = (path: string, method = 'GET') =>
    fetch(`${stack.publicUrl}/oauth2/sessions${path}`, { method, headers: { authorization } })

  const { sessions } = (await (await ask('')).json()) as { sessions: { id: string; current: boolean }[] }
  t.equal(sessions.length, 2)
  const other = sessions.find(({ current }) => !current)!
  t.equal((await lost.call(theirs.access_token, '/api/orders')).status, 200)
  t.equal((await ask(`/${other.id}`, 'DELETE')).ok, true)
  t.equal((await lost.call(theirs.access_token, '/api/orders')).status, 401)
  t.equal((await phone.call(mine.access_token, '/api/orders')).status, 200)

  const { requests } = stack.api
  t.equal((await ask(`/${other.id}`, 'DELETE')).status, 404)
  t.equal((await ask('/', 'DELETE')).ok, false)
  t.equal((await ask('/a/b', 'DELETE')).status, 404)
  t.equal(stack.api.requests, requests, 'none of them has reached an upstream')
})
