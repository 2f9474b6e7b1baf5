import t from 'tap'
import {
  AGENT,
  agentOptions,
  answerConsent,
  described,
  LOOPBACK,
  loginAgent,
  openConsent,
  register,
  startAgentApp,
} from '../../../support/agents.ts'
import { newPair, REDIRECT_URI } from '../../../support/plugin-app.ts'

/** Metadata of the provider aside, has it been asked anything? */
const codeOf = (location: unknown) => new URL(String(location)).searchParams.get('code')

t.test('an app by its description logs in, once a person has allowed it (N-03, N-06)', async (t) => {
  const plugin = await startAgentApp(t)
  const page = await openConsent(plugin, AGENT)
  t.equal(page.response.statusCode, 200, page.response.body)
  t.equal(
    page.words,
    'Allow access? The app at agent.example.com asks for access to api.example.com in your name. ' +
      'It will be able to: Read your orders ' +
      'The answer goes to an app on this computer (127.0.0.1). Any other app there could take its place. ' +
      'Did you start this yourself just now, in an app that you trust? If not, deny it. Allow Deny',
  )
  t.notMatch(page.response.body, plugin.provider.issuer, 'nothing leads to the provider')
  const tokens = await loginAgent(plugin, AGENT)
  t.equal(tokens.statusCode, 200, tokens.body)
  t.equal(tokens.json().scope, 'orders.read')
  t.equal((await plugin.call(tokens.json().access_token)).statusCode, 200)
  const refreshed = await plugin.refresh(tokens.json().refresh_token, { client_id: AGENT })
  t.equal(refreshed.statusCode, 200, refreshed.body)
})

t.test('an app that has registered itself logs in; its name is its own word (N-04, N-06)', async (t) => {
  const plugin = await startAgentApp(t)
  const { client_id } = (await register(plugin)).json()
  const page = await openConsent(plugin, client_id)
  t.match(
    page.words,
    'An app that calls itself Example Agent asks for access to api.example.com in your name. Nobody has verified that name.',
  )
  const tokens = await loginAgent(plugin, client_id)
  t.equal(tokens.statusCode, 200, tokens.body)
})

t.test('where the answer goes is told by its kind (N-06)', async (t) => {
  const uris = ['https://agent.example.com/cb', 'com.example.agent:/cb', 'http://[::1]/cb']
  const plugin = await startAgentApp(t, {}, async () => described({ redirect_uris: uris }))
  const words = await Promise.all(
    uris.map(async (redirect_uri) => (await openConsent(plugin, AGENT, { redirect_uri })).words),
  )
  t.match(words[0], 'The answer goes to agent.example.com. Did you start')
  t.match(words[1], 'The answer goes to whichever app on this device opens com.example.agent:.')
  t.match(words[2], 'The answer goes to an app on this computer ([::1]).')
})

t.test('markup, directions and look-alikes in a name do not reach the page (N-04, N-06)', async (t) => {
  const plugin = await startAgentApp(t)
  const shown = async (client_name: string) => {
    const { client_id } = (
      await register(plugin, { client_name, redirect_uris: ['http://127.0.0.1/callback'] })
    ).json()
    return openConsent(plugin, client_id)
  }
  const markup = await shown('<img src=x onerror=alert(1)>"&')
  t.match(markup.response.body, '<bdi>&lt;img src=x onerror=alert(1)&gt;&quot;&amp;</bdi>')
  t.notMatch(markup.response.body, '<img')
  t.match((await shown('Agent \u202etnega\u202c\u200b\u0007')).response.body, '<bdi>Agent tnega</bdi>')
  t.match(
    (await shown('G\u043eogle')).words,
    'An app without a name asks',
    'a Cyrillic letter in a Latin word',
  )
})

t.test('every login is asked for, and nothing is remembered (N-06, CVE-2026-27124)', async (t) => {
  const plugin = await startAgentApp(t)
  t.equal((await loginAgent(plugin, AGENT)).statusCode, 200)
  const first = await openConsent(plugin, AGENT)
  const begun = await answerConsent(plugin, first)
  t.equal(begun.statusCode, 303)
  const again = await openConsent(plugin, AGENT)
  t.equal(again.response.statusCode, 200, 'a page again, in a browser that has allowed it just now')
  t.not(again.fields.transaction, first.fields.transaction)
})

