import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'

/**
 * Opens `server` on 127.0.0.1. @param port 0: any free one.
 *
 * @returns the port. @throws Error with code `EADDRINUSE` when it is taken.
 */
export async function listen(server: Server, port: number): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(port, '127.0.0.1', resolve)
  })
  return (server.address() as AddressInfo).port
}

/** Closes `server` and every connection to it. */
export function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}
