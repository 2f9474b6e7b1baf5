import fc from 'fast-check'
import t, { type Test } from 'tap'
import {
  type ActiveGrant,
  type AuthorizingGrant,
  decodeGrant,
  encodeGrant,
  type Grant,
  type RefreshTokenRecord,
} from '../../../plugin/grant/grant.ts'
import { Grants, type StoredGrant } from '../../../plugin/grant/grants.ts'
import {
  activate,
  authorize,
  end,
  lease,
  redeem,
  release,
  rotate,
  timeToLiveMs,
} from '../../../plugin/grant/transitions.ts'
import { memoryStore } from '../../../plugin/index.ts'
import {
  familyOf,
  type HandleType,
  hashCredential,
  hashFamily,
  issueFirstHandle,
  issueHandle,
  issueRefreshHandle,
  parseHandle,
  sameHash,
} from '../../../plugin/secrets/handles.ts'
import { randomBytes } from '../../../plugin/secrets/random.ts'
import { newPair, type PluginApp, startPluginApp, type Tokens } from '../../support/plugin-app.ts'
import { json } from '../../support/stub-provider.ts'

const HASH = 'h'.repeat(43)
const lifetimes = {
  transactionSeconds: 600,
  codeSeconds: 60,
  accessTokenSeconds: 600,
  refreshGraceSeconds: 15,
  refreshIdleSeconds: 2_592_000,
  sessionSeconds: 7_776_000,
  tombstoneSeconds: 3600,
}

const authorizing: AuthorizingGrant = {
  v: 1,
  id: 'AAAAAAAAAAAAAAAAAAAAAA',
  provider: 'https://as.example',
  clientId: 'app',
  createdAt: 1,
  status: 'authorizing',
  redirectUri: 'https://app.example.com/callback',
  codeChallenge: HASH,
  scope: ['orders.read'],
  providerScope: [],
  maxAgeSeconds: 60,
  state: 'app-state',
  stateHash: HASH,
  browserHash: HASH,
  serverSecret: 'name-of-a-secret',
}
/** What stays with the grant until the app has redeemed its code. */
const REQUEST = [
  ...['v', 'id', 'provider', 'clientId', 'createdAt', 'status'],
  ...['redirectUri', 'codeChallenge', 'scope', 'providerScope', 'maxAgeSeconds'],
]
const accessToken = (name: string, expiresAt = 600_000) => ({
  hash: name.padEnd(43, '_'),
  key: `key-of-${name}`,
  scope: ['orders.read'],
  expiresAt,
})
const refreshToken = (name: string): RefreshTokenRecord => ({
  familyHash: HASH,
  hash: name.padEnd(43, '_'),
  key: `key-of-${name}`,
  idleExpiresAt: 2_592_000_000,
})

const authorized = authorize(authorizing, {
  codeHash: HASH,
  codeExpiresAt: 60_000,
  key: 'key-of-code',
  sealed: 'sealed-exchange',
})
const redeeming = redeem(authorized)
const active = activate(redeeming, {
  activatedAt: 2,
  subject: 'alice',
  claims: { email: 'a@example.com' },
  scope: ['orders.read'],
  expiresAt: 7_776_000_000,
  sealed: 'sealed-provider',
  providerExpiresAt: 3_600_000,
  providerLifetimeMs: 3_600_000,
  codeForgottenAt: 3_600_000,
  accessToken: accessToken('a1'),
  refreshToken: refreshToken('r1'),
})
const leased = lease(
  {
    ...active,
    refreshToken: {
      ...active.refreshToken!,
      predecessor: { hash: HASH, graceEndsAt: 1, sealed: 's' },
    },
  },
  'owner',
  15_000,
)
const ended = end(active, 'revoked', 3)
const samples: Grant[] = [authorizing, authorized, redeeming, active, leased, ended]

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

t.test('only a complete record of a known version is a grant (C-23, G-15)', async (t) => {
  for (const sample of samples) {
    const plain = JSON.parse(encodeGrant(sample)) as Record<string, unknown>
    const read = (value: unknown) => decodeGrant(JSON.stringify(value))
    t.test(`${sample.status}`, async (t) => {
      t.same(read(plain), sample)
      const optional = ['state', 'maxAgeSeconds', 'refreshToken', 'code', 'lease']
      for (const key of Object.keys(plain)) {
        const { [key]: _, ...without } = plain
        if (!optional.includes(key)) t.equal(read(without), null, `without ${key}`)
        t.equal(read({ ...plain, [key]: null }), null, `${key}: null`)
        if (key !== 'claims') t.equal(read({ ...plain, [key]: { x: 'y' } }), null, `${key}: an object`)
      }
      t.equal(read({ ...plain, extra: 1 }), null, 'a field too many')
      t.equal(read({ ...plain, v: 2 }), null)
      t.equal(read({ ...plain, v: '1' }), null)
      t.equal(read({ ...plain, status: 'active ' }), null)
      t.equal(read([plain]), null)
      t.equal(decodeGrant(encodeGrant(sample).replace('{', '{"__proto__":{},')), null)
    })
  }
  const noGrants = [
    '',
    'null',
    '1',
    '"active"',
    '[]',
    '{}',
    '{',
    '{"status":"__proto__"}',
    '{"status":"constructor"}',
  ]
  for (const text of noGrants) t.equal(decodeGrant(text), null, text)
  t.equal(
    decodeGrant(encodeGrant(active).replace('"activatedAt":2', '"activatedAt":1e999')),
    null,
    'Infinity',
  )
  fc.assert(fc.property(fc.json(), (text) => decodeGrant(text) === null))
})

