import { bare, forwarders } from '../peers/index.ts'
import type { Case, Contender } from '../plan/case.ts'
import { eventStreams } from './event-streams.ts'
import { accessLog, fastPaths, metrics } from './fast-paths.ts'
import { forwarding, type Message } from './forward/forward.ts'
import { forwardDpop } from './forward/forward-dpop.ts'
import { forwardSession } from './forward/forward-session.ts'
import { authorize } from './login/authorize.ts'
import { callback } from './login/callback.ts'
import { introspect } from './login/introspect.ts'
import { refresh } from './login/refresh.ts'
import { tokenExchange } from './login/token-exchange.ts'
import { idleMemory } from './server/idle-memory.ts'
import { prefixes } from './server/prefixes.ts'
import { secure } from './server/secure.ts'
import { start } from './server/start.ts'
import { workers } from './server/workers.ts'
import { forwardFirstUse } from './sessions/first-use.ts'
import { manySessions } from './sessions/many-sessions.ts'
import { activeSessions, sessions } from './sessions/sessions.ts'
import { websocketEcho } from './websocket-echo.ts'

const KIB = 1024
const MIB = 1024 * KIB

/** Those that are compared where the point is the gateway against the limit, not against everybody. */
const few = forwarders.filter(({ name }) =>
  ['gateway', 'gateway-other', 'http-proxy', 'nginx'].includes(name),
)

/** Every case, in the order of the report. @param smoke smaller ones, where size only costs time. */
export function allCases(smoke: boolean): readonly Case[] {
  return [
    {
      ...forward('forward-get', 'GET with an answer of 200 bytes, 64 connections', 'small', 64),
      contenders: forwarders.map((peer) => forwarding(peer, 'small')),
      allocation: true,
    },
    forwardSession,
    forwardDpop,
    forward('forward-post-1k', 'POST of 1 KiB, 64 connections', { up: KIB }, 64),
    forward('forward-down-64k', 'GET with an answer of 64 KiB, 64 connections', { down: 64 * KIB }, 64),
    forward('forward-up-64k', 'POST of 64 KiB, 64 connections', { up: 64 * KIB }, 64),
    forward('forward-down-10m', 'GET with an answer of 10 MiB, 8 connections', { down: 10 * MIB }, 8),
    forward('forward-up-10m', 'POST of 10 MiB, 8 connections', { up: 10 * MIB }, 8),
    {
      ...forward('slow-readers', '50 clients that read 10 MiB slowly: memory', { down: 10 * MIB }, 50),
      metric: 'memory',
      mode: 'slow',
      roundsAtMost: 3,
    },
    eventStreams,
    websocketEcho,
    forward('connections-1', 'GET, 1 connection', 'small', 1),
    forward('connections-1000', 'GET, 1,000 connections', 'small', 1000),
    {
      ...forward('latency', 'GET at half of its own maximum load: 99th percentile', 'small', 64),
      metric: 'p99',
      mode: 'paced',
      secondsAtLeast: 5,
    },
    sessions(smoke ? [1000, 10_000] : [1000, 100_000, 1_000_000]),
    activeSessions(smoke ? 10_000 : 200_000),
    manySessions(smoke ? 10_000 : 200_000),
    forwardFirstUse,
    authorize,
    callback,
    tokenExchange,
    refresh,
    introspect,
    accessLog,
    metrics,
    ...fastPaths,
    ...secure,
    ...idleMemory,
    start,
    prefixes,
    workers,
  ]
}

function forward(name: string, title: string, message: Message, connections: number): Case {
  const contender = (peer: (typeof forwarders)[number]): Contender => forwarding(peer, message)
  const body = message === 'small' ? undefined : bodyOf(message)
  return {
    name,
    title,
    metric: 'rate',
    mode: 'repeat',
    connections,
    base: contender(bare),
    contenders: few.map(contender),
    ...(body && { body }),
    ...(body && body.bytes >= MIB && { secondsAtLeast: 5 }),
  }
}

function bodyOf(message: Exclude<Message, 'small'>): NonNullable<Case['body']> {
  return 'down' in message ? { bytes: message.down, up: false } : { bytes: message.up, up: true }
}
