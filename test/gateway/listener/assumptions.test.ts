/** What gateway/listener takes for granted of Node. Run on every supported version: a new one may change its mind. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { createServer, IncomingMessage, ServerResponse } from 'node:http'
import t from 'tap'
import {
  ALL_FEATURES,
  type Assumption,
  answersAlike,
  holds,
  trialOf,
  tryNode,
} from '../../../gateway/listener/assumptions.ts'

/** Each assumption in the words of what Node does. */
const says: Record<Assumption, string> = {
  'coalesced responses': 'a response may be ended later than its `end`, if `writableEnded` says it has ended',
  'header-only requests': 'a request that has ended with its header need not be read to its end',
  'chosen upgrades': 'a request is asked whether it wants an upgrade when its header is complete',
  'ordered pipelining':
    'a response that waits for an earlier one has no socket, and is told when it gets one',
  'latin1 heads': 'a head is sent in the encoding of the first piece behind it',
  'http2 messages': 'the classes of HTTP/2 messages can be replaced, and say what those of HTTP/1.1 say',
  'http1 settings of the http2 server': 'an HTTP/1.1 connection looks for its limits at the HTTP/2 server',
}

for (const assumption of ALL_FEATURES) {
  t.test(`${process.version}: ${says[assumption]} (${assumption})`, async (t) => {
    t.equal(await holds(trialOf(assumption)), true)
  })
}

t.test('what holds is used, and nothing is to be logged', async (t) => {
  const { features, failures } = await tryNode(true)
  t.same([...features], [...ALL_FEATURES])
  t.same(failures, [])
})

t.test('without HTTP/2 nothing of it is tried', async (t) => {
  const { features, failures } = await tryNode(false)
  t.notOk(features.has('http2 messages'))
  t.notOk(features.has('http1 settings of the http2 server'))
  t.same(failures, [])
})

t.test('a class that answers otherwise than its own of Node is found out', async (t) => {
  class Silent<Request extends IncomingMessage> extends ServerResponse<Request> {
    override end(): this {
      return super.end()
    }
  }
  class Unread extends IncomingMessage {
    override push(): boolean {
      return false
    }
  }
  t.equal(await holds({ otherwise: '', holds: () => answersAlike({ ServerResponse: Silent }) }), false)
  t.equal(
    await holds({ otherwise: '', holds: () => answersAlike({ IncomingMessage: Unread }) }),
    false,
    'hangs',
  )
})

t.test('an assumption that does not hold is told in one line, and its feature is left out', async (t) => {
  const { emit } = ServerResponse.prototype
  // As if Node no longer told a response that it has got its socket.
  ServerResponse.prototype.emit = function (this: ServerResponse, name: string | symbol, ...rest: unknown[]) {
    return name === 'socket' ? false : Reflect.apply(emit, this, [name, ...rest])
  } as typeof emit
  const { features, failures } = await tryNode(false).finally(() => {
    ServerResponse.prototype.emit = emit
  })
  t.notOk(features.has('ordered pipelining'))
  t.ok(features.has('coalesced responses'))
  t.same(failures, [
    {
      assumption: 'ordered pipelining',
      message: `Node ${process.version} is not as expected: pipelined requests of a connection are handled at the same time`,
    },
  ])
})

t.test('a feature that is left out is neither tried nor used', async (t) => {
  const { features, failures } = await tryNode(false, ['coalesced responses'])
  t.notOk(features.has('coalesced responses'))
  t.same(failures, [])
})

t.test('who watches every server of the process sees trials as requests on ordinary sockets', async (t) => {
  const seen: unknown[] = []
  const watch = (message: unknown) => {
    const { request } = message as { request: IncomingMessage }
    seen.push([request.socket.address(), request.socket.remoteAddress])
  }
  subscribe('http.server.request.start', watch)
  t.teardown(() => unsubscribe('http.server.request.start', watch))
  t.same((await tryNode(true)).failures, [])
  t.ok(seen.length > 0)
  for (const one of seen) t.match(one, [{ port: 0 }, '127.0.0.1'])
})

t.test('a trial leaves no server behind', async (t) => {
  await Promise.all([...ALL_FEATURES].map((assumption) => holds(trialOf(assumption))))
  const server = createServer()
  t.equal(server.listening, false)
  t.same(
    process.getActiveResourcesInfo().filter((resource) => /Server/.test(resource)),
    [],
  )
})
