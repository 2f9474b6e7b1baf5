import { OAuth2Server } from 'oauth2-mock-server'
import type { Test } from 'tap'
import { type NodeProvider, OURS, serve } from './serving.ts'

/** oauth2-mock-server: an OpenID provider for tests. Whoever comes is signed in as `johndoe`. */
export async function startMockServer(t: Test): Promise<NodeProvider> {
  const { origin, calls, answer } = await serve(t)
  const { issuer, service } = new OAuth2Server()
  issuer.url = origin
  await issuer.keys.generate('RS256')
  answer(service.requestHandler)
  return { issuer: origin, calls, ...OURS }
}
