import t from 'tap'
import { agentOptions, answerConsent, openConsent, register, startAgentApp } from '../../../support/agents.ts'
import { CHALLENGE, startPluginApp } from '../../../support/plugin-app.ts'

const SCHEME_URI = 'com.example.app:/cb'
const langOf = (body: string) => /<html lang="([^"]*)">/.exec(body)?.[1]
const clients = [
  { clientId: 'app', redirectUris: [SCHEME_URI] },
  { clientId: 'passing', redirectUris: [SCHEME_URI], passThrough: ['ui_locales'] },
]

t.test('ui_locales lasts until the page at the end (OIDC Core §3.1.2.1, A-14)', async (t) => {
  const plugin = await startPluginApp(t, { clients })
  for (const [ui_locales, lang, client_id] of [
    ['tlh de-CH fr', 'de', 'app'],
    ['ja', 'ja', 'passing'],
    ['tlh', 'en', 'app'],
  ] as const) {
    const begun = await plugin.authorize({ client_id, redirect_uri: SCHEME_URI, ui_locales })
    const there = new URL(begun.location).searchParams.get('ui_locales')
    t.equal(there, client_id === 'passing' ? ui_locales : null, 'the provider hears of it by the list alone')
    const page = await plugin.callback(begun)
    t.equal(page.statusCode, 200)
    t.equal(langOf(page.body), lang, ui_locales)
  }
})

t.test('ui_locales counts for refusals, and once (RFC 6749 §3.1)', async (t) => {
  const { app } = await startPluginApp(t, { clients })
  const get = (query: string, language?: string) =>
    app.inject({
      url: `/oauth2/authorize?${query}`,
      headers: { accept: 'text/html', ...(language && { 'accept-language': language }) },
    })
  t.equal(langOf((await get('client_id=nope&ui_locales=it')).body), 'it')
  t.equal(langOf((await get('client_id=nope&ui_locales=it', 'fr')).body), 'it')
  t.equal(langOf((await get('client_id=nope', 'xx, fr;q=0.5, es;q=0.6')).body), 'es')
  t.equal(langOf((await get('client_id=nope')).body), 'en')
  t.equal(langOf((await get('client_id=nope&ui_locales=%22%3E%3Cscript%3E')).body), 'en')
  const twice = await get(
    `client_id=app&redirect_uri=${encodeURIComponent(SCHEME_URI)}&ui_locales=it&ui_locales=fr`,
  )
  t.equal(twice.statusCode, 400)
  t.match(twice.body, 'parameter_repeated')
})

t.test('a pushed ui_locales counts as well (RFC 9126)', async (t) => {
  const plugin = await startPluginApp(t, { clients })
  const pushed = await plugin.post('par', {
    ...{ client_id: 'app', redirect_uri: SCHEME_URI, response_type: 'code', ui_locales: 'pt-BR' },
    ...{ code_challenge: CHALLENGE, code_challenge_method: 'S256' },
  })
  t.equal(pushed.statusCode, 201, pushed.body)
  const { request_uri } = pushed.json()
  const response = await plugin.app.inject(
    `/oauth2/authorize?${new URLSearchParams({ client_id: 'app', request_uri })}`,
  )
  const cookie = [response.headers['set-cookie'] ?? []].flat().map((line) => line.split(';', 1)[0]!)
  const state = new URL(String(response.headers.location)).searchParams.get('state')!
  const page = await plugin.app.inject({
    url: `/oauth2/callback?${new URLSearchParams({ state, code: 'c' })}`,
    headers: { cookie: cookie.join('; ') },
  })
  t.equal(langOf(page.body), 'pt')
})

t.test('consent is asked in it, and what follows keeps it (N-06)', async (t) => {
  const plugin = await startAgentApp(t, agentOptions)
  const redirect_uri = 'com.example.agent:/cb'
  const { client_id } = (
    await register(plugin, { client_name: 'Agent', redirect_uris: [redirect_uri] })
  ).json()
  const asked = await openConsent(plugin, client_id, { redirect_uri, ui_locales: 'zh-CN' })
  t.equal(langOf(asked.response.body), 'zh-Hans')
  const sent = await answerConsent(plugin, asked)
  t.equal(sent.statusCode, 303, sent.body)
  const state = new URL(String(sent.headers.location)).searchParams.get('state')!
  const page = await plugin.app.inject({
    url: `/oauth2/callback?${new URLSearchParams({ state, code: 'c' })}`,
    headers: { cookie: asked.cookie },
  })
  t.equal(langOf(page.body), 'zh-Hans')
  t.match(page.body, '<bdi>Agent</bdi>（未经验证）')
})
