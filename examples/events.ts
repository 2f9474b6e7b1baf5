import type { FastifyInstance } from 'fastify'

/** Tells somebody of what looks like an attack. `app` has the plugin. */
export function watch(app: FastifyInstance, alert: (text: string) => void): void {
  const name = ({ event, clientId, address }: { event: string; clientId: string; address?: string }) =>
    alert(`${event}: client ${clientId}, from ${address ?? 'nowhere'}`)
  app.pkce.events.on('code.verifier_mismatch', name).on('code.replay', name).on('refresh.reuse', name)
}
