import { Sealing } from '../../../plugin/api/internal.ts'
import type { Store } from '../../../plugin/index.ts'
import type { GatewayConfig } from '../../config/schemas/config.ts'
import { createStore } from '../store.ts'
import { KeyRing } from './key-ring.ts'

/** How a key takes the place of another. */
export interface Rotation {
  /**
   * It signs now, and all others are gone. For a key that is known to others: until verifiers have read the key set
   * again, they refuse what the new one has signed. Default: it is published now, and signs 15 minutes later.
   */
  readonly atOnce?: boolean
}

/**
 * Makes a new key for all instances of a gateway, which hear of it at once; for a command, or an administrator.
 *
 * @returns the ids of the keys that are published from now on.
 * @throws Error for the memory store, which no other process can see. @throws StoreError
 */
export async function rotateKeys(config: GatewayConfig, rotation?: Rotation): Promise<readonly string[]> {
  if (config.store.type === 'memory')
    throw new Error('the memory store keeps its identity key in the process that serves: restart that one')
  const store = createStore(config.store)
  try {
    await store.prepare()
    const secrets = (config.plugin.secrets ?? []).map((secret) => Buffer.from(secret ?? '', 'base64url'))
    return await rotateKeysIn(store.store, secrets, rotation)
  } finally {
    await store.close()
  }
}

/** The same in a store that is open. @param secrets server secrets: the first seals. */
export async function rotateKeysIn(
  store: Store,
  secrets: readonly Buffer[],
  { atOnce = false }: Rotation = {},
): Promise<readonly string[]> {
  const ring = new KeyRing(store, new Sealing(secrets))
  await ring.rotate(atOnce)
  return ring.publicKeys.map(({ kid }) => kid)
}
