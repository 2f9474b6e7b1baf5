/**
 * The public door: the plugin, the stores, the types of its options and sessions, and what checks those options, for
 * programs that bring a configuration of their own. Its types are plain interfaces; the schemas have a door of their
 * own, `schemas.ts`.
 */
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { PkceOptions } from './options/types/options.ts'
import { plugin } from './plugin.ts'

export type { Pkce, SessionSummary } from './api/pkce.ts'
export type { AuditEvent, AuditEventName, AuditEventOf, AuditEvents } from './grant/audit-events.ts'
export { logSerializers } from './http/log.ts'
export { OAuthError, ProviderError, type Reason } from './oauth/errors.ts'
export {
  ConfigError,
  type ConfigPlace,
  type ConfigProblem,
  formatPath,
  formatProblem,
} from './options/config-error.ts'
export { nearestOf } from './options/problems/nearest.ts'
export { resolveOptions } from './options/resolve.ts'
export type { ResolvedOptions } from './options/resolved.ts'
export type { Login, LoginDecision, OnLogin } from './options/types/login.ts'
export type {
  ClientOptions,
  PkceOptions,
  PresetName,
  ProviderOptions,
  ResourceServerOptions,
  SecretSource,
} from './options/types/options.ts'
export type { ProtectedRequest, Session } from './session/session.ts'
export { type MemoryStoreOptions, memoryStore } from './stores/memory.ts'
export { type PostgresPool, type PostgresStoreOptions, postgresStore } from './stores/postgres/store.ts'
export { type RedisClient, type RedisStoreOptions, redisStore } from './stores/redis/store.ts'
export { type Store, type StoredRecord, StoreError, type StoreWatcher } from './stores/store.ts'

/** The plugin. `await app.register(pkce, options)`, then `app.pkce`. */
export const pkce = fp((app: FastifyInstance, options: PkceOptions) => plugin(app, options), {
  name: 'fastify-pkce',
  fastify: '5.x',
})
export default pkce
