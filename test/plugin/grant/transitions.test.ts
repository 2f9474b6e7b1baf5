import t from 'tap'
import { type ActiveGrant, encodeGrant, type Grant } from '../../../plugin/grant/grant.ts'
import {
  authorize,
  end,
  lease,
  redeem,
  release,
  rotate,
  timeToLiveMs,
} from '../../../plugin/grant/transitions.ts'
import {
  accessToken,
  active,
  authorized,
  authorizing,
  ended,
  HASH,
  leased,
  lifetimes,
  redeeming,
  refreshToken,
} from '../../support/grant-samples.ts'

/** What stays with the grant until the app has redeemed its code. */
const REQUEST = [
  ...['v', 'id', 'provider', 'clientId', 'createdAt', 'status'],
  ...['redirectUri', 'codeChallenge', 'scope', 'providerScope', 'maxAgeSeconds', 'acrValues', 'resources'],
]

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) Object.values(Object.freeze(value)).forEach(deepFreeze)
  return value
}

t.test('transitions are pure: the same again, and the grant before is as it was', async (t) => {
  const step = { now: 5, accessToken: accessToken('a2'), refreshToken: refreshToken('r2') }
  const all: [string, () => Grant][] = [
    [
      'authorize',
      () => authorize(deepFreeze(authorizing), { codeHash: HASH, codeExpiresAt: 1, key: 'k', sealed: 's' }),
    ],
    ['redeem', () => redeem(deepFreeze(authorized))],
    ['lease', () => lease(deepFreeze(active), 'o', 1)],
    ['release', () => release(deepFreeze(leased))],
    ['rotate', () => rotate(deepFreeze(leased), deepFreeze(step))],
    ['end', () => end(deepFreeze(active), 'revoked', 3)],
  ]
  for (const [name, transition] of all) t.same(transition(), transition(), name)
})

t.test('each step forgets what the next must not know', async (t) => {
  t.same(
    new Set(Object.keys(ended)),
    new Set(['clientId', 'createdAt', 'endedAt', 'id', 'provider', 'reason', 'status', 'v']),
  )
  t.same(
    new Set(Object.keys(authorized)),
    new Set([...REQUEST, 'codeHash', 'codeExpiresAt', 'key', 'sealed']),
  )
  t.same(new Set(Object.keys(redeeming)), new Set([...REQUEST, 'codeHash', 'key']))
  t.notMatch(encodeGrant(authorized), /stateHash|browserHash|name-of-a-secret|app-state/)
  t.notMatch(encodeGrant(redeeming), /sealed/)
  t.equal(leased.refreshToken!.predecessor, undefined, 'its successor has been presented')
})

t.test(
  'a rotation keeps the access tokens that are alive, eight at most, and the lease is over',
  async (t) => {
    let grant: ActiveGrant = lease(active, 'owner', 1)
    for (let i = 2; i < 20; i++) {
      grant = rotate(grant, {
        now: 1000,
        accessToken: accessToken(`a${i}`),
        refreshToken: refreshToken(`r${i}`),
      })
    }
    t.equal(grant.accessTokens.length, 8)
    t.equal(grant.accessTokens.at(-1)!.hash, accessToken('a19').hash)
    t.equal(grant.lease, undefined)
    const later = rotate(grant, {
      now: 3_600_000,
      accessToken: accessToken('x', 4_000_000),
      refreshToken: refreshToken('y'),
    })
    t.equal(later.accessTokens.length, 1, 'expired ones are dropped')
    t.equal(later.code, undefined, 'and so is the tombstone of the code')
  },
)

t.test('a record lives as long as one of its handles can mean something', async (t) => {
  t.equal(timeToLiveMs(authorizing, 0, lifetimes), 600_000)
  t.equal(timeToLiveMs(authorized, 0, lifetimes), 60_000)
  t.equal(timeToLiveMs(redeeming, 0, lifetimes), 3_600_000)
  t.equal(timeToLiveMs(ended, 0, lifetimes), 3_600_000)
  t.equal(timeToLiveMs(active, 0, lifetimes), 2_592_000_000)
  const { refreshToken: _, ...without } = active
  t.equal(timeToLiveMs(without, 0, lifetimes), 3_600_000, 'of the used code')
  t.equal(
    timeToLiveMs({ ...without, accessTokens: [accessToken('long', 9_000_000)] }, 0, lifetimes),
    9_000_000,
  )
  t.equal(timeToLiveMs(active, 8_000_000_000, lifetimes), 1, 'never nothing: stores want a time')
})
