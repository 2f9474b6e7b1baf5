import fastifyRedis from '@fastify/redis'
import fastify from 'fastify'
import pkce, { redisStore } from 'fastify-pkce'
import { orders } from './orders.ts'

const app = fastify({ logger: true })
await app.register(fastifyRedis, { url: process.env.REDIS_URL ?? 'redis://127.0.0.1:6379' })
await app.register(pkce, {
  publicUrl: 'https://api.example.com',
  provider: {
    issuer: 'https://login.example.com',
    clientId: 'backend',
    clientSecret: process.env.CLIENT_SECRET,
    authorizationParams: { prompt: 'consent' },
  },
  clients: [
    {
      clientId: 'com.example.app',
      name: 'Example',
      redirectUris: ['com.example.app:/callback'],
      scopes: ['orders.read', 'orders.write'],
    },
  ],
  store: redisStore({ client: app.redis }),
  secrets: [process.env.PKCE_SECRET],
})
await app.register(orders)
await app.listen({ port: 3000 })
