import type { Place } from '../../peers/peer.ts'
import { CLIENT_ID, REDIRECT_URI } from '../../servers/app.ts'
import { api } from '../../servers/gateway.ts'
import { manyPrefixes } from './many-prefixes.ts'

/** The same upstream behind each prefix. */
export function manyUpstreams(count: number, place: Pick<Place, 'upstream'>) {
  const upstream = { ...api(place), scopes: ['orders.read'] }
  return manyPrefixes(count).map((prefix) => ({ ...upstream, prefix }))
}

/** So many clients; the one that logs in is the last of them. */
export function manyClients(count: number) {
  return Array.from({ length: count }, (_, i) => {
    const isLast = i === count - 1
    return {
      clientId: isLast ? CLIENT_ID : `com.example.client-${i}`,
      name: isLast ? 'Benchmark' : `Client ${i}`,
      redirectUris: [isLast ? REDIRECT_URI : `https://app-${i}.example.com/callback`],
      scopes: ['orders.read'],
    }
  })
}
