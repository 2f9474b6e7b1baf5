import { channel } from 'node:diagnostics_channel'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'

/** One request to any HTTP server of this process, and what it answered. */
export interface Exchange {
  /** Of the server. */
  readonly port: number
  readonly method: string
  readonly target: string
  readonly path: string
  /** Names and values in turn. */
  readonly rawHeaders: readonly string[]
  readonly headers: IncomingMessage['headers']
  body: string
  status: number
  answerHeaders: ReturnType<ServerResponse['getHeaders']>
  answer: string
}

/**
 * Records everything that passes the HTTP servers of this process from now on: the gateway's, the provider's and
 * the API's, both sides of each. A listening ear, nothing is changed.
 */
export function recordTraffic(t: Test): Exchange[] {
  const exchanges: Exchange[] = []
  const onStart = (message: unknown) => {
    const { request, response } = message as { request: IncomingMessage; response: ServerResponse }
    exchanges.push(observe(request, response))
  }
  const started = channel('http.server.request.start')
  started.subscribe(onStart)
  t.teardown(() => started.unsubscribe(onStart))
  return exchanges
}

function observe(request: IncomingMessage, response: ServerResponse): Exchange {
  const target = request.url ?? ''
  const exchange: Exchange = {
    port: (request.socket.address() as AddressInfo).port,
    method: request.method ?? '',
    target,
    path: target.split('?', 1)[0]!,
    rawHeaders: [...request.rawHeaders],
    headers: request.headers,
    body: '',
    status: 0,
    answerHeaders: {},
    answer: '',
  }
  // A stream emits `data` for whoever reads it, in whichever way.
  const { emit } = request
  request.emit = (name: string | symbol, ...values: unknown[]) => {
    if (name === 'data') exchange.body += String(values[0])
    return emit.call(request, name, ...values)
  }
  const { write, end, writeHead } = response
  response.writeHead = ((...values: unknown[]) => {
    const fields = values.at(-1)
    const given = Array.isArray(fields) ? pairs(fields) : typeof fields === 'object' ? fields : {}
    exchange.answerHeaders = { ...response.getHeaders(), ...given }
    exchange.status = Number(values[0])
    return (writeHead as (...of: unknown[]) => unknown).apply(response, values)
  }) as typeof writeHead
  response.write = ((...values: unknown[]) => {
    keep(values[0])
    return (write as (...of: unknown[]) => unknown).apply(response, values)
  }) as typeof write
  response.end = ((...values: unknown[]) => {
    keep(values[0])
    if (exchange.status === 0) {
      exchange.status = response.statusCode
      exchange.answerHeaders = response.getHeaders()
    }
    return (end as (...of: unknown[]) => unknown).apply(response, values)
  }) as typeof end
  return exchange

  function keep(chunk: unknown): void {
    if (typeof chunk === 'string' || Buffer.isBuffer(chunk)) exchange.answer += String(chunk)
  }
}

function pairs(flat: readonly unknown[]): Record<string, string[]> {
  const fields: Record<string, string[]> = {}
  for (let index = 0; index < flat.length; index += 2) {
    const name = String(flat[index]).toLowerCase()
    fields[name] = [...(fields[name] ?? []), String(flat[index + 1])]
  }
  return fields
}
