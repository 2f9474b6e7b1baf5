import { signIn } from '../servers/app.ts'
import { gatewayPeer, otherGateways } from '../servers/gateway.ts'
import type { Algorithm } from '../servers/keys.ts'
import { apachePeers } from './native/apache.ts'
import { caddy } from './native/caddy.ts'
import { haproxyPeers } from './native/haproxy.ts'
import { nginxPeers } from './native/nginx.ts'
import { oauth2Proxy } from './native/oauth2-proxy.ts'
import { verifiesJwt } from './node/jwt.ts'
import { ANY_TOKEN, nodePeer, type Peer, type Place } from './peer.ts'

/** The limit that everything is measured against. */
export const bare = nodePeer({
  name: 'bare',
  title: 'node:http + undici dispatch, no authentication: the limit',
  script: 'peers/bare/bare.js',
})

/** The gateway, with default options. */
export const gateway = gatewayPeer()

/** A Fastify hello world. */
export const hello = nodePeer({
  name: 'hello',
  title: 'Fastify hello world',
  script: 'peers/bare/hello.js',
})

/** Everything that forwards, in the order of the tables. */
export const forwarders: readonly Peer[] = [
  gateway,
  ...otherGateways(),
  { ...bare, name: 'bare-again', title: 'the limit against itself: the noise of this run' },
  nodePeer({
    name: 'bare-lookup',
    title: 'the limit + SHA-256 + Map',
    script: 'peers/bare/bare-lookup.js',
    argument: () => ({ token: ANY_TOKEN }),
    authenticates: true,
  }),
  nodePeer({
    name: 'http-proxy',
    title: '@fastify/http-proxy, no authentication',
    script: 'peers/node/http-proxy.js',
    needsPackages: true,
    environment: { NODE_ENV: 'production' },
  }),
  nodePeer({
    name: 'plugin-http-proxy',
    title: 'our plugin + @fastify/http-proxy',
    script: 'peers/node/plugin-http-proxy.js',
    needsPackages: true,
    argument: ({ provider }) => ({ provider }),
    authenticates: true,
    authorization: async ({ port }) => `Bearer ${(await signIn(port)).accessToken}`,
  }),
  jwtHttpProxy('HS256', false),
  jwtHttpProxy('HS256', true),
  jwtHttpProxy('RS256', false),
  jwtHttpProxy('RS256', true),
  nodePeer({
    name: 'express',
    title: 'express + http-proxy-middleware, no authentication',
    script: 'peers/node/express.js',
    needsPackages: true,
    environment: { NODE_ENV: 'production' },
  }),
  expressJwt('HS256'),
  expressJwt('RS256'),
  ...nginxPeers,
  ...apachePeers,
  ...haproxyPeers,
  caddy,
  oauth2Proxy,
]

function jwtHttpProxy(algorithm: Algorithm, cache: boolean): Peer {
  return nodePeer({
    name: `jwt-http-proxy-${algorithm.toLowerCase()}${cache ? '-cached' : ''}`,
    title: `@fastify/jwt ${algorithm}${cache ? ', cached,' : ''} + @fastify/http-proxy`,
    script: 'peers/node/jwt-http-proxy.js',
    needsPackages: true,
    environment: { NODE_ENV: 'production' },
    argument: ({ keys: { secret, publicPem, issuer, audience } }) => ({
      algorithm,
      key: algorithm === 'HS256' ? secret : publicPem,
      cache,
      issuer,
      audience,
    }),
    ...verifiesJwt(algorithm),
  })
}

function expressJwt(algorithm: Algorithm): Peer {
  const key = ({ keys, provider }: Place) =>
    algorithm === 'HS256' ? { secret: keys.secret } : { jwksUri: `http://127.0.0.1:${provider}/jwks` }
  return nodePeer({
    name: `express-jwt-${algorithm.toLowerCase()}`,
    title: `express-oauth2-jwt-bearer ${algorithm} + http-proxy-middleware`,
    script: 'peers/node/express.js',
    needsPackages: true,
    environment: { NODE_ENV: 'production' },
    argument: (place) => ({
      jwt: {
        ...key(place),
        issuer: place.keys.issuer,
        audience: place.keys.audience,
        tokenSigningAlg: algorithm,
      },
    }),
    ...verifiesJwt(algorithm),
  })
}
