/** A Fastify app whose own route needs a finished login. Run: `node examples/protect-a-route.ts` (Node 22.18 or later). */
import fastify from 'fastify'
import pkce from 'fastify-pkce'

const {
  PUBLIC_URL = 'http://127.0.0.1:3000',
  PROVIDER_ISSUER = 'http://127.0.0.1:4000',
  CLIENT_SECRET = 'gateway-secret',
} = process.env

const app = fastify({ logger: true })
await app.register(pkce, {
  publicUrl: PUBLIC_URL,
  provider: {
    issuer: PROVIDER_ISSUER,
    clientId: 'gateway',
    clientSecret: CLIENT_SECRET,
    authorizationParams: { prompt: 'consent' },
  },
  clients: [
    {
      clientId: 'com.example.app',
      name: 'Example',
      redirectUris: ['com.example.app:/callback'],
      scopes: ['orders.read'],
    },
  ],
})
app.get('/me', { onRequest: app.pkce.requireSession({ scopes: ['orders.read'] }) }, async (request) => ({
  subject: request.pkceSession.subject,
}))
await app.listen({ host: '127.0.0.1', port: Number(new URL(PUBLIC_URL).port) })
