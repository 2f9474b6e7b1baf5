import { ask } from '../../measure/check.ts'
import { hello } from '../../peers/index.ts'
import type { Contender } from '../../plan/case.ts'

/** A Fastify hello world: what introspection is measured against. */
export const greeted: Contender = {
  peer: hello,
  mode: 'repeat',
  async prepare({ port }) {
    const request = { method: 'GET', path: '/', headers: {} } as const
    const answer = '{"hello":"world"}'
    const { status, body } = await ask(port, request)
    if (status !== 200 || body.toString() !== answer) throw new Error(`hello answers ${status}: ${body}`)
    return { requests: [request], status: 200, answer }
  },
}
