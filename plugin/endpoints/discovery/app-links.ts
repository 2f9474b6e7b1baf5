import type { FastifyInstance, FastifyReply } from 'fastify'
import { jsonRoute } from '../../http/route.ts'
import { assetLinksSchema, siteAssociationSchema } from '../../http/schemas.ts'
import type { RegisteredClient } from '../../oauth/client.ts'
import { claimedPaths } from '../../oauth/redirect-uri.ts'
import type { AppLink } from '../../options/resolved.ts'
import type { Services } from '../services.ts'

/** Both systems ask when an app is installed, and Apple's by a cache of its own: an hour is soon enough for a new app. */
const CACHE_CONTROL = 'public, max-age=3600'

/**
 * The files by which Android and iOS learn that our https redirect URIs are those of an app, so that no other one can
 * take its authorization response (RFC 8252 §7.2; requirements S-05).
 */
export function appLinksRoutes(scope: FastifyInstance, { options }: Services): void {
  const { appLinks, clients, publicUrl } = options
  if (appLinks.length === 0) return
  // After the word of the scope, which is that nothing is kept: this tells of nobody.
  scope.addHook('onSend', (_request, reply, payload, done) => {
    if (reply.statusCode === 200) makeCacheable(reply)
    done(null, payload)
  })
  const assetLinks = appLinks.flatMap(androidStatement)
  const siteAssociation = appleAssociation(appLinks, (clientId) =>
    claimedBy(clients.get(clientId), publicUrl),
  )
  if (assetLinks.length > 0) {
    jsonRoute(scope, ['GET'], {
      url: '/.well-known/assetlinks.json',
      schema: assetLinksSchema,
      handler: async () => assetLinks,
    })
  }
  if (siteAssociation !== undefined) {
    jsonRoute(scope, ['GET'], {
      url: '/.well-known/apple-app-site-association',
      schema: siteAssociationSchema,
      handler: async () => siteAssociation,
    })
  }
}

function makeCacheable(reply: FastifyReply): void {
  reply.removeHeader('pragma').header('cache-control', CACHE_CONTROL)
}

/** Source: Digital Asset Links, statement list; Android App Links. The paths are in the app's manifest. */
function androidStatement({ android }: AppLink): readonly object[] {
  if (android === undefined) return []
  const { packageName, sha256CertFingerprints } = android
  return [
    {
      relation: ['delegate_permission/common.handle_all_urls'],
      target: {
        namespace: 'android_app',
        package_name: packageName,
        sha256_cert_fingerprints: sha256CertFingerprints,
      },
    },
  ]
}

/**
 * Source: Apple, Supporting associated domains. `webcredentials`: ASWebAuthenticationSession takes an https callback of
 * such an app alone.
 */
function appleAssociation(
  appLinks: readonly AppLink[],
  pathsOf: (clientId: string) => readonly string[],
): object | undefined {
  const apps = appLinks.flatMap(({ clientId, apple }) => (apple ? [{ clientId, appIDs: apple.appIds }] : []))
  if (apps.length === 0) return undefined
  return {
    applinks: {
      details: apps.map(({ clientId, appIDs }) => ({
        appIDs,
        components: pathsOf(clientId).map((path) => ({ '/': path })),
      })),
    },
    webcredentials: { apps: [...new Set(apps.flatMap(({ appIDs }) => appIDs))] },
  }
}

function claimedBy(client: RegisteredClient | undefined, publicUrl: string): readonly string[] {
  return client === undefined ? [] : claimedPaths(client.redirectUris, publicUrl)
}
