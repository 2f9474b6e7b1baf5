import type { FastifyInstance } from 'fastify'
import { publishKeys, Sealing, servicesOf } from '../../../plugin/api/internal.ts'
import type { Session, Store } from '../../../plugin/index.ts'
import type { GatewayConfig } from '../../config/schemas/config.ts'
import type { IdentityToken, IdentityTokens } from '../../forward/headers/identity-tokens.ts'
import { signIdentity } from './identity-jwt.ts'
import { RECORD_KEY } from './key-record.ts'
import { KeyRing } from './key-ring.ts'

/** How often it is looked whether a key is due, or a change was not heard of. */
const MAINTAIN_MS = 60_000

/**
 * Signs for the upstreams with `credentials: identity-jwt`, and publishes the keys at `<routePrefix>/jwks`.
 *
 * The store is asked at the start, after a change, and once a minute; never for a request. While it is away, the keys
 * that are known go on signing. Source: requirements Q-11.
 */
export class IdentityKeys implements IdentityTokens {
  #ring: KeyRing | undefined
  #store: Store | undefined
  #issuer = ''

  /** Undefined where no upstream gets such a token. */
  static of({ upstreams }: Pick<GatewayConfig, 'upstreams'>): IdentityKeys | undefined {
    return upstreams.some(({ credentials }) => credentials === 'identity-jwt')
      ? new IdentityKeys()
      : undefined
  }

  /**
   * Reads the keys, or makes the first one. They are kept up to date until the instance closes.
   *
   * @param app with the plugin, on the store in which the keys are. @throws StoreError
   */
  async open(app: FastifyInstance): Promise<void> {
    const { store, secrets, publicUrl } = servicesOf(app)!.options
    const ring = new KeyRing(store, new Sealing(secrets))
    this.#ring = ring
    this.#store = store
    this.#issuer = publicUrl
    // One at a time: what was read first must not be taken for the newest.
    let last: Promise<void> = Promise.resolve()
    const look = (step: () => Promise<void>) => {
      last = last
        .then(step)
        .catch((err: unknown) => app.log.warn({ err }, 'identity keys: the store could not be asked'))
    }
    const unwatch = await store.watch({
      onChange: (key) => {
        if (key === RECORD_KEY) look(() => ring.read())
      },
      onGap: () => {},
      onResume: () => look(() => ring.read()),
    })
    const timer = setInterval(() => look(() => ring.maintain()), MAINTAIN_MS)
    timer.unref()
    app.addHook('onClose', async () => {
      clearInterval(timer)
      unwatch()
    })
    await last
    await ring.maintain()
    publishKeys(app, () => ring.publicKeys)
  }

  get revision(): number {
    return this.#ring!.revision
  }

  sign(session: Session, audience: string, claims: readonly string[]): IdentityToken {
    const issuer = this.#issuer
    return signIdentity(this.#ring!.signingKey(), session, { issuer, audience, claims }, this.#store!.now())
  }
}
