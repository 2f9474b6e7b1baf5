import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { findExecutable } from '../../plan/project.ts'
import type { Algorithm } from '../../servers/keys.ts'
import { verifiesJwt } from '../node/jwt.ts'
import { letsEverybodyThrough, notInstalled, type Peer, type Place } from '../peer.ts'

/** haproxy with one thread; with a key, it verifies JWTs: algorithm, signature, issuer, audience, expiry. */
export const haproxyPeers: readonly Peer[] = [
  haproxy('haproxy', 'haproxy, no authentication', undefined),
  haproxy('haproxy-jwt-hs256', 'haproxy verifying a JWT, HS256', 'HS256'),
  haproxy('haproxy-jwt-rs256', 'haproxy verifying a JWT, RS256', 'RS256'),
]

function haproxy(name: string, title: string, algorithm: Algorithm | undefined): Peer {
  return {
    ...(algorithm ? verifiesJwt(algorithm) : letsEverybodyThrough),
    name,
    title,
    isNode: false,
    missing: () => notInstalled('haproxy'),
    commands: (place) => {
      const file = join(place.folder, 'haproxy.cfg')
      writeFileSync(file, configuration(place, algorithm ? check(place, algorithm) : ''))
      return [{ file: findExecutable('haproxy') ?? 'haproxy', args: ['-db', '-q', '-f', file] }]
    },
  }
}

function check({ folder, keys }: Place, algorithm: Algorithm): string {
  const pem = join(folder, 'key.pem')
  writeFileSync(pem, keys.publicPem)
  const key = algorithm === 'HS256' ? keys.secret : pem
  return `
  http-request deny deny_status 401 unless { req.hdr(authorization) -m found }
  http-request set-var(txn.bearer) http_auth_bearer
  http-request set-var(txn.alg) str(${algorithm})
  http-request set-var(txn.exp) var(txn.bearer),jwt_payload_query('$.exp','int')
  http-request set-var(txn.now) date()
  http-request deny deny_status 401 unless { var(txn.bearer),jwt_header_query('$.alg') -m str ${algorithm} }
  http-request deny deny_status 401 unless { var(txn.bearer),jwt_verify(txn.alg,"${key}") -m int 1 }
  http-request deny deny_status 401 unless { var(txn.bearer),jwt_payload_query('$.iss') -m str ${keys.issuer} }
  http-request deny deny_status 401 unless { var(txn.bearer),jwt_payload_query('$.aud') -m str ${keys.audience} }
  http-request deny deny_status 401 if { var(txn.exp),sub(txn.now) -m int lt 0 }`
}

function configuration({ port, upstream }: Place, rules: string): string {
  return `
global
  maxconn 4096
  nbthread 1
defaults
  mode http
  timeout connect 3s
  timeout client 60s
  timeout server 60s
  http-reuse always
frontend public
  bind 127.0.0.1:${port} backlog 4096${rules}
  default_backend api
backend api
  server api 127.0.0.1:${upstream}
`
}
