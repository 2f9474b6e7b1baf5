import { hkdfSync } from 'node:crypto'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import type { ActiveGrant } from '../../../plugin/grant/grant.ts'
import {
  deriveFor,
  openFor,
  openProviderSecrets,
  sealFor,
  sealProviderSecrets,
} from '../../../plugin/grant/seals.ts'
import { issueFirstHandle, parseHandle } from '../../../plugin/secrets/handles.ts'
import { deriveKey } from '../../../plugin/secrets/hkdf.ts'
import { Sealing } from '../../../plugin/secrets/sealing.ts'
import { type PluginApp, startPluginApp, type Tokens, VERIFIER } from '../../support/plugin-app.ts'
import { json } from '../../support/stub-provider.ts'
import { tryToOpen } from '../../support/thief.ts'

const SECRET = Buffer.alloc(32, 7)
const secrets = [SECRET.toString('base64url')]

/** Journeys of all kinds, and every credential that was alive in one of them. */
async function journeys(
  t: Test,
  tokens: 'opaque' | 'relay',
): Promise<{ plugin: PluginApp; credentials: Map<string, string> }> {
  const plugin = await startPluginApp(t, { secrets, tokens, provider: { scope: 'openid' } })
  const credentials = new Map<string, string>()
  const note = (name: string, value: string | null | undefined) => value && credentials.set(name, value)
  let issued = 0
  plugin.provider.behave.token = async (request, response) => {
    issued += 1
    note(`provider verifier ${issued}`, request.form.get('code_verifier'))
    const id_token = await plugin.provider.idToken({ nonce: plugin.provider.nonce, email: 'a@example.com' })
    const answer = {
      access_token: `ya29.access-token-${issued}`,
      refresh_token: `1//refresh-token-${issued}`,
      id_token,
    }
    for (const [name, value] of Object.entries(answer)) note(`provider ${name} ${issued}`, value)
    json(response, 200, { ...answer, token_type: 'Bearer', expires_in: 3600 })
  }
  const login = async (name: string) => {
    const authorized = await plugin.authorize()
    note(`${name}: state`, authorized.state)
    note(`${name}: cookie`, authorized.cookie.split('=')[1])
    note(`${name}: nonce`, plugin.provider.nonce)
    const providerCode = `4/provider-code-of-${name}`
    note(`${name}: provider code`, providerCode)
    const answer = await plugin.callback(authorized, { code: providerCode })
    const code = new URL(String(answer.headers.location)).searchParams.get('code')!
    note(`${name}: code`, code)
    const redeemed = (await plugin.redeem(code)).json() as Tokens
    note(`${name}: access`, redeemed.access_token)
    note(`${name}: refresh`, redeemed.refresh_token)
    return { code, ...redeemed }
  }
  const refresh = async (name: string, token: string) => {
    const next = (await plugin.refresh(token)).json() as Tokens
    note(`${name}: access after a refresh`, next.access_token)
    note(`${name}: refresh after a refresh`, next.refresh_token)
    return next
  }
  note('verifier', VERIFIER)

  const replayed = await login('replayed')
  await plugin.redeem(replayed.code)
  const rotated = await login('rotated')
  const second = await refresh('rotated', rotated.refresh_token)
  plugin.store.advance(3400)
  await refresh('renewed', second.refresh_token)
  const revoked = await login('revoked')
  await plugin.post('revoke', { client_id: 'app', token: revoked.refresh_token })
  await login('live')
  await plugin.code()
  await plugin.authorize()
  return { plugin, credentials }
}

for (const tokens of ['opaque', 'relay'] as const) {
  t.test(
    `nothing that was ever given to the store shows a credential, in no encoding (G-02, G-03, ${tokens})`,
    async (t) => {
      const { plugin, credentials } = await journeys(t, tokens)
      const dump = plugin.store.touched.join('\n')
      t.ok(credentials.size > 30)
      t.ok(dump.length > 20_000)
      for (const [name, credential] of credentials) {
        const bytes = Buffer.from(credential)
        const forms = [credential, encodeURIComponent(credential), bytes.toString('hex')]
        // base64 of a text inside another text has one of three alignments; the middle is the same in all of one kind.
        for (const shift of [0, 1, 2]) {
          const encoded = Buffer.concat([Buffer.alloc(shift), bytes]).toString('base64url')
          forms.push(encoded.slice(4, -4))
        }
        const secretPart = /^pk[acrs]_/.test(credential) ? credential.slice(26) : undefined
        if (secretPart)
          forms.push(secretPart, Buffer.from(credential.slice(4), 'base64url').subarray(16).toString('hex'))
        const standard = forms.map((form) => form.replaceAll('-', '+').replaceAll('_', '/'))
        const found = [...forms, ...standard].filter((form) => form.length > 8 && dump.includes(form))
        t.same(found, [], name)
      }
      t.notOk(dump.includes(SECRET.toString('base64url')))
    },
  )
}