t.test('handles have one spelling, one type and 256 random bits (C-24, G-01, P-8)', async (t) => {
  const types: HandleType[] = ['state', 'code', 'access', 'refresh']
  t.test('what is issued parses, as its own type only', async (t) => {
    for (const type of types) {
      const handle = issueHandle(type, issueFirstHandle('state').selector)
      t.match(handle.value, /^pk[arcs]_[A-Za-z0-9_-]{64}$/)
      for (const other of types) {
        const parsed = parseHandle(other, handle.value)
        if (other === type) t.same(parsed, handle)
        else t.equal(parsed, null)
      }
    }
  })

  t.test('no other string is the same handle', async (t) => {
    const { value, secret } = issueFirstHandle('access')
    fc.assert(
      fc.property(
        fc.nat(67),
        fc.string({ minLength: 1, maxLength: 1, unit: 'binary' }),
        (index, character) => {
          const changed = value.slice(0, index) + character + value.slice(index + character.length)
          if (changed === value) return true
          const parsed = parseHandle('access', changed)
          return parsed === null || !parsed.secret.equals(secret) || parsed.selector !== value.slice(4, 26)
        },
      ),
    )
    for (const text of [
      `${value}=`,
      `${value} `,
      `${value}\n`,
      ` ${value}`,
      value.slice(0, -1),
      '',
      'pka_',
    ]) {
      t.equal(parseHandle('access', text), null, JSON.stringify(text))
    }
  })

  t.test('the hash of one type never matches another, and a family is bound to its grant', async (t) => {
    const access = issueFirstHandle('access')
    t.notOk(sameHash(hashCredential(access.value), hashCredential(access.value.replace('pka_', 'pkr_'))))
    const first = issueRefreshHandle(issueFirstHandle('state').selector)
    const second = issueRefreshHandle(first.selector, familyOf(first))
    const elsewhere = issueRefreshHandle(issueFirstHandle('state').selector, familyOf(first))
    t.equal(hashFamily(first), hashFamily(second))
    t.not(first.value, second.value)
    t.not(hashFamily(first), hashFamily(elsewhere))
    t.equal(familyOf(first).length, 16)
  })

  t.test('random bytes are handed out once, and belong to whoever has them', async (t) => {
    const drawn = Array.from({ length: 2000 }, (_, i) => randomBytes(16 + (i % 17)))
    const copies = drawn.map((bytes) => Buffer.from(bytes))
    for (let i = 0; i < 1000; i++) randomBytes(32).fill(0)
    t.same(drawn, copies)
    t.equal(new Set(drawn.map((bytes) => bytes.toString('hex', 0, 16))).size, drawn.length)
    t.same(
      [1, 31, 4096].map((length) => randomBytes(length).length),
      [1, 31, 4096],
    )
    t.notOk(randomBytes(4096).equals(Buffer.alloc(4096)))
    t.throws(() => randomBytes(4097), RangeError, 'never fewer than asked for')
  })

  t.test('10,000 handles have no bit that is not random', async (t) => {
    const ones = Array<number>(384).fill(0)
    const n = 10_000
    for (let i = 0; i < n; i++) {
      const bytes = Buffer.from(issueFirstHandle('access').value.slice(4), 'base64url')
      for (let bit = 0; bit < 384; bit++) ones[bit]! += (bytes[bit >> 3]! >> (bit & 7)) & 1
    }
    // Six standard deviations: once in a million runs by chance.
    t.ok(ones.every((count) => Math.abs(count - n / 2) < 6 * Math.sqrt(n / 4)))
  })
})

t.test('200 parallel writers of one version: one winner, for every step (G-07)', async (t) => {
  const store = memoryStore({ now: () => 1000 })
  t.teardown(() => store.close())
  const grants = new Grants(store, authorizing.provider, lifetimes)
  await grants.create(authorizing)
  let current = (await grants.read(authorizing.id))!
  for (const next of [authorized, redeeming, active, leased, ended]) {
    const from = current
    const results = await Promise.all(Array.from({ length: 200 }, () => grants.replace(from, next)))
    const winners = results.filter((result) => result !== null)
    t.equal(winners.length, 1, next.status)
    current = winners[0]!
  }
})

