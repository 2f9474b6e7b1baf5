/** The public names of providers, which lead to servers of a test on loopback, by real TLS and without a name server. */

import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import tls from 'node:tls'
import type { Test } from 'tap'
import { selfSigned } from '../certificate.ts'

/** A request as the provider received it. */
export interface HostRequest {
  readonly method: string
  readonly host: string
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly query: URLSearchParams
  readonly form: URLSearchParams
}

interface Place {
  readonly port: number
  readonly ca: string
}

const places = new Map<string, Place>()
const certificates = new Map<string, ReturnType<typeof selfSigned>>()
const connect = tls.connect

/**
 * undici, that of the package and that of Node's `fetch`, connects by `tls.connect` of the module. Everything but the
 * address is as it would be: the name that is asked for, and the certificate that must be for it. A name that leads to
 * no server of the test is refused, so that no test can reach a real provider.
 */
tls.connect = ((options: tls.ConnectionOptions, ...rest: []) => {
  const { host = '' } = options
  if (host === '127.0.0.1') return connect(options, ...rest)
  const place = places.get(host)
  if (!place) throw new Error(`no server of this test is ${host}`)
  return connect({ ...options, host: '127.0.0.1', port: place.port, ca: place.ca }, ...rest)
}) as typeof tls.connect

/** Hosts that answer. */
export interface Hosts {
  /** They refuse connections from now on, until the returned function is called. */
  leave(): () => Promise<void>
}

/** Answers to `hosts` until the test ends. */
export async function startHosts(
  t: Test,
  hosts: readonly string[],
  answer: (request: HostRequest, response: ServerResponse) => unknown,
): Promise<Hosts> {
  for (const host of hosts) if (!certificates.has(host)) certificates.set(host, selfSigned(host))
  const server = https.createServer(
    { SNICallback: (name, use) => use(null, tls.createSecureContext(certificates.get(name)!)) },
    async (incoming, response) => {
      const chunks: Buffer[] = []
      for await (const chunk of incoming) chunks.push(chunk as Buffer)
      // The next server of this name must not be taken for this one.
      response.setHeader('connection', 'close')
      const [path = '', search] = (incoming.url ?? '').split('?')
      const { method = '', headers } = incoming
      const form = new URLSearchParams(Buffer.concat(chunks).toString())
      const query = new URLSearchParams(search)
      await answer({ method, host: headers.host ?? '', path, headers, query, form }, response)
    },
  )
  const open = async () => {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    for (const host of hosts) places.set(host, { port, ca: certificates.get(host)!.cert })
  }
  const close = () => {
    server.close()
    server.closeAllConnections()
  }
  await open()
  t.teardown(() => {
    for (const host of hosts) places.delete(host)
    close()
  })
  return {
    leave() {
      close()
      return open
    },
  }
}
