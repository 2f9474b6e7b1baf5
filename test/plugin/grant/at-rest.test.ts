import t, { type Test } from 'tap'
import { issueFirstHandle, parseHandle } from '../../../plugin/secrets/handles.ts'
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
