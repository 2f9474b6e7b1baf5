/** A plugin app on a real socket. */

import { request as httpRequest, type OutgoingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { RateWindows } from '../../plugin/http/rate-windows.ts'
import type { PluginApp } from './plugin-app.ts'

export const FORM = { 'content-type': 'application/x-www-form-urlencoded' }

/** A request over a real socket. */
export function overHttp(
  port: number,
  path: string,
  { method = 'GET', headers = {} as OutgoingHttpHeaders, body = '' } = {},
): Promise<{ status: number; headers: Record<string, unknown> }> {
  return new Promise((resolve, reject) => {
    httpRequest({ port, host: '127.0.0.1', path, method, headers, agent: false }, (response) => {
      response.resume()
      response.on('end', () => resolve({ status: response.statusCode!, headers: response.headers }))
    })
      .on('error', reject)
      .end(body)
  })
}

export async function listen({ app }: PluginApp): Promise<number> {
  await app.listen({ host: '127.0.0.1', port: 0 })
  return (app.server.address() as AddressInfo).port
}

export function count(windows: RateWindows): Promise<unknown> {
  return new Promise((resolve, reject) => {
    windows.incr('192.0.2.1', (error, result) => (error ? reject(error) : resolve(result)), 60_000)
  })
}
