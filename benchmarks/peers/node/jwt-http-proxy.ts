import Fastify, { type FastifyPluginCallback, type FastifyRequest } from 'fastify'
import { readArgument } from '../../plan/argument.ts'
import { loadInstalled } from '../../plan/project.ts'
import type { Algorithm } from '../../servers/keys.ts'
import type { ForwarderArgument } from '../peer.ts'
import { httpProxyOptions, loadHttpProxy } from './http-proxy-options.ts'

/** @fastify/jwt before @fastify/http-proxy. `cache`: a token's verification is remembered. */
interface Argument extends ForwarderArgument {
  readonly algorithm: Algorithm
  /** The shared secret, or the public key as PEM. */
  readonly key: string
  readonly cache: boolean
  readonly issuer: string
  readonly audience: string
}
const { port, upstream, algorithm, key, cache, issuer, audience } = readArgument<Argument>()

const { default: jwt } = await loadInstalled<{ default: FastifyPluginCallback<Record<string, unknown>> }>(
  '@fastify/jwt',
)
const app = Fastify({ logger: false })
await app.register(jwt, {
  secret: algorithm === 'HS256' ? key : { public: key },
  verify: { algorithms: [algorithm], allowedIss: issuer, allowedAud: audience, cache },
})
await app.register(await loadHttpProxy(), {
  ...httpProxyOptions(upstream),
  preHandler: (request: FastifyRequest & { jwtVerify(): Promise<unknown> }) => request.jwtVerify(),
})
await app.listen({ host: '127.0.0.1', port, backlog: 4096 })
