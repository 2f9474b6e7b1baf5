import { createHash } from 'node:crypto'
import { body, received, smallAnswer } from '../bodies.ts'
import type { Contender, Traffic } from '../case.ts'
import { type Answer, ask } from '../check.ts'
import type { PlannedRequest } from '../load/plan.ts'
import type { Peer, Place } from '../peers/peer.ts'

/** What is forwarded: a small answer, `N` bytes down, or `N` bytes up. */
export type Message = 'small' | { readonly down: number } | { readonly up: number }

/** A forwarder with a message: the same request for everybody, and before the timing the same checks. */
export function forwarding(peer: Peer, message: Message): Contender {
  return {
    peer,
    async prepare(place) {
      const headers = {
        authorization: await peer.authorization(place),
        accept: 'application/json',
        'user-agent': 'benchmark/1',
      }
      const traffic = trafficOf(message, headers)
      await checkAnswers(peer, place, traffic)
      return traffic
    },
  }
}

function trafficOf(message: Message, headers: PlannedRequest['headers']): Traffic {
  if (message === 'small') {
    const request = { method: 'GET', path: '/api/small', headers } as const
    return { requests: [request], status: 200, answer: smallAnswer.toString() }
  }
  if ('down' in message) {
    const request = { method: 'GET', path: `/api/down/${message.down}`, headers } as const
    return { requests: [request], status: 200, answer: message.down }
  }
  const upload = { ...headers, 'content-type': 'application/octet-stream' }
  const request = { method: 'POST', path: '/api/up', headers: upload } as const
  const { up } = message
  return { requests: [request], uploadBytes: up, status: 200, answer: received(up).toString() }
}

/** The answer byte for byte; an upload by its digest at the upstream; a refusal without or with a bad token. */
async function checkAnswers(peer: Peer, { port }: Place, traffic: Traffic): Promise<void> {
  const request = traffic.requests[0]!
  const upload = traffic.uploadBytes === undefined ? undefined : body(traffic.uploadBytes)
  const expected =
    typeof traffic.answer === 'number' ? body(traffic.answer) : Buffer.from(traffic.answer ?? '')
  await expectAnswer(await ask(port, request, upload), expected)
  if (upload) {
    const digest = createHash('sha256').update(upload).digest('hex')
    await expectAnswer(await ask(port, { ...request, path: '/api/digest' }, upload), Buffer.from(digest))
  }
  if (!peer.authenticates) return
  const { authorization, ...anonymous } = request.headers
  for (const headers of [anonymous, { ...anonymous, authorization: spoilt(authorization ?? '') }]) {
    const { status } = await ask(port, { ...request, headers }, upload)
    if (status !== 401 && status !== 403) throw new Error(`without a good token it answers ${status}`)
  }
}

async function expectAnswer({ status, body: answered }: Answer, expected: Buffer): Promise<void> {
  if (status !== 200) throw new Error(`it answers ${status}: ${answered.toString().slice(0, 300)}`)
  if (!answered.equals(expected)) {
    throw new Error(
      `the answer has ${answered.length} bytes and is not the ${expected.length} that were expected`,
    )
  }
}

/** The same token with other characters near its end, well-formed still. */
function spoilt(authorization: string): string {
  const at = authorization.length - 10
  const other = authorization.slice(at, at + 4) === 'AAAA' ? 'BBBB' : 'AAAA'
  return authorization.slice(0, at) + other + authorization.slice(at + 4)
}
