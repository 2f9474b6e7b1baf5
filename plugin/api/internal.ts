/**
 * What the gateway shares with the plugin, and the package does not export: one owner for each fact, without a word in
 * the public interface.
 */
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { dpopAlgorithms } from '../oauth/access/dpop-key.ts'
import type { Observer } from '../options/types/observer.ts'
import type { PkceOptions } from '../options/types/options.ts'
import { plugin } from '../plugin.ts'
import { servicesOf } from './decorate.ts'
import { type SessionPage, type SessionQuery, sessionPage } from './management.ts'

export { isBindingCookie } from '../endpoints/authorize/browser-binding.ts'
export { isAudited } from '../grant/audit.ts'
export { correlationId } from '../grant/indexes.ts'
export { warnOfUntrustedProxy, withoutPort } from '../http/address.ts'
export { loggedPath } from '../http/log.ts'
export { type AgentRules, knownClient, loggedClientId, unregisteredKind } from '../oauth/client.ts'
export { logoText } from '../options/pages/logo.ts'
export { suggestion } from '../options/problems/nearest.ts'
export { isPublicAddress } from '../options/provider/addresses.ts'
export { GUIDES } from '../options/provider/guides.ts'
export {
  atProvider,
  mapProviders,
  type ProviderName,
  providerPath,
  providersOf,
} from '../options/provider/named.ts'
export { expandPreset, PRESET_NAMES, PRESETS, type PresetName } from '../options/provider/presets/presets.ts'
export { freezeData } from '../options/resolve.ts'
export type { ResolvedProvider } from '../options/resolved.ts'
export { type StoreDescription, storeProblem } from '../options/rules.ts'
export {
  type CallEnd,
  LOGIN_STEPS,
  type LoginOutcome,
  type LoginStep,
  type LoginTracing,
  noObserver,
  type ObservedCall,
  type Observer,
  type ProviderOutcome,
  type RefreshOutcome,
} from '../options/types/observer.ts'
export {
  PROVIDER_SECRETS,
  type PresetOrIssuer,
  type ProviderOptions,
  type ProviderSecret,
  type ProviderSet,
} from '../options/types/options.ts'
export { copyData, type PlainOptions, validateOptions } from '../options/validate.ts'
export { buildConnector, Client } from '../provider/transport/undici.ts'
export { type ResponseReceiver, UndiciHandler } from '../provider/transport/undici-handler.ts'
export { randomHex } from '../secrets/random.ts'
export { Sealing } from '../secrets/sealing.ts'
export { isAcr, type RequiredAuthentication, requiredAuthentication } from '../session/step-up.ts'
export {
  loadPackage,
  missingPackages,
} from '../stores/optional-packages.ts'
export { within } from '../stores/within.ts'
export { servicesOf } from './decorate.ts'
export {
  type ExaminedAuthorization,
  type ExaminedKeys,
  examineProvider,
  type ProviderExamination,
} from './examine-provider.ts'
export { type SessionPage, type SessionQuery, TargetError } from './management.ts'

/** Has the key set at `<routePrefix>/jwks` show the public keys of a program that signs in our name (RFC 7517 §5). */
export function publishKeys(app: FastifyInstance, keys: () => readonly object[]): void {
  const services = servicesOf(app)
  if (services === undefined) throw new Error('publishKeys: the plugin has not been loaded')
  services.publishedKeys.current = keys
}

/** What the metadata of a protected resource tells of DPoP (RFC 9728 §2): nothing where no client may use it. */
export function dpopMetadataOf(app: FastifyInstance): object {
  const services = servicesOf(app)
  if (!services?.proofs.isOffered) return {}
  const clients = [...services.options.clients.values()].filter(({ enabled }) => enabled)
  return {
    dpop_signing_alg_values_supported: [...dpopAlgorithms],
    ...(clients.every(({ dpop }) => dpop === 'required') && { dpop_bound_access_tokens_required: true }),
  }
}

/** Issuers of the providers whose metadata has not been accepted yet. */
export function unreadyProviders(app: FastifyInstance): string[] {
  const all = servicesOf(app)?.providers.all ?? []
  return all.filter(({ ready }) => !ready).map(({ issuer }) => issuer)
}

/** A part of a subject's live sessions in an app that has loaded the plugin. @throws StoreError, TargetError */
export async function sessionPageOf(app: FastifyInstance, query: SessionQuery): Promise<SessionPage> {
  const services = servicesOf(app)
  return services ? sessionPage(services, query) : { sessions: [] }
}

/**
 * The plugin as the gateway registers it: with somebody who is told of what happens, and perhaps in the place of another
 * instance's in the same process, on the same store: logins under way and requests go on being counted (A-20, J-05), and
 * random secrets stay.
 *
 * @param before `isSameProvider`: by its issuer, its options are the same: its metadata is taken over, and it is not asked.
 */
export function pkceWith(
  observer: Observer | undefined,
  before?: { readonly app: FastifyInstance; readonly isSameProvider: (issuer: string) => boolean },
) {
  const services = before && servicesOf(before.app)
  return fp(
    (app: FastifyInstance, options: PkceOptions) =>
      plugin(app, options, {
        observer,
        before: services && before && { services, isSameProvider: before.isSameProvider },
      }),
    {
      name: 'fastify-pkce',
      fastify: '5.x',
    },
  )
}
