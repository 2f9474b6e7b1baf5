import { hash } from 'node:crypto'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { formRoute } from '../http/route.ts'
import { backchannelLogoutSchema } from '../http/schemas.ts'
import { OAuthError } from '../oauth/errors.ts'
import type { NamedProvider } from '../options/resolved.ts'
import type { LogoutToken, Provider } from '../provider/provider.ts'
import { endByProvider } from '../session/provider-logouts.ts'
import type { Store } from '../stores/store.ts'
import type { Services } from './services.ts'

/**
 * `POST /oauth2/backchannel-logout`, with a name behind it where there are several providers: a provider says that one
 * of its sessions, or all of a person, have ended, and ours end with them (OpenID Connect Back-Channel Logout 1.0
 * §2.5 to §2.8; E-09 to E-11). 200 `{}` once they have, on every instance; 400 for a token that is not accepted; 503
 * while the store or the provider's keys are away, and nothing is used up then: the provider may send it again.
 *
 * What a provider cannot sign it cannot send: without OpenID Connect there is no such route.
 */
export function backchannelLogoutRoute(
  scope: FastifyInstance,
  services: Services,
  { name, options: { issuer } }: NamedProvider,
): void {
  const { options, grants, audit, providers } = services
  const provider = providers.of({ provider: issuer })
  if (!provider.sendsLogouts) return
  formRoute(scope, {
    url: name === undefined ? '/backchannel-logout' : `/backchannel-logout/${name}`,
    schema: backchannelLogoutSchema(name),
    parameters: ['logout_token'],
    handler: async (request, { logout_token: jwt = '' }) => {
      const token = await readToken(provider, jwt, request)
      await once(options.store, [issuer, token.jti], token.remainingMs, async () => {
        const { sid, subject } = token
        const ended = await endByProvider(grants, { provider: issuer, sid, subject }, options.lifetimes)
        for (const grant of ended)
          audit.record('session.ended', { request, grant, reason: 'provider_logout' })
      })
      return {}
    },
  })
}

/** Whoever sets it up must learn which check has failed; whoever sends it must not. */
async function readToken(provider: Provider, jwt: string, { log }: FastifyRequest): Promise<LogoutToken> {
  try {
    return await provider.readLogoutToken(jwt)
  } catch (error) {
    if (error instanceof OAuthError && error.cause instanceof Error) {
      log.info({ cause: error.cause.message }, 'a logout token was refused')
    }
    throw error
  }
}

/**
 * Does the work of a once-only value, and tells one caller that it is done; all others, then and later, are refused.
 * A value whose work has failed is not used up, which `Store.reserve` could not take back: a provider that is told 503
 * sends the same token again, and sessions would outlive it. So the work must bear to be done twice.
 *
 * @throws OAuthError `logout_token_replayed`. @throws StoreError
 */
async function once(
  store: Store,
  value: readonly string[],
  ttlMs: number,
  work: () => Promise<void>,
): Promise<void> {
  const key = `jti:${hash('sha256', JSON.stringify(value), 'base64url')}`
  const isNew = await store.create(key, BEGUN, ttlMs)
  if (!isNew && (await store.read(key))?.value !== BEGUN) throw new OAuthError('logout_token_replayed')
  await work()
  if (!(await store.replace(key, 1, DONE, ttlMs))) throw new OAuthError('logout_token_replayed')
}

const BEGUN = 'begun'
const DONE = 'done'
