import type { Test } from 'tap'
import { startProvider } from '../../../examples/demo/provider.ts'
import { type NodeProvider, OURS } from './serving.ts'

/** oidc-provider, as the demo has it: it gives a refresh token where the user was asked, and wants PKCE. */
export async function startOidcProvider(t: Test, redirectUri: string): Promise<NodeProvider> {
  const provider = await startProvider({
    port: 0,
    clients: [
      {
        client_id: OURS.clientId,
        client_secret: OURS.clientSecret,
        grant_types: ['authorization_code', 'refresh_token'],
        redirect_uris: [redirectUri],
      },
    ],
  })
  t.teardown(() => provider.close())
  const calls: string[] = []
  provider.onRequest(({ method, url = '' }) => {
    calls.push(`${method} ${url.split('?', 1)[0]}`)
    return undefined
  })
  return { issuer: provider.issuer, calls, ...OURS }
}
