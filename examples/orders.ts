import type { FastifyInstance } from 'fastify'

/** The team's routes. `register` gives them a scope of their own, and the hook protects all that is in it. */
export async function orders(api: FastifyInstance): Promise<void> {
  api.addHook('onRequest', api.pkce.requireSession({ scopes: ['orders.read'] }))
  api.get('/orders', async (request) => ({ of: request.pkceSession.subject }))

  const mayWrite = api.pkce.requireSession({ scopes: ['orders.write'] })
  api.post('/orders', { onRequest: mayWrite }, async (_request, reply) => reply.code(201).send({ id: 1 }))

  api.post('/logout-everywhere', async (request) => {
    const { subject, issuer } = request.pkceSession
    return { ended: await api.pkce.endSession({ subject, issuer }) }
  })
}