t.test('the dump and the server secret together open nothing (G-04)', async (t) => {
  const { plugin, credentials } = await journeys(t, 'opaque')
  const { tried, opened } = tryToOpen(plugin.store.written, SECRET)
  t.same(opened, [])
  t.ok(tried > 1000)

  t.test('and with one live handle, what is its own', async (t) => {
    for (const [type, name, holder] of [
      ['code', 'live: code', 'code'],
      ['access', 'live: access', 'access'],
    ] as const) {
      const { secret, selector } = parseHandle(type, credentials.get(name)!)!
      const rows = plugin.store.written.filter((row) => row.includes(selector))
      t.ok(tryToOpen(rows, SECRET, [secret]).opened.includes(`${holder} of ${selector}`), holder)
    }
  })
})

t.test('a key is derived by HKDF-SHA-256 (RFC 5869 §2, Appendix A; G-04)', async (t) => {
  const bytes = (first: number, length: number) => Buffer.from(Array.from({ length }, (_, i) => first + i))
  const secret = Buffer.alloc(22, 0x0b)
  const none = Buffer.alloc(0)
  t.equal(
    deriveKey(secret, bytes(0x00, 13), bytes(0xf0, 10)).toString('hex'),
    '3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf',
    'A.1, first 32 bytes',
  )
  t.equal(
    deriveKey(bytes(0x00, 80), bytes(0x60, 80), bytes(0xb0, 80)).toString('hex'),
    'b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c',
    'A.2, first 32 bytes: inputs longer than a block',
  )
  t.equal(
    deriveKey(secret, none, none).toString('hex'),
    '8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d',
    'A.3, first 32 bytes: no salt, no info',
  )
  for (const length of [63, 64, 65]) {
    const expected = Buffer.from(hkdfSync('sha256', secret, bytes(0, length), none, 32))
    t.same(deriveKey(secret, bytes(0, length), none), expected, `a salt of ${length} bytes`)
  }
  const input = fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array))
  fc.assert(
    fc.property(input, input, input, (secret, salt, info) =>
      deriveKey(secret, salt, info).equals(Buffer.from(hkdfSync('sha256', secret, salt, info, 32))),
    ),
  )
})

