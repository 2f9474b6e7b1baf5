import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

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
 * A round robin on 127.0.0.1 that changes nothing: `Host` stays the client's. An accepted handshake (101) joins the two
 * connections.
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
    const body = Buffer.concat(chunks)
    await offer(incoming, plan, (origin) => forward(origin, incoming, outgoing, body))
  }

  /** Asks one instance after the other until one has not refused the connection. */
  async function offer(
    incoming: IncomingMessage,
    plan: number | undefined,
    ask: (origin: string) => Promise<boolean>,
  ): Promise<void> {
    const pool = plan === undefined ? (members ?? [...origins().keys()]) : [plan]
    const first = turn++
    for (const [attempt] of pool.entries()) {
      const origin = origins()[pool[(first + attempt) % pool.length]!]
      if (origin && (await ask(origin))) return
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

  /** @returns false when the connection was refused. */
  function upgrade(
    origin: string,
    incoming: IncomingMessage,
    client: Socket,
    first: Buffer,
  ): Promise<boolean> {
    return new Promise((resolve) => {
      const { method, headers, url: path } = incoming
      const { hostname, port } = new URL(origin)
      const upstream = request({ agent, hostname, port, method, path, headers })
      const leave = () => upstream.destroy()
      client.once('close', leave)
      upstream.on('error', (error: NodeJS.ErrnoException) => {
        client.off('close', leave)
        const isRefused = error.code === 'ECONNREFUSED'
        if (!isRefused) client.destroy()
        resolve(!isRefused)
      })
      upstream.on('upgrade', (answer, socket: Socket, rest) => {
        client.off('close', leave)
        client.write(headOf(answer))
        client.write(rest)
        socket.write(first)
        join(client, socket)
        resolve(true)
      })
      // A refusal is the last of its connection.
      upstream.on('response', (answer) => {
        client.write(headOf(answer))
        answer.on('error', () => client.destroy()).pipe(client)
        resolve(true)
      })
      upstream.end()
    })
  }

  const server = createServer((incoming, outgoing) => {
    serve(incoming, outgoing).catch(() => incoming.socket.destroy())
  })
  const upgraded = new Set<Socket>()
  server.on('upgrade', (incoming, client: Socket, first) => {
    upgraded.add(client)
    client.on('error', () => {}).on('close', () => upgraded.delete(client))
    void offer(incoming, planned.shift(), (origin) => upgrade(origin, incoming, client, first))
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
        for (const client of upgraded) client.destroy()
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/** Status line and header as they came. */
function headOf({ statusCode, statusMessage, rawHeaders }: IncomingMessage): string {
  const lines = [`HTTP/1.1 ${statusCode} ${statusMessage}`]
  for (let at = 0; at < rawHeaders.length; at += 2) lines.push(`${rawHeaders[at]}: ${rawHeaders[at + 1]}`)
  return `${lines.join('\r\n')}\r\n\r\n`
}

/** Whatever one side does is done to the other: bytes, an end, a break. */
function join(client: Socket, upstream: Socket): void {
  for (const [one, other] of [
    [client, upstream],
    [upstream, client],
  ] as const) {
    one.on('error', () => {})
    one.on('close', (isBroken) => (isBroken ? other.destroy() : other.destroySoon()))
    one.pipe(other)
  }
}
