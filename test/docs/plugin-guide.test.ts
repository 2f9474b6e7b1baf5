/** The wrong turns of docs/plugin.md: what somebody sees who takes one is what the guide lists. */
import { readFileSync } from 'node:fs'
import fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import t from 'tap'
import pkce, { type PkceOptions } from '../../plugin/index.ts'

const guide = readFileSync(new URL('../../docs/plugin.md', import.meta.url), 'utf8')
const login = 'https://login.example.com'
const options: PkceOptions = {
  publicUrl: 'https://api.example.com',
  provider: {
    ...{ issuer: login, clientId: 'backend', clientSecret: 'secret' },
    ...{ authorizationEndpoint: login, tokenEndpoint: login, jwksUri: login },
  },
  clients: [{ clientId: 'app', redirectUris: ['com.example.app:/callback'] }],
}
const turns: Record<string, { given?: FastifyServerOptions; take(app: FastifyInstance): unknown }> = {
  "Cannot read properties of undefined (reading 'requireSession')": {
    take(app) {
      app.register(pkce, options)
      app.get('/me', { onRequest: app.pkce.requireSession() }, async () => 'me')
    },
  },
  'fastify.prefix: must be empty': {
    take: (app) => app.register(async (scope) => scope.register(pkce, options), { prefix: '/auth' }),
  },
  'fastify: has fastify-pkce already': {
    take: async (app) => {
      await app.register(pkce, options)
      await app.register(pkce, options)
    },
  },
  'store: must be a store': {
    take: (app) => app.register(pkce, { ...options, store: { type: 'redis' } } as unknown as PkceOptions),
  },
  'fastify.trustProxy: must be a list': {
    given: { trustProxy: true },
    take: (app) => app.register(pkce, options),
  },
}

for (const [message, { given = {}, take }] of Object.entries(turns)) {
  t.test(`a wrong turn of the guide: ${message}`, async (t) => {
    t.ok(guide.includes(`\n| \`${message}`), 'the guide lists it')
    const app = fastify(given)
    t.teardown(() => app.close())
    const seen = await (async () => take(app))().then(
      () => 'nothing',
      (error: Error) => error.message,
    )
    t.ok(seen.includes(message), seen)
  })
}
