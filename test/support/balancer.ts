import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What stands in front of the instances: every request to the next one, unless a test says to which. */
export interface Balancer {
  readonly port: number
  /** The coming requests go to these instances, one each, in the order of their arrival; then round robin again. */
  next(...instances: number[]): void
  /** From now on only these take part. */
  use(...instances: number[]): void
  close(): Promise<void>
}

/**
 * A round robin on 127.0.0.1 that changes nothing: `Host` stays the client's.
 *
 * A connection that is refused has cost nothing, so the next instance is asked; one that breaks later breaks the
 * client's, whose request may have been served.
 *
 * @param origins where the instances listen now, or null for one that is down.
 */
export async function startBalancer(origins: () => readonly (string | null)[]): Promise<Balancer> {
  const agent = new Agent({ keepAlive: true })
  const planned: number[] = []
  let members: readonly number[] | undefined
  let turn = 0

  async function serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const plan = planned.shift()
    const chunks: Buffer[] = []
    for await (const chunk of incoming) chunks.push(chunk as Buffer)
    const pool = plan === undefined ? (members ?? [...origins().keys()]) : [plan]
    const first = turn++
    for (const [attempt] of pool.entries()) {
      const origin = origins()[pool[(first + attempt) % pool.length]!]
      if (origin && (await forward(origin, incoming, outgoing, Buffer.concat(chunks)))) return
    }
    incoming.socket.destroy()
  }

  /** @returns false when the connection was refused. */
  function forward(
    origin: string,
    incoming: IncomingMessage,
    outgoing: ServerResponse,
    body: Buffer,
  ): Promise<boolean> {
    return new Promise((resolve) => {
      const { method, headers, url: path } = incoming
      const { hostname, port } = new URL(origin)
      const upstream = request({ agent, hostname, port, method, path, headers })
      upstream.on('error', (error: NodeJS.ErrnoException) => {
        const isRefused = error.code === 'ECONNREFUSED'
        if (!isRefused) incoming.socket.destroy()
        resolve(!isRefused)
      })
      upstream.on('response', (answer) => {
        outgoing.writeHead(answer.statusCode!, answer.rawHeaders)
        answer.on('error', () => incoming.socket.destroy()).pipe(outgoing)
        resolve(true)
      })
      outgoing.on('close', () => upstream.destroy())
      upstream.end(body)
    })
  }

  const server = createServer((incoming, outgoing) => {
    serve(incoming, outgoing).catch(() => incoming.socket.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    next: (...instances) => {
      planned.push(...instances)
    },
    use: (...instances) => {
      members = instances
    },
    close: () =>
      new Promise((resolve) => {
        agent.destroy()
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
