import assert from 'node:assert/strict'
import test from 'node:test'
import fastify from 'fastify'
import pkce from 'fastify-pkce'
import { testSession } from 'fastify-pkce/testing'
import { orders } from './orders.ts'

const login = 'https://login.example.com'
// Endpoints that are named are not looked up: this test needs no network.
const endpoints = { authorizationEndpoint: login, tokenEndpoint: login, jwksUri: login }
const app = fastify()
await app.register(pkce, {
  publicUrl: 'https://api.example.com',
  provider: { issuer: login, clientId: 'backend', clientSecret: 'secret', ...endpoints },
  clients: [
    { clientId: 'app', redirectUris: ['com.example.app:/callback'], scopes: ['orders.read', 'orders.write'] },
  ],
})
await app.register(orders)

test('who has read access lists orders, and makes none', async () => {
  const alice = await testSession(app, { subject: 'alice', scopes: ['orders.read'] })
  const headers = { authorization: alice.authorization }
  assert.equal((await app.inject({ url: '/orders' })).statusCode, 401)
  assert.deepEqual((await app.inject({ url: '/orders', headers })).json(), { of: 'alice' })
  assert.equal((await app.inject({ method: 'POST', url: '/orders', headers })).statusCode, 403)
  await alice.end()
  assert.equal((await app.inject({ url: '/orders', headers })).statusCode, 401)
})
