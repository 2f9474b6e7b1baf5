/** Servers of a test that speak as a provider, and a client that is connected to one. */

import { once } from 'node:events'
import http, { type IncomingMessage, type RequestListener } from 'node:http'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'
import type { ResolvedProvider } from '../../plugin/options/resolved.ts'
import { createProvider, type ProviderClientOptions } from '../../plugin/provider/client.ts'
import { providerOptions, recordingLog } from './provider-setup.ts'

interface Listening {
  origin: string
  port: number
  /** Requests so far. */
  requests: IncomingMessage[]
}

export async function listen(t: Test, server: http.Server | https.Server): Promise<Listening> {
  const requests: IncomingMessage[] = []
  server.prependListener('request', (request) => requests.push(request))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { origin: `http${server instanceof https.Server ? 's' : ''}://127.0.0.1:${port}`, port, requests }
}

export const serve = (t: Test, listener: RequestListener) => listen(t, http.createServer(listener))

/** A provider client on connections of its own, with explicit endpoints at `origin`. */
export async function connected(
  t: Test,
  origin: string,
  overrides: Partial<ResolvedProvider> = {},
  options: Partial<ProviderClientOptions> = {},
) {
  const { lines, log } = recordingLog()
  const provider = createProvider({
    provider: {
      ...providerOptions,
      issuer: origin,
      scope: '',
      authorizationEndpoint: `${origin}/authorize`,
      tokenEndpoint: `${origin}/token`,
      ...overrides,
    },
    callbackUrl: 'http://127.0.0.1:3000/oauth2/callback',
    log,
    sleep: async () => {},
    environment: {},
    ...options,
  })
  t.teardown(() => provider.close())
  await provider.start()
  return { provider, lines }
}
