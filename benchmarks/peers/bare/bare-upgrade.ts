import { type IncomingMessage, request as send } from 'node:http'
import type { Duplex } from 'node:stream'

/**
 * The least that forwards WebSocket: the handshake by `node:http`, its 101 as it comes, and then two connections
 * joined, at the pace of the slower one. Either side's end ends the other.
 */
export function forwardUpgrade(upstream: number) {
  return (request: IncomingMessage, client: Duplex, early: Buffer): void => {
    const outgoing = send({ host: '127.0.0.1', port: upstream, path: request.url, agent: false })
    for (let i = 0; i < request.rawHeaders.length; i += 2) {
      const name = request.rawHeaders[i]!
      if (name.toLowerCase() !== 'host') outgoing.setHeader(name, request.rawHeaders[i + 1]!)
    }
    outgoing.on('error', () => client.destroy())
    // It refuses: who measures need not be told why.
    outgoing.on('response', () => client.destroy())
    outgoing.on('upgrade', (answer, socket, head) => {
      client.write(headOf(answer))
      join(client, socket)
      join(socket, client)
      socket.write(early)
      client.write(head)
    })
    outgoing.end()
  }
}

function headOf({ rawHeaders }: IncomingMessage): string {
  let text = 'HTTP/1.1 101 Switching Protocols\r\n'
  for (let i = 0; i < rawHeaders.length; i += 2) text += `${rawHeaders[i]}: ${rawHeaders[i + 1]}\r\n`
  return `${text}\r\n`
}

function join(from: Duplex, to: Duplex): void {
  const resume = () => from.resume()
  from.on('data', (chunk: Buffer) => {
    if (to.write(chunk)) return
    from.pause()
    to.once('drain', resume)
  })
  from.on('end', () => to.end())
  from.on('error', () => to.destroy())
  from.on('close', () => to.destroy())
}
