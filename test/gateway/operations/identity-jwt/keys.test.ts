/** The keys of signed identities in their store, with a clock that the test moves. */
import { randomBytes } from 'node:crypto'
import { decodeProtectedHeader, importJWK, jwtVerify } from 'jose'
import t from 'tap'
import { gatewayConfig } from '../../../../gateway/config/load.ts'
import { sessionId, signIdentity } from '../../../../gateway/operations/identity-jwt/identity-jwt.ts'
import {
  type KeyRecord,
  PUBLISHED_AHEAD_MS,
  RECORD_KEY,
  SIGNS_MS,
  TOKEN_MS,
} from '../../../../gateway/operations/identity-jwt/key-record.ts'
import { KeyRing } from '../../../../gateway/operations/identity-jwt/key-ring.ts'
import { rotateKeys, rotateKeysIn } from '../../../../gateway/operations/identity-jwt/rotate-keys.ts'
import { memoryStore } from '../../../../plugin/index.ts'
import { Sealing } from '../../../../plugin/secrets/sealing.ts'
import { session } from '../../../support/forwarder.ts'
import { configFile, values } from '../../../support/gateway-command.ts'
import { minimal } from '../../../support/gateway-config.ts'
import { runCaptured } from '../../../support/run-command.ts'

const secrets = [randomBytes(32)]
const MINUTE = 60_000

function setUp() {
  let now = Date.UTC(2026, 0, 1)
  const store = memoryStore({ now: () => now })
  t.teardown(() => store.close())
  return {
    store,
    ring: (own = secrets) => new KeyRing(store, new Sealing(own)),
    pass(ms: number) {
      now += ms
    },
    async record(): Promise<KeyRecord> {
      return JSON.parse((await store.read(RECORD_KEY))!.value)
    },
  }
}

const kids = (ring: KeyRing) => ring.publicKeys.map(({ kid }) => kid)
const signs = (ring: KeyRing) => ring.signingKey().publicJwk.kid

t.test('instances that start at once agree on one key (Q-11)', async (t) => {
  const { ring } = setUp()
  const rings = Array.from({ length: 10 }, () => ring())
  await Promise.all(rings.map((one) => one.maintain()))
  t.equal(new Set(rings.map(signs)).size, 1)
  t.same(new Set(rings.flatMap(kids)).size, 1)
})

t.test(
  'a new key is published before it signs, and the old one stays for its last token (Q-11)',
  async (t) => {
    const { ring, pass } = setUp()
    const [a, b] = [ring(), ring()]
    await a.maintain()
    const first = signs(a)
    pass(SIGNS_MS - PUBLISHED_AHEAD_MS - 1)
    await a.maintain()
    t.same(kids(a), [first])
    pass(1)
    await Promise.all([a.maintain(), b.maintain()])
    t.equal(kids(a).length, 2, 'one next key, whoever makes it')
    t.same(kids(b), kids(a))
    t.equal(signs(a), first)
    pass(PUBLISHED_AHEAD_MS)
    const second = kids(a)[1]
    t.equal(signs(a), second, 'without a look at the store')
    await a.maintain()
    t.same(kids(a), [first, second])
    pass(TOKEN_MS + 5 * MINUTE)
    await b.maintain()
    t.same(kids(b), [second])
  },
)

t.test('a rotation by hand: the next key at once, or the only one at once (Q-11)', async (t) => {
  const { ring, store, pass } = setUp()
  const a = ring()
  await a.maintain()
  const first = signs(a)
  t.equal((await rotateKeysIn(store, secrets)).length, 2)
  await a.read()
  t.equal(signs(a), first)
  pass(PUBLISHED_AHEAD_MS)
  t.not(signs(a), first)
  const [only, ...others] = await rotateKeysIn(store, secrets, { atOnce: true })
  t.same(others, [])
  await a.read()
  t.same(kids(a), [only])
  t.equal(signs(a), only)
  t.equal((await rotateKeysIn(setUp().store, secrets)).length, 1, 'where there was none')
})

