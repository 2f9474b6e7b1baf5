import type { Adapter, AdapterPayload } from 'oidc-provider'

/** oidc-provider's storage that outlives a restart of the provider within this process. Nothing expires. */
export function lastingAdapter(): (model: string) => Adapter {
  const records = new Map<string, AdapterPayload>()
  const without = async (matches: (key: string, payload: AdapterPayload) => boolean) => {
    for (const [key, payload] of records) if (matches(key, payload)) records.delete(key)
  }
  return (model) => ({
    upsert: async (id, payload) => void records.set(`${model}:${id}`, payload),
    find: async (id) => records.get(`${model}:${id}`),
    findByUserCode: async () => undefined,
    findByUid: async (uid) => [...records.values()].find((payload) => payload.uid === uid),
    consume: async (id) =>
      void Object.assign(records.get(`${model}:${id}`)!, { consumed: Date.now() / 1000 }),
    destroy: (id) => without((key) => key === `${model}:${id}`),
    revokeByGrantId: (grantId) => without((_key, payload) => payload.grantId === grantId),
  })
}
