import t from 'tap'
import { authorizationServerMetadata } from '../../../plugin/oauth/metadata.ts'
import { ISSUER, noAgents, registered, registry } from '../../support/oauth-fixtures.ts'

t.test('metadata (RFC 8414 §2, E-13)', async (t) => {
  const options = {
    publicUrl: ISSUER,
    routePrefix: '/oauth2',
    clients: registry(registered()),
    agents: noAgents,
    resourceServers: new Map(),
  }

  t.test('says what is implemented and nothing else', async (t) => {
    t.strictSame(authorizationServerMetadata(options), {
      issuer: ISSUER,
      authorization_endpoint: `${ISSUER}/oauth2/authorize`,
      pushed_authorization_request_endpoint: `${ISSUER}/oauth2/par`,
      token_endpoint: `${ISSUER}/oauth2/token`,
      revocation_endpoint: `${ISSUER}/oauth2/revoke`,
      userinfo_endpoint: `${ISSUER}/oauth2/userinfo`,
      jwks_uri: `${ISSUER}/oauth2/jwks`,
      response_types_supported: ['code'],
      response_modes_supported: ['query'],
      grant_types_supported: ['authorization_code', 'refresh_token'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['RS256'],
      token_endpoint_auth_methods_supported: ['none'],
      revocation_endpoint_auth_methods_supported: ['none'],
      code_challenge_methods_supported: ['S256'],
      authorization_response_iss_parameter_supported: true,
      scopes_supported: ['orders.read', 'orders.write'],
    })
  })

  t.test('methods follow the clients that are registered and enabled', async (t) => {
    const basic = registered({
      clientId: 'b',
      authentication: 'client_secret_basic',
      clientSecret: 'x',
      scopes: ['c'],
    })
    const off = registered({
      clientId: 'c',
      authentication: 'client_secret_post',
      enabled: false,
      scopes: ['d'],
    })
    const metadata = authorizationServerMetadata({ ...options, clients: registry(registered(), basic, off) })
    t.same(metadata.token_endpoint_auth_methods_supported, ['none', 'client_secret_basic'])
    t.same(metadata.revocation_endpoint_auth_methods_supported, ['none', 'client_secret_basic'])
    t.same(metadata.scopes_supported, ['orders.read', 'orders.write', 'c'])
  })

  t.test('introspection is there for configured resource servers only (RFC 7662 §2, E-04)', async (t) => {
    const resourceServers = new Map([['rs', { clientId: 'rs', clientSecret: 'x' }]])
    t.match(authorizationServerMetadata({ ...options, resourceServers }), {
      introspection_endpoint: `${ISSUER}/oauth2/introspect`,
      introspection_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
    })
  })
})