t.test('a seal opens with its own secret, context and server secret only (G-03, G-04)', async (t) => {
  const sealing = new Sealing([SECRET])
  const rotated = new Sealing([Buffer.alloc(32, 8), SECRET])
  const retired = new Sealing([Buffer.alloc(32, 8)])
  const secret = Buffer.alloc(32, 1)
  const context = { grantId: 'grant', text: 'a text with the grant' }
  const others = [
    { ...context, grantId: 'another' },
    { ...context, text: 'another' },
  ]
  const plain = Buffer.from('plain')

  t.test('what is sealed for one holder', async (t) => {
    const sealed = sealing.sealFor(secret, plain, context)
    t.same(sealing.openFor(secret, sealed, context), plain)
    t.same(rotated.openFor(secret, sealed, context), plain, 'all secrets open (G-05)')
    t.not(rotated.sealFor(secret, plain, context).slice(0, 8), sealed.slice(0, 8), 'the first seals')
    t.equal(retired.openFor(secret, sealed, context), null)
    const renamed = retired.sealFor(secret, plain, context).slice(0, 9) + sealed.slice(9)
    t.equal(retired.openFor(secret, renamed, context), null, 'the name of a server secret is not the secret')
    t.equal(sealing.openFor(Buffer.alloc(32, 2), sealed, context), null)
    for (const other of others) t.equal(sealing.openFor(secret, sealed, other), null)
    for (const garbage of garbled(sealed)) {
      t.equal(sealing.openFor(secret, garbage, context), null, garbage)
    }
  })

  t.test('a data key that is wrapped for a holder, and what is sealed under it', async (t) => {
    const dataKey = sealing.newDataKey()
    t.equal(dataKey.length, 32)
    const sealed = sealing.seal(dataKey, plain, context)
    t.same(sealing.open(dataKey, sealed, context), plain)
    for (const text of ['another', '']) t.equal(sealing.open(dataKey, sealed, { ...context, text }), null)
    t.equal(sealing.open(sealing.newDataKey(), sealed, context), null)

    const wrapped = sealing.wrap(dataKey, secret, context)
    t.same(sealing.unwrap(wrapped, secret, context), dataKey)
    t.same(rotated.unwrap(wrapped, secret, context), dataKey)
    t.equal(retired.unwrap(wrapped, secret, context), null)
    const opens = (key: Buffer | null) => key !== null && sealing.open(key, sealed, context) !== null
    t.ok(opens(sealing.unwrap(wrapped, secret, context)))
    t.notOk(opens(sealing.unwrap(wrapped, Buffer.alloc(32, 2), context)))
    for (const other of others) t.notOk(opens(sealing.unwrap(wrapped, secret, other)))
    for (const garbage of garbled(wrapped)) t.notOk(opens(sealing.unwrap(garbage, secret, context)), garbage)
    const masks = others.map((other) => sealing.wrap(dataKey, secret, other))
    t.equal(new Set([wrapped, ...masks]).size, 3, 'no mask serves twice')
  })

  t.test('every byte is authenticated, and every write has a fresh nonce', async (t) => {
    const dataKey = sealing.newDataKey()
    const sealed = sealing.seal(dataKey, plain, context)
    const bytes = Buffer.from(sealed, 'base64url')
    for (let i = 0; i < bytes.length; i++) {
      const flipped = Buffer.from(bytes)
      flipped[i]! ^= 1
      if (sealing.open(dataKey, flipped.toString('base64url'), context)) {
        t.fail(`byte ${i} is not authenticated`)
      }
    }
    t.not(sealing.seal(dataKey, plain, context), sealed)
    t.not(sealing.seal(dataKey, plain, context).slice(0, 16), sealed.slice(0, 16))
  })
})

/** Texts that are not quite `sealed`, whose first nine characters name the server secret. */
function garbled(sealed: string): string[] {
  const [name, rest] = [sealed.slice(0, 9), sealed.slice(9)]
  const shorter = [name, rest.slice(0, -2), `${name}${rest.slice(0, -2)}`, `${name}${rest.slice(2)}`]
  return ['', '.', 'x', ...shorter, `${sealed}AAAA`, `${name}${'A'.repeat(80)}`, `${name}${'A'.repeat(43)}`]
}

t.test('a seal is bound to its grant, its client and its purpose, whatever the secret (G-03)', async (t) => {
  const sealing = new Sealing([SECRET])
  const owner = { id: 'grant-1', clientId: 'app' }
  const secret = Buffer.alloc(32, 1)
  const sealed = sealFor(sealing, owner, 'code', secret, { a: 1 })
  t.same(openFor(sealing, owner, 'code', secret, sealed), { a: 1 })
  t.equal(openFor(sealing, { ...owner, id: 'grant-2' }, 'code', secret, sealed), null)
  t.equal(openFor(sealing, { ...owner, clientId: 'other' }, 'code', secret, sealed), null)
  t.equal(openFor(sealing, owner, 'access', secret, sealed), null)
  t.equal(openFor(sealing, owner, 'code', Buffer.alloc(32, 2), sealed), null)

  const dataKey = sealing.newDataKey()
  const tokens = { accessToken: 'a', tokenType: 'Bearer' }
  const grant = { ...owner, sealed: sealProviderSecrets(sealing, owner, dataKey, tokens) } as ActiveGrant
  t.same(openProviderSecrets(sealing, grant, dataKey), tokens)
  t.equal(openProviderSecrets(sealing, { ...grant, id: 'grant-2' }, dataKey), null)
  t.equal(openProviderSecrets(sealing, { ...grant, clientId: 'other' }, dataKey), null)
})

