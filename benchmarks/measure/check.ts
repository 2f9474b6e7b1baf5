import { Agent, request as send } from 'node:http'
import { connect } from 'node:http2'
import { Agent as SecureAgent, request as sendSecurely } from 'node:https'
import { buffer } from 'node:stream/consumers'
import type { PlannedRequest, Secure } from '../load/plan.ts'
import { tlsOptions } from '../load/secure.ts'

/** A whole answer. */
export interface Answer {
  readonly status: number
  readonly body: Buffer
}

/** One request by Node's own client, which is not the one that makes the load. Over HTTP/2, without a body. */
export function ask(
  port: number,
  request: PlannedRequest,
  upload?: Buffer,
  secure?: Secure,
): Promise<Answer> {
  if (secure?.protocol === 'h2') return askByHttp2(port, request, secure)
  const { method, path, headers } = request
  const content = upload ?? (request.body === undefined ? undefined : Buffer.from(request.body))
  const length = content && { 'content-length': content.length }
  return new Promise((resolve, reject) => {
    const agent = secure
      ? new SecureAgent({ keepAlive: false, ...tlsOptions(secure) })
      : new Agent({ keepAlive: false })
    const outgoing = (secure ? sendSecurely : send)({
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

async function askByHttp2(port: number, request: PlannedRequest, secure: Secure): Promise<Answer> {
  const { method, path, headers } = request
  const session = connect(`https://127.0.0.1:${port}`, tlsOptions(secure))
  try {
    return await new Promise((resolve, reject) => {
      session.on('error', reject)
      const stream = session.request({ ':method': method, ':path': path, ...headers })
      stream.on('error', reject)
      stream.on('response', ({ ':status': status = 0 }) => {
        buffer(stream).then((body) => resolve({ status, body }), reject)
      })
    })
  } finally {
    session.destroy()
  }
}
