import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { findExecutable } from '../../plan/project.ts'
import { verifiesJwt } from '../node/jwt.ts'
import { CONNECTIONS, letsEverybodyThrough, notInstalled, type Peer, type Place } from '../peer.ts'

/** Where Debian keeps them. */
const MODULES = '/usr/lib/apache2/modules'

/** How mod_auth_openidc, as an OAuth 2.0 resource server, knows that a token is good. */
type Verification = 'introspection' | 'HS256' | 'RS256'

/** Apache with the event MPM in one process, mod_proxy_http with kept-alive connections, and mod_auth_openidc. */
export const apachePeers: readonly Peer[] = [
  apache('apache', 'Apache mod_proxy, no authentication', undefined),
  apache('apache-oidc-introspection', 'Apache mod_auth_openidc, introspection cached', 'introspection'),
  apache('apache-oidc-hs256', 'Apache mod_auth_openidc, JWT HS256', 'HS256'),
  apache('apache-oidc-rs256', 'Apache mod_auth_openidc, JWT RS256', 'RS256'),
]

function apache(name: string, title: string, verification: Verification | undefined): Peer {
  return {
    ...letsEverybodyThrough,
    ...(verification === 'introspection'
      ? { authenticates: true }
      : verification && verifiesJwt(verification)),
    name,
    title,
    isNode: false,
    missing: () => missing(verification !== undefined),
    commands: (place) => {
      const file = join(place.folder, 'apache.conf')
      writeFileSync(file, configuration(place, verification))
      return [{ file: findExecutable('apache2') ?? 'apache2', args: ['-DFOREGROUND', '-f', file] }]
    },
  }
}

function missing(openidc: boolean): string | undefined {
  const absent = notInstalled('apache2')
  if (absent !== undefined || !openidc) return absent
  return existsSync(`${MODULES}/mod_auth_openidc.so`) ? undefined : 'mod_auth_openidc not installed'
}

function configuration(place: Place, verification: Verification | undefined): string {
  const { folder, port, upstream } = place
  const modules = ['mpm_event', 'authn_core', 'authz_core', 'authz_user', 'proxy', 'proxy_http']
  if (verification) modules.push('auth_openidc')
  // Each thread more makes it slower; with none idle, it closes connections that it should keep.
  const threads = 1.5 * CONNECTIONS
  return `
ServerRoot ${folder}
ServerName 127.0.0.1
PidFile ${folder}/apache.pid
DefaultRuntimeDir ${folder}
Listen 127.0.0.1:${port}
ListenBacklog 4096
ErrorLog /dev/stderr
LogLevel warn
${modules.map((name) => `LoadModule ${name}_module ${MODULES}/mod_${name}.so`).join('\n')}
${process.getuid?.() === 0 ? 'User www-data\nGroup www-data' : ''}
StartServers 1
ServerLimit 1
ThreadLimit ${threads}
ThreadsPerChild ${threads}
MaxRequestWorkers ${threads}
MinSpareThreads 1
KeepAlive On
MaxKeepAliveRequests 0
KeepAliveTimeout 75
${verification ? verify(place, verification) : ''}
<Location /api/>
  ${verification ? require(place, verification) : 'Require all granted'}
  ProxyPass http://127.0.0.1:${upstream}/api/ enablereuse=on keepalive=On
</Location>
`
}

/** Claims are passed on to nobody here, and to nobody by the other servers. */
function verify({ folder, keys, provider }: Place, verification: Verification): string {
  const common = 'OIDCCacheType shm\nOIDCPassClaimsAs none'
  if (verification === 'HS256') return `${common}\nOIDCOAuthVerifySharedKeys plain#benchmark#${keys.secret}`
  if (verification === 'RS256') {
    const pem = join(folder, 'key.pem')
    writeFileSync(pem, keys.publicPem)
    return `${common}\nOIDCOAuthVerifyCertFiles benchmark#${pem}`
  }
  return `${common}
OIDCOAuthIntrospectionEndpoint https://127.0.0.1:${provider}/introspect
OIDCOAuthSSLValidateServer Off
OIDCOAuthClientID apache
OIDCOAuthClientSecret apache-secret
OIDCOAuthTokenExpiryClaim exp absolute mandatory`
}

/** Of a JWT, the module itself looks at the signature and the expiry. */
function require({ keys: { issuer, audience } }: Place, verification: Verification): string {
  const claims =
    verification === 'introspection'
      ? 'Require valid-user'
      : `<RequireAll>
    Require claim iss:${issuer}
    Require claim aud:${audience}
  </RequireAll>`
  return `AuthType oauth20\n  ${claims}`
}
