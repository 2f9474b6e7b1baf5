import { createServer, type ServerResponse } from 'node:http'
import { readArgument } from './argument.ts'

/**
 * A provider that answers at once and always the same: metadata, tokens without an id_token, a JWKS for those
 * that verify JWTs, and an introspection that finds everything active. In a process of its own, on the load's core.
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
const keys = Buffer.from(JSON.stringify(jwks))
const empty = Buffer.from('{}')

const answers = new Map<string, Buffer>([
  ['/.well-known/openid-configuration', metadata],
  ['/.well-known/oauth-authorization-server', metadata],
  ['/jwks', keys],
  ['/token', tokens],
  ['/introspect', active],
  ['/revoke', empty],
])

createServer((request, response) => {
  const path = request.url?.split('?', 1)[0] ?? ''
  const content = answers.get(path)
  request.on('end', () => send(response, content)).resume()
}).listen({ host: '127.0.0.1', port, backlog: 4096 })

function send(response: ServerResponse, content: Buffer = empty): void {
  const fields = { 'content-type': 'application/json', 'content-length': content.length }
  response.writeHead(200, fields).end(content)
}

function inADay(): number {
  return Math.floor(Date.now() / 1000) + 86_400
}
