import httpProxy from '@fastify/http-proxy'
import type { FastifyInstance } from 'fastify'

/** Another service behind the same sessions. It gets the provider's token and the subject, and nothing of the app's credentials. */
export async function invoices(api: FastifyInstance): Promise<void> {
  api.addHook('onRequest', api.pkce.requireSession({ scopes: ['orders.read'] }))
  await api.register(httpProxy, {
    upstream: process.env.INVOICES_URL ?? 'http://127.0.0.1:5000',
    prefix: '/invoices',
    replyOptions: {
      rewriteRequestHeaders: ({ pkceSession }, { cookie: _, ...headers }) => ({
        ...headers,
        authorization: pkceSession.providerAuthorization,
        'x-subject': encodeURIComponent(pkceSession.subject),
      }),
    },
  })
}
