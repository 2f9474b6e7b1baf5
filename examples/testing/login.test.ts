import assert from 'node:assert/strict'
import test from 'node:test'
import fastify from 'fastify'
import pkce from 'fastify-pkce'
import { testLogin, testProvider } from 'fastify-pkce/testing'

const provider = await testProvider()
const app = fastify()
test.after(() => Promise.all([app.close(), provider.close()]))
await app.register(pkce, {
  publicUrl: 'https://api.example.com',
  provider: provider.options,
  clients: [{ clientId: 'app', redirectUris: ['com.example.app:/callback'], scopes: ['orders.read'] }],
})
app.get('/me', { onRequest: app.pkce.requireSession() }, async ({ pkceSession }) => pkceSession.subject)

test('who signs in at the provider is who the route sees', async () => {
  provider.user = { sub: 'bob', email: 'bob@example.com' }
  const { authorization, refreshToken } = await testLogin(app)
  assert.equal((await app.inject({ url: '/me', headers: { authorization } })).body, 'bob')
  assert.ok(refreshToken)
})

test('a provider that is down ends the login at the token endpoint', async () => {
  provider.failNext('token', { status: 503 })
  await assert.rejects(testLogin(app), { name: 'TestLoginError', step: 'token' })
})
