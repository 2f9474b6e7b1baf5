import fastify from 'fastify'
import pkce from 'fastify-pkce'

const app = fastify({ logger: true })
await app.register(pkce, {
  publicUrl: 'https://api.example.com',
  provider: {
    issuer: 'https://login.example.com',
    clientId: 'backend',
    clientSecret: process.env.CLIENT_SECRET,
    // Without it a provider by the book gives no refresh token (OIDC Core §11).
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
await app.listen({ port: 3000 })
