/** A gateway that speaks HTTP/2 in front of a recording upstream. */

import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import type { Test } from 'tap'
import type { Upstream } from '../../gateway/config/schemas/gateway.ts'
import { createHttp2Server } from '../../gateway/listener/http2/server.ts'
import { selfSigned } from './certificate.ts'
import { type ForwarderSetup, forwarder, HOST, upstream } from './forwarder.ts'
import { FrameClient, http2Client } from './http2.ts'
import { RawUpstream } from './wire.ts'

export const certificate = selfSigned(HOST)

export const CANCEL = 8

export function files(t: Test, { cert, key } = certificate) {
  const folder = t.testdir({ 'tls.crt': cert, 'tls.key': key })
  return { certFile: join(folder, 'tls.crt'), keyFile: join(folder, 'tls.key') }
}

/** A recording upstream behind a gateway that speaks HTTP/2; `own`: settings of the route /api. */
export async function setUp(t: Test, own: Partial<Upstream> = {}, setup: Partial<ForwarderSetup> = {}) {
  const api = new RawUpstream()
  const target = await api.listen()
  const tls = files(t)
  const { app, port, logged } = await forwarder({
    upstreams: [upstream({ target, ...own })],
    tls,
    http2: { maxConcurrentStreams: 100 },
    ...setup,
  })
  const clients: { destroy(): void }[] = []
  t.teardown(async () => {
    for (const client of clients) client.destroy()
    await api.close()
    await app.close()
  })
  const client = async () => {
    const one = await http2Client(port, certificate.cert)
    clients.push(one.session)
    return one
  }
  const frames = async (acknowledges = true) => {
    const one = await FrameClient.connect(port, certificate.cert, acknowledges)
    clients.push(one.socket)
    return one
  }
  const socket = async (options: object = {}) => {
    const ca = certificate.cert
    const one = connectTls({ port, host: '127.0.0.1', servername: HOST, ca, ...options })
    clients.push(one)
    await once(one, 'secureConnect')
    return one
  }
  return { api, app, port, logged, tls, client, frames, socket }
}

export const get = (...more: [string, string][]): [string, string][] => [
  [':method', 'GET'],
  [':scheme', 'https'],
  [':authority', HOST],
  [':path', '/api/a'],
  ['authorization', 'Bearer good'],
  ...more,
]

/** The HTTP/2 server alone, without a forwarder behind it. */
export async function bareServer(t: Test) {
  const { cert, key } = certificate
  const times = { headersTimeout: 1000, requestTimeout: 0, keepAliveTimeout: 1000 }
  const http1 = {
    ...times,
    connectionsCheckingInterval: 1000,
    maxHeaderSize: 16_384,
    requireHostHeader: false,
  }
  const server = createHttp2Server({ cert, key, ...http1 }, { maxConcurrentStreams: 10 })
  const sockets = new Set<TLSSocket>()
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const frames = async () => {
    const wire = await FrameClient.connect((server.address() as AddressInfo).port, cert)
    sockets.add(wire.socket)
    return wire
  }
  return { server, frames }
}
