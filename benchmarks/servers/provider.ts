import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { createServer as createListener } from 'node:net'
import { selfSigned } from '../../test/support/certificate.ts'
import { ANY_TOKEN } from '../peers/peer.ts'
import { readArgument } from '../plan/argument.ts'

/**
 * A provider that answers at once and always the same: metadata, tokens without an id_token, a JWKS for those
 * that verify JWTs, and an introspection that knows one token. In a process of its own, on the load's core.
 */
const { port, jwks } = readArgument<{ port: number; jwks: object }>()
const issuer = `http://127.0.0.1:${port}`

const metadata = Buffer.from(
  JSON.stringify({
    issuer,
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${issuer}/token`,
    revocation_endpoint: `${issuer}/revoke`,
    introspection_endpoint: `${issuer}/introspect`,
    jwks_uri: `${issuer}/jwks`,
    response_types_supported: ['code'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['RS256'],
    code_challenge_methods_supported: ['S256'],
  }),
)
const tokens = Buffer.from(
  JSON.stringify({
    access_token: 'provider-access-token-of-a-usual-length-0123456789abcdef',
    refresh_token: 'provider-refresh-token-of-a-usual-length-0123456789abcdef',
    token_type: 'Bearer',
    expires_in: 86_400,
  }),
)
const active = Buffer.from(
  JSON.stringify({ active: true, sub: 'alice', client_id: 'benchmark', scope: 'orders.read', exp: inADay() }),
)
const inactive = Buffer.from(JSON.stringify({ active: false }))
const keys = Buffer.from(JSON.stringify(jwks))
const empty = Buffer.from('{}')

const answers = new Map<string, Buffer>([
  ['/.well-known/openid-configuration', metadata],
  ['/.well-known/oauth-authorization-server', metadata],
  ['/jwks', keys],
  ['/token', tokens],
  ['/revoke', empty],
])

/** The first byte of a TLS connection (RFC 8446 §5.1). */
const HANDSHAKE = 22
const plain = createServer(answer)
const secure = createSecureServer(selfSigned('localhost'), answer)

// One port for http and https: mod_auth_openidc asks an introspection endpoint over https only.
createListener((socket) => {
  socket.once('data', (first) => {
    socket.pause().unshift(first)
    const server = first[0] === HANDSHAKE ? secure : plain
    server.emit('connection', socket)
    process.nextTick(() => socket.resume())
  })
  socket.on('error', () => socket.destroy())
}).listen({ host: '127.0.0.1', port, backlog: 4096 })

function answer(request: IncomingMessage, response: ServerResponse): void {
  const path = request.url?.split('?', 1)[0] ?? ''
  let form = ''
  request.setEncoding('latin1').on('data', (text: string) => {
    form += text
  })
  request.on('end', () => send(response, path === '/introspect' ? introspection(form) : answers.get(path)))
}

function introspection(form: string): Buffer {
  return new URLSearchParams(form).get('token') === ANY_TOKEN ? active : inactive
}

function send(response: ServerResponse, content: Buffer = empty): void {
  const fields = { 'content-type': 'application/json', 'content-length': content.length }
  response.writeHead(200, fields).end(content)
}

function inADay(): number {
  return Math.floor(Date.now() / 1000) + 86_400
}