t.test(
  'a page that is opened changes nothing: not by GET, not by a prefetch, not in a frame (N-06)',
  async (t) => {
    const plugin = await startAgentApp(t)
    plugin.store.countCalls()
    const page = await openConsent(plugin, AGENT)
    t.equal(plugin.store.countCalls(), 0, 'nothing is kept of the question')
    t.match(String(page.response.headers['content-security-policy']), "frame-ancestors 'none'")
    t.notMatch(String(page.response.headers['content-security-policy']), 'script-src')
    for (const header of ['sec-purpose', 'purpose']) {
      const url = `/oauth2/authorize?client_id=${encodeURIComponent(AGENT)}`
      const refused = await plugin.app.inject({ url, headers: { [header]: 'prefetch' } })
      t.equal(refused.statusCode, 503, header)
      t.equal(refused.headers['set-cookie'], undefined)
      const posted = await answerConsent(plugin, page, 'allow', { [header]: 'prefetch' })
      t.equal(posted.statusCode, 503, header)
    }
    t.equal((await plugin.app.inject({ url: '/oauth2/consent' })).statusCode, 405, 'no answer by GET')
    t.equal((await answerConsent(plugin, page)).statusCode, 303, 'and the page is as good as before')
  },
)

t.test('only the browser that was shown the page can answer it (N-06, CWE-352)', async (t) => {
  const plugin = await startAgentApp(t)
  const page = await openConsent(plugin, AGENT)
  const other = await openConsent(plugin, AGENT)
  const refused = async (
    message: string,
    ...answer: Parameters<typeof answerConsent> extends [unknown, ...infer A] ? A : never
  ) => {
    const response = await answerConsent(plugin, ...answer)
    t.equal(response.statusCode, 400, message)
    t.equal(response.headers.location, undefined, message)
    t.match(response.body, 'start again there', message)
  }
  await refused('no cookie', { ...page, cookie: '' })
  await refused("another page's cookie", { ...page, cookie: other.cookie })
  const named = other.cookie.replace(other.fields.transaction!, page.fields.transaction!)
  await refused("another page's cookie under its name", { ...page, cookie: named })
  for (const site of ['cross-site', 'same-site', 'none']) {
    await refused(site, page, 'allow', { 'sec-fetch-site': site })
  }
  const swapped = { ...page.fields, client_id: (await register(plugin)).json().client_id as string }
  await refused('in the name of another app', { ...page, fields: swapped })
  await refused('a request of another page', {
    ...page,
    fields: { ...page.fields, request: other.fields.request! },
  })
  await refused('no answer', page, 'perhaps')
  plugin.store.advance(601)
  await refused('too late', page)
  t.same(
    plugin.events.map(({ event, reason }) => `${event} ${reason}`),
    [],
    'nobody can fill the audit trail with the answers of others',
  )
})

t.test('two clicks are one login, and a page that was used gives no second code (N-06)', async (t) => {
  const plugin = await startAgentApp(t)
  const page = await openConsent(plugin, AGENT)
  const [one, two] = await Promise.all([answerConsent(plugin, page), answerConsent(plugin, page)])
  t.equal(one.statusCode, 303)
  t.equal(one.headers.location, two.headers.location, 'both lead to the same login')
  const state = new URL(String(one.headers.location)).searchParams.get('state')
  const callback = () =>
    plugin.app.inject({
      url: `/oauth2/callback?state=${state}&code=provider-code`,
      headers: { cookie: page.cookie },
    })
  t.ok(codeOf((await callback()).headers.location))
  t.equal((await callback()).statusCode, 400)
  const later = await answerConsent(plugin, page)
  t.equal(later.statusCode, 400, 'after the callback, even with the cookie')
  t.equal(later.headers.location, undefined)
})

t.test('who denies sends the app access_denied, and the provider hears of nothing (N-06)', async (t) => {
  const plugin = await startAgentApp(t)
  const page = await openConsent(plugin, AGENT)
  const denied = await answerConsent(plugin, page, 'deny')
  t.equal(denied.statusCode, 303)
  const { origin, searchParams } = new URL(String(denied.headers.location))
  t.equal(origin, new URL(LOOPBACK).origin)
  t.same(
    ['error', 'state', 'iss'].map((name) => searchParams.get(name)),
    ['access_denied', 'app-state', 'https://api.example.com'],
  )
  t.match(denied.headers['set-cookie'], /Max-Age=0/, 'its cookie is gone, and with it the page')
  t.match(plugin.events, [{ event: 'authorize.refused', reason: 'consent_denied', clientId: AGENT }])
})