t.test('an end wins over whatever is written meanwhile, and is final', async (t) => {
  const store = memoryStore({ now: () => 1000 })
  t.teardown(() => store.close())
  const grants = new Grants(store, authorizing.provider, lifetimes)
  await grants.create(authorizing)
  const first = (await grants.read(authorizing.id))!
  await grants.replace(first, authorized)
  t.equal(await grants.endUnlessChanged(first, 'revoked'), false)
  t.equal((await grants.end(first, 'revoked'))?.status, 'authorized', 'tells what it was just before')
  t.equal(await grants.end(first, 'revoked'), null, 'once')
  t.equal((await grants.read(authorizing.id))!.grant.status, 'ended')
})

t.test(
  'several actors, any order: one winner per swap, one activation, nothing after the end (model)',
  async (t) => {
    const store = memoryStore({ now: () => 1000 })
    t.teardown(() => store.close())
    const grants = new Grants(store, authorizing.provider, lifetimes)
    const step = fc.record({
      actor: fc.nat(3),
      move: fc.constantFrom(
        'read',
        'forward',
        'forward',
        'rotate',
        'lease',
        'end',
        'endUnlessChanged' as const,
      ),
    })

    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const id = issueFirstHandle('state').selector
        await grants.create({ ...authorizing, id })
        const model = { version: 1, status: 'authorizing' as Grant['status'], activations: 0 }
        const seen: StoredGrant[] = Array(4).fill((await grants.read(id))!)

        for (const { actor, move } of steps) {
          const snapshot = seen[actor]!
          if (move === 'read') {
            seen[actor] = (await grants.read(id))!
            if (seen[actor].version !== model.version || seen[actor].grant.status !== model.status)
              return false
            continue
          }
          if (move === 'end') {
            const won = (await grants.end(snapshot, 'revoked')) !== null
            if (won !== (model.status !== 'ended')) return false
            if (won) Object.assign(model, { version: model.version + 1, status: 'ended' })
            continue
          }
          if (snapshot.grant.status === 'ended') continue
          const next =
            move === 'endUnlessChanged' ? end(snapshot.grant, 'revoked', 1) : walk(snapshot.grant, move)
          if (!next) continue
          const won = await grants.replace(snapshot, next)
          if ((won !== null) !== (snapshot.version === model.version)) return false
          if (!won) continue
          if (model.status !== 'active' && next.status === 'active') model.activations += 1
          Object.assign(model, { version: model.version + 1, status: next.status })
          seen[actor] = won
        }
        const last = (await grants.read(id))!
        return last.version === model.version && last.grant.status === model.status && model.activations <= 1
      }),
      { numRuns: 300 },
    )
  },
)

/** What an endpoint would write next. */
function walk(grant: Grant, move: 'forward' | 'rotate' | 'lease'): Grant | null {
  const { id } = grant
  if (grant.status === 'active') {
    if (move === 'lease') return lease(grant, 'owner', 1)
    return move === 'rotate'
      ? rotate(grant, { now: 1, accessToken: accessToken('n'), refreshToken: refreshToken('n') })
      : null
  }
  if (move !== 'forward') return null
  if (grant.status === 'authorizing') return { ...authorized, id }
  return grant.status === 'authorized' ? { ...redeeming, id } : { ...active, id }
}

/** Lifetimes between multiples of ten seconds, so that the time a test takes does not matter. */
const slack = { codeSeconds: 55, accessTokenSeconds: 595, refreshGraceSeconds: 15 }

async function modelled(t: Test): Promise<PluginApp> {
  const plugin = await startPluginApp(t, { lifetimes: slack })
  plugin.provider.behave.token = (_request, response) =>
    json(response, 200, {
      access_token: 'a',
      refresh_token: 'r',
      token_type: 'Bearer',
      expires_in: 31_536_000,
    })
  return plugin
}