t.test(
  'what is derived for a state is told by that state, at that grant, with that server secret (A-16, A-17)',
  async (t) => {
    const sealing = new Sealing([SECRET])
    const owner = { id: 'grant-1', clientId: 'app' }
    const state = Buffer.alloc(32, 1)
    const derived = deriveFor(sealing, owner, 'code_verifier', state, sealing.current)
    t.match(derived, /^[A-Za-z0-9_-]{43}$/)
    t.equal(deriveFor(sealing, owner, 'code_verifier', state, sealing.current), derived, 'the same again')

    const rotated = new Sealing([Buffer.alloc(32, 8), SECRET])
    t.equal(
      deriveFor(rotated, owner, 'code_verifier', state, sealing.current),
      derived,
      'after a rotation (G-05)',
    )
    const retired = new Sealing([Buffer.alloc(32, 8)])
    t.equal(deriveFor(retired, owner, 'code_verifier', state, sealing.current), null)

    const others = [
      deriveFor(sealing, owner, 'nonce', state, sealing.current),
      deriveFor(sealing, { ...owner, id: 'grant-2' }, 'code_verifier', state, sealing.current),
      deriveFor(sealing, { ...owner, clientId: 'other' }, 'code_verifier', state, sealing.current),
      deriveFor(sealing, owner, 'code_verifier', Buffer.alloc(32, 2), sealing.current),
      deriveFor(retired, owner, 'code_verifier', state, retired.current),
    ]
    t.equal(new Set([derived, ...others]).size, 6)
  },
)

t.test('what is moved between two grants does not open (G-03)', async (t) => {
  const fields = [
    'sealed',
    'accessTokens',
    'refreshToken',
    'sealed and accessTokens',
    'all but the id',
  ] as const
  for (const field of fields) {
    t.test(`${field} -> 401, and no refresh`, async (t) => {
      const plugin = await startPluginApp(t, { secrets })
      const logins = [await plugin.login(), await plugin.login()] as const
      const ids = logins.map(({ access_token }) => access_token.slice(4, 26).slice(0, 21))
      const rows = plugin.store.written
        .filter((text) => text.includes('"active"'))
        .map((text) => JSON.parse(text) as Record<string, unknown> & { id: string })
      const [first, second] = [rows[0]!, rows[1]!]
      t.ok(first.id.startsWith(ids[0]!) && second.id.startsWith(ids[1]!))
      // The thief can write to the store, and holds a good token of the second grant: it must not show him the first.
      const [token, hash] = [second.accessTokens, 'hash'] as [{ hash: string; key: string }[], 'hash']
      const moved: Record<(typeof fields)[number], object> = {
        sealed: { ...second, sealed: first.sealed },
        accessTokens: {
          ...second,
          accessTokens: [{ ...(first.accessTokens as object[])[0], [hash]: token[0]!.hash }],
        },
        refreshToken: {
          ...second,
          refreshToken: {
            ...(second.refreshToken as object),
            key: (first.refreshToken as { key: string }).key,
          },
        },
        'sealed and accessTokens': {
          ...second,
          sealed: first.sealed,
          accessTokens: [{ ...(first.accessTokens as object[])[0], [hash]: token[0]!.hash }],
        },
        'all but the id': {
          ...first,
          id: second.id,
          accessTokens: [{ ...(first.accessTokens as object[])[0], [hash]: token[0]!.hash }],
        },
      }
      const key = `grant:${second.id}`
      const { version } = (await plugin.store.read(key))!
      await plugin.store.replace(key, version, JSON.stringify(moved[field]), 60_000)
      const call = await plugin.call(logins[1].access_token)
      const refresh = await plugin.refresh(logins[1].refresh_token)
      t.equal(call.statusCode, field === 'refreshToken' ? 200 : 401)
      t.equal(refresh.statusCode, field === 'accessTokens' ? 200 : 400)
      t.notMatch(call.body, 'provider-access-1')
    })
  }

  t.test('a whole row under another key is absent', async (t) => {
    const plugin = await startPluginApp(t, { secrets })
    const { access_token } = await plugin.login()
    const row = plugin.store.written.at(-1)!
    const id = issueFirstHandle('state').selector
    await plugin.store.create(`grant:${id}`, row, 60_000)
    const secret = Buffer.from(access_token.slice(4), 'base64url').subarray(16)
    const forged = `pka_${Buffer.concat([Buffer.from(id, 'base64url'), secret]).toString('base64url')}`
    t.equal((await plugin.call(forged)).statusCode, 401)
    t.equal((await plugin.call(access_token)).statusCode, 200)
  })
})
