import { nodePeer, type Peer } from '../peer.ts'

/** What an OAuth endpoint costs before it promises anything: the base of the cases of a login. */
export const minimal = loginServer(
  'minimal',
  'Fastify, a form, the provider asked once, JSON and Maps: none of the promises',
)

export const nodeOAuth = loginServer(
  'node-oauth',
  '@node-oauth/oauth2-server on Fastify, which asks the provider as `minimal` does',
)

export const oidcProvider = loginServer('oidc-provider', 'oidc-provider in memory; calls no provider')

export const fastifyOAuth2: Peer = {
  ...loginServer('fastify-oauth2', '@fastify/oauth2 with PKCE; its callback calls the provider'),
  needsPackages: true,
}

/** @param name also that of its file. */
function loginServer(name: string, title: string): Peer {
  return nodePeer({
    name,
    title,
    script: `peers/login/${name}.js`,
    environment: { NODE_ENV: 'production' },
    argument: ({ provider }) => ({ provider }),
  })
}
