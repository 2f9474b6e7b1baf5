import { Agent, request as send } from 'node:http'
import type { PlannedRequest } from '../load/plan.ts'

/** A whole answer. */
export interface Answer {
  readonly status: number
  readonly body: Buffer
}

/** One request by Node's own client, which is not the one that makes the load. */
export function ask(port: number, request: PlannedRequest, upload?: Buffer): Promise<Answer> {
  const { method, path, headers } = request
  const content = upload ?? (request.body === undefined ? undefined : Buffer.from(request.body))
  const length = content && { 'content-length': content.length }
  return new Promise((resolve, reject) => {
    const agent = new Agent({ keepAlive: false })
    const outgoing = send({
      host: '127.0.0.1',
      port,
      method,
      path,
      agent,
      headers: { ...headers, ...length },
    })
    outgoing.on('error', reject)
    outgoing.on('response', (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks) }))
    })
    outgoing.end(content)
  })
}