t.test('any sequence of requests about one grant is answered as a simple model says', async (t) => {
  const plugin = await modelled(t)
  const operation = fc.oneof(
    { weight: 3, arbitrary: fc.record({ op: fc.constant('redeem' as const), right: fc.boolean() }) },
    { weight: 5, arbitrary: fc.record({ op: fc.constant('refresh' as const), back: fc.nat(2) }) },
    { weight: 4, arbitrary: fc.record({ op: fc.constant('call' as const), back: fc.nat(3) }) },
    { weight: 1, arbitrary: fc.record({ op: fc.constant('revoke' as const) }) },
    { weight: 1, arbitrary: fc.record({ op: fc.constant('foreign' as const) }) },
    {
      weight: 4,
      arbitrary: fc.record({ op: fc.constant('wait' as const), seconds: fc.constantFrom(10, 20, 60, 600) }),
    },
  )

  await fc.assert(
    fc.asyncProperty(fc.array(operation, { minLength: 4, maxLength: 16 }), async (operations) => {
      const { code } = await plugin.code()
      let now = 0
      let redeemed: 'no' | 'yes' | 'never' = 'no'
      let redeemedAt = 0
      let alive = false
      let grace = { index: -1, until: 0 }
      const issued: { tokens: Tokens; expiresAt: number }[] = []
      const remember = (tokens: Tokens) => issued.push({ tokens, expiresAt: now + 595 })

      for (const step of operations) {
        if (step.op === 'wait') {
          plugin.store.advance(step.seconds)
          now += step.seconds
        } else if (step.op === 'redeem') {
          const response = await plugin.redeem(code, step.right ? {} : { code_verifier: newPair().verifier })
          const good = step.right && redeemed === 'no' && now < 55
          if (response.statusCode !== (good ? 200 : 400)) return false
          if (good) {
            remember(response.json() as Tokens)
            ;[redeemed, redeemedAt, alive] = ['yes', now, true]
          } else if (redeemed === 'no') redeemed = 'never'
          else if (redeemed === 'yes' && step.right && now < redeemedAt + 3600) alive = false
        } else if (step.op === 'refresh') {
          const index = issued.length - 1 - step.back
          if (!issued[index]) continue
          const response = await plugin.refresh(issued[index].tokens.refresh_token)
          const current = index === issued.length - 1
          const again = index === grace.index && now < grace.until
          if (response.statusCode !== (alive && (current || again) ? 200 : 400)) return false
          if (alive && current) {
            grace = { index, until: now + 15 }
            remember(response.json() as Tokens)
          } else if (alive && again) {
            const { refresh_token, access_token } = response.json() as Tokens
            const { tokens } = issued[index + 1]!
            if (refresh_token !== tokens.refresh_token || access_token !== tokens.access_token) return false
          } else alive = false
        } else if (step.op === 'call') {
          const one = issued.at(-1 - step.back)
          if (!one) continue
          const good = alive && now < one.expiresAt
          if ((await plugin.call(one.tokens.access_token)).statusCode !== (good ? 200 : 401)) return false
        } else if (step.op === 'revoke') {
          const token = issued.at(-1)?.tokens.refresh_token
          if (!token) continue
          await plugin.post('revoke', { client_id: 'app', token })
          alive = false
        } else {
          const token = issued.at(-1)?.tokens.refresh_token
          if (token) await plugin.refresh(token, { client_id: 'other' })
        }
      }
      return true
    }),
    { numRuns: 60 },
  )
})

t.test(
  'any requests at the same time: one activation, one successor each, nothing after the end',
  async (t) => {
    const plugin = await modelled(t)
    const operation = fc.constantFrom(
      'redeem',
      'redeem',
      'wrong',
      'refresh',
      'refresh',
      'old',
      'revoke' as const,
    )
    const rounds = fc.array(fc.array(operation, { minLength: 1, maxLength: 5 }), {
      minLength: 2,
      maxLength: 6,
    })

    await fc.assert(
      fc.asyncProperty(rounds, async (plan) => {
        const { code } = await plugin.code()
        const successors = new Map<string, Set<string>>()
        const handles: string[] = []
        let activations = 0
        let over = false
        for (const round of plan) {
          const overBefore = over
          const good: number[] = await Promise.all(
            round.map(async (name): Promise<number> => {
              const handle = name === 'old' ? handles[0] : handles.at(-1)
              if (name === 'redeem' || name === 'wrong') {
                const form = name === 'wrong' ? { code_verifier: newPair().verifier } : {}
                const response = await plugin.redeem(code, form)
                if (response.statusCode !== 200) return 0
                activations += 1
                handles.push((response.json() as Tokens).refresh_token)
                return 1
              }
              if (handle === undefined) return 0
              if (name === 'revoke') {
                const { statusCode } = await plugin.post('revoke', { client_id: 'app', token: handle })
                if (statusCode === 200) over = true
                return 0
              }
              const response = await plugin.refresh(handle)
              if (response.statusCode !== 200) return 0
              const { refresh_token } = response.json() as Tokens
              successors.set(handle, (successors.get(handle) ?? new Set()).add(refresh_token))
              if (!handles.includes(refresh_token)) handles.push(refresh_token)
              return 1
            }),
          )
          if (overBefore && good.some((count) => count > 0)) return false
        }
        return activations <= 1 && [...successors.values()].every((set) => set.size === 1)
      }),
      { numRuns: 60 },
    )
  },
)
