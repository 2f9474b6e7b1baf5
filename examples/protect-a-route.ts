import fastify from 'fastify'
import pkce from 'fastify-pkce'

const app = fastify({ logger: true })
const scopes = ['orders.read'] // your own words
await app.register(pkce, {
  publicUrl: 'https://api.example.com',
  provider: {
    issuer: 'https://login.example.com',
    clientId: 'backend',
    clientSecret: process.env.CLIENT_SECRET,
    authorizationParams: { prompt: 'consent' }, // many give a refresh token only where the user was asked
  },
  clients: [{ clientId: 'com.example.app', redirectUris: ['com.example.app:/callback'], scopes }],
})
const signedIn = app.pkce.requireSession({ scopes })
app.get('/me', { onRequest: signedIn }, async ({ pkceSession }) => ({ subject: pkceSession.subject }))
await app.listen({ port: 3000 })
