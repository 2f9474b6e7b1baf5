import type { Attack } from './attack.ts'
import { authorizations } from './authorizations.ts'
import { halfOpenTls, resets, slowBodies, slowHeads } from './connections.ts'
import { rapidResets } from './http2.ts'

/** By what they are called in the report, in their order. */
export const attacks = {
  'authorizations from many addresses': authorizations,
  'slow heads': slowHeads,
  'slow bodies': slowBodies,
  'half-open TLS': halfOpenTls,
  'reset connections': resets,
  'HTTP/2 rapid resets': rapidResets,
} satisfies Record<string, Attack>

export type AttackName = keyof typeof attacks