t.test('the answer is judged as a request of now (N-05, N-06)', async (t) => {
  let redirects = ['http://127.0.0.1/callback']
  const plugin = await startAgentApp(t, {}, async () => described({ redirect_uris: redirects }))
  const page = await openConsent(plugin, AGENT)
  redirects = ['https://elsewhere.example.com/cb']
  plugin.store.advance(301)
  const answer = await answerConsent(plugin, page)
  t.equal(answer.statusCode, 400)
  t.match(answer.body, 'The redirect URI is not registered')
})

t.test('scopes: those of agents.scopes, and no others (N-05)', async (t) => {
  const plugin = await startAgentApp(t)
  const asked = await openConsent(plugin, AGENT, { scope: 'orders.write' })
  t.equal(asked.response.statusCode, 200)
  t.equal(asked.response.headers.location, undefined, 'no link of ours leads to an address of anybody')
  t.match(asked.response.body, 'error=invalid_scope')
  t.match(asked.response.body, 'Return to <bdi>agent.example.com</bdi>')
  const identity = await openConsent(plugin, AGENT, { scope: 'openid offline_access' })
  t.match(identity.words, 'It will learn that you have signed in, and nothing else.')
  const same = await openConsent(plugin, AGENT, { scope: 'orders.read openid' })
  t.match(same.words, 'It will be able to: Read your orders')
})

t.test('a pushed request is asked for as well (A-25, N-06)', async (t) => {
  const plugin = await startAgentApp(t)
  const pushed = await plugin.post('par', {
    client_id: AGENT,
    redirect_uri: LOOPBACK,
    response_type: 'code',
    code_challenge: newPair().challenge,
    code_challenge_method: 'S256',
  })
  t.equal(pushed.statusCode, 201, pushed.body)
  const { request_uri } = pushed.json()
  const page = await openConsent(plugin, AGENT, { request_uri })
  t.equal((await answerConsent(plugin, page)).statusCode, 303)
  const foreign = await plugin.post('par', { client_id: AGENT, redirect_uri: REDIRECT_URI })
  t.equal(foreign.statusCode, 400)
  const unknown = await plugin.post('par', { client_id: `agent_${'A'.repeat(22)}`, redirect_uri: LOOPBACK })
  t.equal(unknown.statusCode, 401)
  t.equal(unknown.json().error, 'invalid_client')
})

t.test('with several providers the person chooses first, and is asked then (M-04, N-06)', async (t) => {
  const issuer = 'https://login.example.com'
  const explicit = {
    ...{ clientId: 'gateway', clientSecret: 'secret', scope: 'api' },
    ...{ authorizationEndpoint: `${issuer}/authorize`, tokenEndpoint: `${issuer}/token` },
  }
  const providers = { one: { ...explicit, issuer }, two: { ...explicit, issuer: `${issuer}/two` } }
  const plugin = await startAgentApp(t, { providers } as never)
  t.match((await openConsent(plugin, AGENT)).response.body, 'Continue with one')
  const page = await openConsent(plugin, AGENT, { identity_provider: 'two' })
  t.match(page.words, 'Allow access?')
  t.match((await answerConsent(plugin, page)).headers.location, 'state=pks_')
})

t.test(
  'nobody gets more than the person was shown, should the options have changed meanwhile (N-05, N-06)',
  async (t) => {
    const secrets = ['A'.repeat(43)]
    const before = await startAgentApp(t, { secrets })
    const page = await openConsent(before, AGENT)
    const agents = { ...agentOptions.agents, scopes: ['orders.read', 'orders.write'] }
    const { issuer } = before.provider
    const after = await startAgentApp(t, { secrets, agents, store: before.store, provider: { issuer } })
    t.equal((await answerConsent(after, page)).statusCode, 400)
    t.equal((await answerConsent(before, page)).statusCode, 303)
  },
)
