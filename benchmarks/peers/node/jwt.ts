import type { Algorithm } from '../../servers/keys.ts'
import type { Place } from '../peer.ts'

/** What the servers that verify a JWT have in common. */
export function verifiesJwt(algorithm: Algorithm) {
  return {
    authenticates: true,
    authorization: ({ keys }: Place) => `Bearer ${keys[algorithm].good}`,
    refuses: ({ keys }: Place) => keys[algorithm].refused,
  }
}
