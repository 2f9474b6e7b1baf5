import { setTimeout as pause } from 'node:timers/promises'
import { fastify } from 'fastify'
import pkce from '../../../plugin/index.ts'
import { StoreError } from '../../../plugin/stores/store.ts'
import type { Instances } from '../../support/instances.ts'
import type { Owner } from '../../support/shared-store.ts'
import { lifetimes } from '../lifetimes.ts'

/** Somebody with the plugin's management functions, in a process that serves nobody. */
export interface Administrator {
  /** All sessions of a user; again until the store has said that it is done. */
  end(subject: string): Promise<void>
}

export async function startAdministrator(owner: Owner, stack: Instances): Promise<Administrator> {
  const app = fastify()
  owner.teardown(() => app.close())
  await app.register(pkce, {
    publicUrl: stack.publicUrl,
    provider: { issuer: stack.stub.issuer, clientId: 'gateway', clientSecret: 'unused' },
    clients: [{ clientId: 'com.example.app', redirectUris: ['com.example.app:/callback'] }],
    secrets: [...stack.secrets],
    store: stack.store.open(owner),
    rateLimit: false,
    lifetimes,
  })
  await app.ready()
  return {
    async end(subject) {
      for (;;) {
        try {
          await app.pkce.endSession({ subject })
          return
        } catch (error) {
          if (!(error instanceof StoreError)) throw error
          await pause(200)
        }
      }
    },
  }
}
