import type { Server } from 'node:net'
import type { FastifyBaseLogger } from 'fastify'

const LOG_INTERVAL_MS = 1000

/**
 * Closes at once what connects while `max` connections are open, and says how often at most every second: under
 * attack a line for each would be an attack of its own (requirements H-22).
 */
export function capConnections(server: Server, max: number, log: Pick<FastifyBaseLogger, 'warn'>): void {
  server.maxConnections = max
  // A worker of node:cluster would hand them on, from one full worker to the next. (Node 20 knows no better.)
  Object.assign(server, { dropMaxConnection: true })
  let dropped = 0
  const report = () => {
    log.warn({ dropped, maxConnections: max }, 'connections dropped: too many are open')
    dropped = 0
  }
  server.on('drop', () => {
    if (++dropped === 1) setTimeout(report, LOG_INTERVAL_MS).unref()
  })
}
