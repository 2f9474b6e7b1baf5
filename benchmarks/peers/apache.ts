import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { findExecutable } from '../project.ts'
import { ANY_TOKEN, notInstalled, type Peer, type Place } from './peer.ts'

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
    name,
    title,
    isNode: false,
    authenticates: verification !== undefined,
    missing: () => missing(verification !== undefined),
    commands: (place) => {
      const file = join(place.folder, 'apache.conf')
      writeFileSync(file, configuration(place, verification))
      return [{ file: findExecutable('apache2') ?? 'apache2', args: ['-DFOREGROUND', '-f', file] }]
    },
    authorization: ({ keys }) => {
      const tokens = { HS256: keys.hs256, RS256: keys.rs256, introspection: ANY_TOKEN, none: ANY_TOKEN }
      return `Bearer ${tokens[verification ?? 'none']}`
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
ThreadLimit 1024
ThreadsPerChild 1024
MaxRequestWorkers 1024
AsyncRequestWorkerFactor 2
KeepAlive On
MaxKeepAliveRequests 0
KeepAliveTimeout 75
${verification ? verify(place, verification) : ''}
<Location /api/>
  ${verification ? 'AuthType oauth20\n  Require valid-user' : 'Require all granted'}
  ProxyPass http://127.0.0.1:${upstream}/api/ enablereuse=on keepalive=On
</Location>
`
}

function verify({ folder, keys, provider }: Place, verification: Verification): string {
  const remembered = 'OIDCCacheType shm\nOIDCOAuthRemoteUserClaim sub'
  if (verification === 'HS256') return `${remembered}\nOIDCOAuthVerifySharedKeys plain##${keys.secret}`
  if (verification === 'RS256') {
    const pem = join(folder, 'key.pem')
    writeFileSync(pem, keys.publicPem)
    return `${remembered}\nOIDCOAuthVerifyCertFiles benchmark#${pem}`
  }
  return `${remembered}
OIDCOAuthIntrospectionEndpoint http://127.0.0.1:${provider}/introspect
OIDCOAuthClientID apache
OIDCOAuthClientSecret apache-secret
OIDCOAuthSSLValidateServer Off`
}
