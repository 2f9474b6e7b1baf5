import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Services } from '../endpoints/services.ts'
import type { Cors } from '../http/cors.ts'
import { isOwnRoute } from '../http/route.ts'
import type { Authenticate } from '../session/authenticate.ts'
import type { Session } from '../session/session.ts'
import { requiredAuthentication } from '../session/step-up.ts'
import { endSession, sessionsOf } from './management.ts'
import { describeSecurity } from './openapi.ts'
import type { Pkce } from './pkce.ts'

/** By `app.pkce`, which the scopes below the app inherit. */
const registered = new WeakMap<Pkce, Services>()

/** What the plugin works with in `app`, or undefined where it has not been loaded. For `testing.ts`, and no property. */
export function servicesOf(app: FastifyInstance): Services | undefined {
  return app.hasDecorator('pkce') ? registered.get(app.pkce) : undefined
}

/** Adds `app.pkce` and `request.pkceSession`: all that leaks out of the plugin. */
export function decorate(
  app: FastifyInstance,
  services: Services,
  cors: Cors,
  authenticate: Authenticate,
): void {
  const sessions = new WeakMap<FastifyRequest, Session>()
  const requiredScopes = new WeakMap<object, readonly string[]>()
  const { options, audit, providers, proofs, sessions: resolver } = services
  const dpopHeaders = (session: Session) => proofs.headers(session)

  app.decorateRequest('pkceSession', {
    getter(this: FastifyRequest): Session {
      const session = sessions.get(this)
      if (!session)
        throw new Error('request.pkceSession was read on a route without app.pkce.requireSession()')
      return session
    },
  })
  const pkce: Pkce = {
    issuer: options.publicUrl,
    events: audit.events,
    authenticate,
    requireSession({ scopes = [], resource, ...demanded } = {}) {
      if (resource !== undefined && !options.resources.includes(resource)) {
        throw new TypeError(
          `requireSession: resource ${JSON.stringify(resource)} is not in the option resources`,
        )
      }
      const authentication = requiredAuthentication(demanded)
      async function requireSession(request: FastifyRequest, reply: FastifyReply) {
        // As a hook of the whole app it runs before these, too, and nobody could ever log in.
        if (isOwnRoute(request)) return
        reply.header('cache-control', 'no-store')
        const session = await authenticate(request, scopes, authentication, resource)
        if (session.jkt !== undefined) reply.headers(dpopHeaders(session))
        sessions.set(request, session)
      }
      requiredScopes.set(requireSession, scopes)
      return requireSession
    },
    dpopHeaders,
    onSessionEnd: (session, listener) => resolver.endings.watch(session, listener),
    preflightHeaders: (request, methods) => cors.preflightHeaders(request, methods),
    corsHeaders: (origin, session) =>
      cors.headers(origin, session && services.clients.named(session.clientId)),
    endSession: (target) => endSession(services, target),
    sessionsOf: (of, issuer) => sessionsOf(services, of, issuer),
    async readiness() {
      const problemOf = (call: Promise<unknown>) =>
        call.then(
          () => null,
          (error: Error) => error.message,
        )
      // A forwarded request reads, and no more.
      const reading = problemOf(options.store.read('readiness'))
      const checking = problemOf(options.store.check())
      const forwarding = await reading
      return {
        forwarding,
        store: (await checking) ?? forwarding,
        provider: providers.problem(),
      }
    },
  }
  app.decorate('pkce', pkce)
  describeSecurity(app, (hook) => requiredScopes.get(hook))
  registered.set(pkce, services)
}
