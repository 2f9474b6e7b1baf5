import { randomBytes } from 'node:crypto'
import { findExecutable } from '../../plan/project.ts'
import { verifiesJwt } from '../node/jwt.ts'
import { notInstalled, type Peer, type Place } from '../peer.ts'

/**
 * oauth2-proxy as a resource server: bearer JWTs are verified with the provider's keys, and no cookie is needed.
 * How many idle connections to the upstream are kept cannot be set; it is the default of Go, two.
 *
 * Written from its documentation (version 7) and never run: Debian has no package of it.
 */
export const oauth2Proxy: Peer = {
  ...verifiesJwt('RS256'),
  name: 'oauth2-proxy-jwt-rs256',
  title: 'oauth2-proxy verifying a JWT, RS256',
  isNode: false,
  missing: () => notInstalled('oauth2-proxy'),
  commands: (place) => [
    {
      file: findExecutable('oauth2-proxy') ?? 'oauth2-proxy',
      args: Object.entries(options(place)).map(([name, value]) => `--${name}=${value}`),
      environment: { GOMAXPROCS: '1' },
    },
  ],
}

/** Of https://oauth2-proxy.github.io/oauth2-proxy/configuration/overview. */
function options({ port, upstream, keys }: Place): Record<string, string> {
  return {
    'http-address': `127.0.0.1:${port}`,
    upstream: `http://127.0.0.1:${upstream}/`,
    provider: 'oidc',
    'oidc-issuer-url': keys.issuer,
    // The audience that a token must have.
    'client-id': keys.audience,
    'skip-jwt-bearer-tokens': 'true',
    'email-domain': '*',
    'pass-basic-auth': 'false',
    'pass-user-headers': 'false',
    'request-logging': 'false',
    'auth-logging': 'false',
    'standard-logging': 'false',
    // For logins by cookie, which nobody makes here, but it does not start without them.
    'client-secret': 'oauth2-proxy-secret',
    'cookie-secret': randomBytes(16).toString('hex'),
    'redirect-url': `http://127.0.0.1:${port}/oauth2/callback`,
  }
}