t.test('nothing of a key can be read in the store, and none can be put there (Q-11, G-03)', async (t) => {
  const { ring, store, record } = setUp()
  const a = ring()
  await a.maintain()
  const kept = await record()
  const { d } = a.signingKey().privateKey.export({ format: 'jwk' })
  t.same(Object.keys(kept.keys[0]!), ['kid', 'signsFrom', 'sealed'])
  t.notMatch(JSON.stringify(kept), d!)
  const stranger = ring([randomBytes(32)])
  await stranger.read()
  t.same(kids(stranger), [], 'another secret opens nothing')

  const forged = await (async () => {
    const other = setUp()
    await other.ring([randomBytes(32)]).maintain()
    return other.record()
  })()
  const { version } = (await store.read(RECORD_KEY))!
  const [mine] = kept.keys
  const moved = { ...mine!, signsFrom: mine!.signsFrom - 1 }
  const keys = [...kept.keys, ...forged.keys, moved]
  t.ok(await store.replace(RECORD_KEY, version, JSON.stringify({ v: 1, keys }), MINUTE))
  await a.read()
  t.same(kids(a), [mine!.kid])
})

t.test(
  'a key under a former secret signs on, and its successor is sealed with the first (Q-11, G-05)',
  async (t) => {
    const { ring, record, pass } = setUp()
    const before = ring()
    await before.maintain()
    const next = [randomBytes(32), ...secrets]
    const after = ring(next)
    await after.maintain()
    t.equal(signs(after), signs(before))
    pass(PUBLISHED_AHEAD_MS)
    await after.maintain()
    const { keys } = await record()
    t.equal(keys.length, 2)
    t.match(keys[1]!.sealed, new RegExp(`^${new Sealing(next).current}\\.`))
    t.equal(signs(after), keys[1]!.kid)
  },
)

t.test('a record that is gone or of another version stops no signature (Q-11)', async (t) => {
  const { ring, store } = setUp()
  const a = ring()
  await t.rejects(
    ring()
      .read()
      .then(() => ring().signingKey()),
    /no identity key/,
  )
  await a.maintain()
  const kid = signs(a)
  const { version } = (await store.read(RECORD_KEY))!
  await store.replace(RECORD_KEY, version, '{"v":2}', MINUTE)
  await t.rejects(a.maintain(), /another version of the gateway/)
  t.equal(signs(a), kid)
  t.equal((await store.read(RECORD_KEY))!.value, '{"v":2}', 'it is left as it is')
})

t.test('the memory store is rotated by nobody else (Q-11)', async (t) => {
  await t.rejects(rotateKeys(gatewayConfig(minimal())), /memory store/)
  const config = configFile(t, values())
  t.match(await runCaptured(['rotate-keys', '--config', config]), { status: 1, stderr: /memory store/ })
})

t.test('what a token says, and for how long (Q-11; RFC 9068 §2)', async (t) => {
  const { ring } = setUp()
  const a = ring()
  await a.maintain()
  const now = Date.UTC(2026, 0, 1, 0, 0, 0, 900)
  const claims = {
    sub: 'alice',
    email: 'a@example.com',
    iss: 'x',
    client_id: 'x',
    roles: ['a'],
    cnf: { jkt: 'x' },
  }
  const of = (expiresAt: number) =>
    signIdentity(
      a.signingKey(),
      session({ claims, expiresAt, scope: ['a', 'b'] }),
      {
        issuer: 'https://api.example.com',
        audience: 'https://api.example.com/orders',
        claims: ['email', 'roles', 'iss', 'client_id', 'cnf', 'none'],
      },
      now,
    )
  const { token, lifeMs } = of(now + 3_600_000)
  t.equal(lifeMs, TOKEN_MS)
  t.same(decodeProtectedHeader(token), { alg: 'ES256', typ: 'at+jwt', kid: signs(a) })
  const key = await importJWK(a.publicKeys[0]!)
  const { payload } = await jwtVerify(token, key, { currentDate: new Date(now) })
  const { jti, ...said } = payload
  t.match(jti, /^[0-9a-f]{32}$/)
  t.same(said, {
    email: 'a@example.com',
    roles: ['a'],
    iss: 'https://api.example.com',
    aud: 'https://api.example.com/orders',
    sub: 'alice',
    identity_provider: 'https://login.example.com',
    client_id: 'app',
    scope: 'a b',
    sid: sessionId('grant'),
    iat: Math.floor(now / 1000),
    exp: Math.floor(now / 1000) + 60,
  })
  t.not(sessionId('grant'), 'grant')
  const ending = of(now + 5000)
  t.equal(ending.lifeMs, 5000)
  t.equal(
    JSON.parse(Buffer.from(ending.token.split('.')[1]!, 'base64url').toString()).exp,
    Math.floor((now + 5000) / 1000),
  )
})
