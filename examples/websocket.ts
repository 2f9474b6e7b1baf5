import fastifyWebsocket from '@fastify/websocket'
import type { FastifyInstance } from 'fastify'

/** News for as long as the session lives: a logout on any instance closes the socket. */
export async function live(api: FastifyInstance): Promise<void> {
  await api.register(fastifyWebsocket)
  api.addHook('onRequest', api.pkce.requireSession({ scopes: ['orders.read'] }))
  api.get('/live', { websocket: true }, (socket, request) => {
    const { pkceSession: session } = request
    const stopListening = api.pkce.onSessionEnd(session, () => socket.close(1008, 'signed out'))
    socket.on('close', stopListening)
    socket.send(JSON.stringify({ hello: session.subject }))
  })
}
