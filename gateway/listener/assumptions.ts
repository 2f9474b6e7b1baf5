import { createServer, type IncomingMessage, type ServerOptions, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterPrevious, claimConnection } from './http1-connection.ts'
import { endWithHeader, HeaderOnlyRequest, upgradable } from './http1-request.ts'
import { CoalescedResponse, flushHead } from './http1-response.ts'
import { heedsHttp1Settings, speaksHttp2 } from './http2/server.ts'
import { memoryConnection } from './memory-connection.ts'

/**
 * What this folder takes for granted of Node and no documentation promises. Each is tried before the listener is made,
 * on connections in memory; where one does not hold, Node's own class serves, and one line of the log says so.
 */
export type Assumption = keyof typeof assumptions

/** The assumptions that hold, and that nobody has left out. */
export type NodeFeatures = ReadonlySet<Assumption>

/** What the log says when it does not hold, and how it is tried. */
interface Trial {
  readonly otherwise: string
  readonly holds: () => Promise<boolean>
}

const assumptions = {
  'coalesced responses': {
    otherwise: 'each response is written by itself',
    holds: () => answersAlike({ ServerResponse: CoalescedResponse }),
  },
  'header-only requests': {
    otherwise: 'requests without a body are read to their end',
    holds: () => answersAlike({ IncomingMessage: HeaderOnlyRequest }),
  },
  'chosen upgrades': {
    otherwise: 'a request that asks for an upgrade other than WebSocket is refused',
    holds: choosesUpgrades,
  },
  'ordered pipelining': {
    otherwise: 'pipelined requests of a connection are handled at the same time',
    holds: waitsForPrevious,
  },
  'latin1 heads': {
    otherwise: 'header values above ASCII may be sent as UTF-8',
    holds: keepsBytes,
  },
  'http2 messages': {
    otherwise: 'HTTP/2 is not offered',
    holds: speaksHttp2,
  },
  'http1 settings of the http2 server': {
    otherwise: 'HTTP/2 is not offered',
    holds: heedsHttp1Settings,
  },
} as const satisfies Record<string, Trial>

/** For tests and benchmarks: as if all had been tried. */
export const ALL_FEATURES: NodeFeatures = new Set(Object.keys(assumptions) as Assumption[])
/** Those that matter only where HTTP/2 is offered. */
const OF_HTTP2 = new Set<Assumption>(['http2 messages', 'http1 settings of the http2 server'])
/** A trial takes a few milliseconds. One that hangs has failed. */
const PATIENCE_MS = 1000

/** What `tryNode` has found. */
export interface Tried {
  readonly features: NodeFeatures
  /** One line of the log for each assumption that does not hold. */
  readonly failures: readonly { readonly assumption: Assumption; readonly message: string }[]
}

/**
 * Tries what the listener is going to rely on. Never rejects.
 *
 * @param http2 HTTP/2 is going to be offered.
 * @param leftOut not to be used, whether it holds or not: for benchmarks.
 */
export async function tryNode(http2: boolean, leftOut: readonly string[] = []): Promise<Tried> {
  const names = [...ALL_FEATURES].filter((name) => !leftOut.includes(name) && (http2 || !OF_HTTP2.has(name)))
  const held = await Promise.all(names.map((name) => holds(assumptions[name])))
  return {
    features: new Set(names.filter((_, index) => held[index])),
    failures: names
      .filter((_, index) => !held[index])
      .map((assumption) => {
        const { otherwise } = assumptions[assumption]
        return { assumption, message: `Node ${process.version} is not as expected: ${otherwise}` }
      }),
  }
}

/** False if the trial fails, throws, or takes too long. */
export async function holds(trial: Trial): Promise<boolean> {
  const late = new AbortController()
  try {
    return await Promise.race([
      trial.holds().catch(() => false),
      sleep(PATIENCE_MS, false, { signal: late.signal }),
    ])
  } finally {
    late.abort()
  }
}

/** One of the assumptions, for a test of its own. */
export function trialOf(assumption: Assumption): Trial {
  return assumptions[assumption]
}

/** Three requests at once, one of them with a body, one that has none to answer; the last closes. */
const REQUESTS =
  'GET /1 HTTP/1.1\r\nHost: a\r\n\r\n' +
  'POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody' +
  'HEAD /3 HTTP/1.1\r\nHost: a\r\n\r\n' +
  'GET /4 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'

/** True if a server with these classes says just what one with Node's own says. */
export async function answersAlike(classes: ServerOptions): Promise<boolean> {
  const [plain, ours] = await Promise.all([{}, classes].map((options) => said(options, REQUESTS)))
  return plain !== '' && plain === ours
}

/** All that a server answers, until it closes the connection. */
async function said(options: ServerOptions, requests: string): Promise<string> {
  const server = createServer(options, (request, response) => {
    response.sendDate = false
    const answer = (body: string) =>
      response.writeHead(200, ['content-length', String(body.length)]).end(body)
    if (request.method !== 'POST') {
      endWithHeader(request)
      answer(request.url ?? '')
    } else request.setEncoding('latin1').on('data', answer)
  })
  return talk(server, requests)
}

/** Gives the server a connection in memory on which `bytes` come. @returns what it says until it closes. */
async function talk(server: ReturnType<typeof createServer>, bytes: string): Promise<string> {
  const { client, connection } = memoryConnection()
  try {
    server.emit('connection', connection)
    client.write(bytes, 'latin1')
    return await everything(client)
  } finally {
    client.destroy()
    connection.destroy()
    server.close()
  }
}

async function everything(client: Duplex): Promise<string> {
  let text = ''
  for await (const piece of client) text += (piece as Buffer).toString('latin1')
  return text
}

/** An upgrade to something else is a request like any other, with its body; WebSocket leaves HTTP. */
async function choosesUpgrades(): Promise<boolean> {
  const seen: string[] = []
  const server = createServer({ IncomingMessage: upgradable(HeaderOnlyRequest) }, (request, response) => {
    request.setEncoding('latin1').on('data', (body: string) => seen.push(`request ${body}`))
    request.on('end', () => response.end())
  })
  server.on('upgrade', (request, socket) => {
    seen.push(`upgrade ${request.headers.upgrade}`)
    socket.end()
  })
  const request = (method: string, protocol: string, rest: string) =>
    `${method} / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, close\r\nUpgrade: ${protocol}\r\n${rest}`
  await talk(server, request('POST', 'h2c', 'Content-Length: 4\r\n\r\nbody'))
  await talk(server, request('GET', 'websocket', '\r\n'))
  return seen.join() === 'request body,upgrade websocket'
}

/** The second request begins when the first has been answered, and not before. */
async function waitsForPrevious(): Promise<boolean> {
  const seen: string[] = []
  const take = (request: IncomingMessage, response: ServerResponse): void => {
    if (!claimConnection(response)) {
      afterPrevious(request.socket, response, () => take(request, response))
      return
    }
    seen.push(`begin ${request.url}`)
    setImmediate(() => {
      seen.push(`end ${request.url}`)
      if (request.url === '/2') response.shouldKeepAlive = false
      response.end()
    })
  }
  const server = createServer(take)
  await talk(server, 'GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n')
  return seen.join() === 'begin /1,end /1,begin /2,end /2'
}

/** A head that is flushed keeps a byte above ASCII. */
async function keepsBytes(): Promise<boolean> {
  const server = createServer((_request, response) => {
    response.writeHead(200, ['x-byte', '\u00e9', 'connection', 'close'])
    flushHead(response)
    response.end()
  })
  return (await talk(server, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n')).includes('x-byte: \u00e9\r\n')
}
