import { createHash } from 'node:crypto'
import type { PlannedRequest } from '../../load/plan.ts'
import { type Answer, ask } from '../../measure/check.ts'
import { type Peer, type Place, secureOf } from '../../peers/peer.ts'
import type { Contender, Traffic } from '../../plan/case.ts'
import { answerOf, body, received, smallAnswer } from '../../servers/bodies.ts'

/** What is forwarded: a small answer, `N` bytes down, or `N` bytes up. */
export type Message = 'small' | { readonly down: number } | { readonly up: number }

/** A forwarder with a message: the same request for everybody, and before the timing the same checks. */
export function forwarding(peer: Peer, message: Message): Contender {
  return {
    peer,
    async prepare(place) {
      const traffic = trafficOf(message, await peer.authorization(place))
      await checkAnswers(peer, place, traffic)
      return traffic
    },
  }
}

/** GETs of the small answer, each with an access token of its own. */
export function smallTraffic(tokens: readonly string[]): Traffic {
  const each = tokens.map((token) => trafficOf('small', `Bearer ${token}`))
  return { ...each[0]!, requests: each.flatMap(({ requests }) => requests) }
}

function trafficOf(message: Message, authorization: string): Traffic {
  const headers = { authorization, accept: 'application/json', 'user-agent': 'benchmark/1' }
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

/** The answer byte for byte; an upload by its digest at the upstream; a refusal without or with any bad token. */
export async function checkAnswers(peer: Peer, place: Place, traffic: Traffic): Promise<void> {
  const { port } = place
  const request = traffic.requests[0]!
  const upload = traffic.uploadBytes === undefined ? undefined : body(traffic.uploadBytes)
  const secure = secureOf(peer, place)
  await expectAnswer(await ask(port, request, upload, secure), answerOf(traffic.answer)!)
  if (upload) {
    const digest = createHash('sha256').update(upload).digest('hex')
    const answer = await ask(port, { ...request, path: '/api/digest' }, upload, secure)
    await expectAnswer(answer, Buffer.from(digest))
  }
  if (peer.authenticates) await checkRefusals(peer, place, request, upload)
}

async function checkRefusals(peer: Peer, place: Place, request: PlannedRequest, upload?: Buffer) {
  const secure = secureOf(peer, place)
  const { authorization = '', ...anonymous } = request.headers
  const statusOf = async (field: { authorization?: string }) =>
    (await ask(place.port, { ...request, headers: { ...anonymous, ...field } }, upload, secure)).status
  for (const field of [{}, { authorization: spoilt(authorization) }]) {
    const status = await statusOf(field)
    if (status !== 401 && status !== 403) throw new Error(`without a good token it answers ${status}`)
  }
  for (const [what, token] of Object.entries(peer.refuses?.(place) ?? {})) {
    const status = await statusOf({ authorization: `Bearer ${token}` })
    // @fastify/jwt refuses a token of another algorithm with a 500.
    if (status < 400) throw new Error(`with a token that is ${what} it answers ${status}`)
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
