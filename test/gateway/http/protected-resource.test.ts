/** What a client that knows the address of an API alone finds out, by libraries that we did not write. */
import * as oauth from 'oauth4webapi'
import t from 'tap'
import { startGatewayStack } from '../../support/gateway-stack.ts'

const insecure = { [oauth.allowInsecureRequests]: true }
const WELL_KNOWN = '/.well-known/oauth-protected-resource'

t.test('from the URL of an API to where one logs in for it (RFC 9728, N-01)', async (t) => {
  const stack = await startGatewayStack(t)
  const { publicUrl } = stack
  const api = new URL(`${publicUrl}/api`)

  const metadata = await oauth.processResourceDiscoveryResponse(
    api,
    await oauth.resourceDiscoveryRequest(api, insecure),
  )
  t.same(metadata, {
    resource: `${publicUrl}/api`,
    authorization_servers: [publicUrl],
    scopes_supported: ['orders.read'],
    bearer_methods_supported: ['header'],
  })
  const issuer = new URL(metadata.authorization_servers![0]!)
  const server = await oauth.processDiscoveryResponse(
    issuer,
    await oauth.discoveryRequest(issuer, { ...insecure, algorithm: 'oauth2' }),
  )
  t.equal(server.token_endpoint, `${publicUrl}/oauth2/token`)

  const refused = await fetch(`${publicUrl}/api/orders`)
  const [challenge] = parseChallenges(refused)
  t.equal(challenge?.scheme, 'bearer')
  t.match(challenge?.parameters, {
    scope: 'orders.read',
    resource_metadata: `${publicUrl}${WELL_KNOWN}/api`,
    error: undefined,
  })
  const bad = await fetch(`${publicUrl}/api/orders`, { headers: { authorization: 'Bearer nobody' } })
  t.match(parseChallenges(bad)[0]?.parameters, {
    error: 'invalid_token',
    resource_metadata: `${publicUrl}${WELL_KNOWN}/api`,
  })
})

t.test('the gateway as a whole is a resource; a public route is none (N-01)', async (t) => {
  const { publicUrl } = await startGatewayStack(t)
  const whole = await fetch(publicUrl + WELL_KNOWN)
  t.match(await whole.json(), { resource: publicUrl, authorization_servers: [publicUrl] })
  t.equal((await fetch(`${publicUrl}${WELL_KNOWN}/status`)).status, 404)
  t.equal((await fetch(`${publicUrl}${WELL_KNOWN}/api/orders`)).status, 404, 'of each prefix, and no more')
  t.equal((await fetch(`${publicUrl}${WELL_KNOWN}/api`, { method: 'POST' })).status, 404)
})

t.test(
  'scripts of a registered origin can read it, and send what they must; of no other (N-01)',
  async (t) => {
    const origin = 'https://app.example.com'
    const { publicUrl } = await startGatewayStack(t, (config) => ({
      ...config,
      clients: config.clients.map((client) => ({ ...client, allowedOrigins: [origin] })),
    }))
    const ask = (of: string, method = 'GET') =>
      fetch(`${publicUrl}${WELL_KNOWN}/api`, {
        method,
        headers: {
          origin: of,
          ...(method === 'OPTIONS' && {
            'access-control-request-method': 'GET',
            'access-control-request-headers': 'mcp-protocol-version',
          }),
        },
      })
    t.equal((await ask(origin)).headers.get('access-control-allow-origin'), origin)
    t.equal((await ask('https://evil.example')).headers.get('access-control-allow-origin'), null)
    const preflight = await ask(origin, 'OPTIONS')
    t.equal(preflight.status, 204)
    t.equal(preflight.headers.get('access-control-allow-headers'), 'mcp-protocol-version')
    t.equal((await ask('https://evil.example', 'OPTIONS')).status, 404)
  },
)

/** As a client reads them. */
function parseChallenges(response: Response): { scheme: string; parameters: Record<string, string> }[] {
  const value = response.headers.get('www-authenticate') ?? ''
  const [, scheme = '', rest = ''] = /^(\S+) (.*)$/.exec(value) ?? []
  const parameters = [...rest.matchAll(/(\w+)="([^"]*)"/g)].map(([, name, text]) => [name!, text!])
  return [{ scheme: scheme.toLowerCase(), parameters: Object.fromEntries(parameters) }]
}
