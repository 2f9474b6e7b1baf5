import t from 'tap'
import type { FetchDocument } from '../../../../plugin/endpoints/clients/document-fetch.ts'
import { Documents } from '../../../../plugin/endpoints/clients/documents.ts'
import { documentUrl } from '../../../../plugin/oauth/client.ts'
import { OAuthError, ProviderError } from '../../../../plugin/oauth/errors.ts'
import { AGENT, described, loginAgent, openConsent, startAgentApp } from '../../../support/agents.ts'
import { recordingLog } from '../../../support/provider-setup.ts'

/** Descriptions behind a network that a test plays, and a clock that it turns. */
function documentsOf(fetch: FetchDocument) {
  let now = 0
  const asked: string[] = []
  const { log, lines } = recordingLog()
  const documents = new Documents(
    async (url) => {
      asked.push(url.href)
      return fetch(url)
    },
    () => now,
    log,
  )
  const outcome = (clientId = AGENT) =>
    documents.read(clientId).then(
      (metadata) => metadata.redirectUris.length,
      (error: unknown) => (error instanceof OAuthError ? error.reason : error),
    )
  const advance = (seconds: number) => {
    now += seconds * 1000
  }
  return { documents, outcome, asked, lines, advance }
}

t.test(
  'which addresses a description may be at (N-03, draft-ietf-oauth-client-id-metadata-document §3)',
  async (t) => {
    for (const good of [
      AGENT,
      'https://agent.example.com/a',
      'https://agent.example.com:8443/a?b=c',
      'https://xn--gent-43d.example.com/a',
    ]) {
      t.equal(documentUrl(good)?.href, good)
    }
    for (const bad of [
      'http://agent.example.com/a',
      'https://agent.example.com',
      'https://agent.example.com/',
      'https://agent.example.com/a#b',
      'https://agent.example.com/a#',
      'https://user@agent.example.com/a',
      'https://user:secret@agent.example.com/a',
      'https://agent.example.com/a/../b',
      'https://agent.example.com/a/./b',
      'https://agent.example.com/a/%2e%2e/b',
      'https://agent.example.com/..\\b',
      'https://Agent.example.com/a',
      'https://\u0430gent.example.com/a',
      'https://agent.example.com:443/a',
      'https://2130706433/a',
      'https://0x7f.1/a',
      'https:/agent.example.com/a',
      'https://agent.example.com/a\tb',
      `https://agent.example.com/${'a'.repeat(256)}`,
    ]) {
      t.equal(documentUrl(bad), null, bad)
    }
  },
)

t.test('what a description must be (N-03, A-06)', async (t) => {
  const cases: [string, Partial<ReturnType<typeof described>>, string | number][] = [
    ['as it should be', described(), 3],
    ['with a type of its own', { contentType: 'application/client+json; charset=utf-8' }, 3],
    ['without a method', described({ token_endpoint_auth_method: undefined }), 3],
    ['with what nobody reads', described({ logo_uri: 'http://169.254.169.254/', jwks: 1 }), 3],
    ['not there', { status: 404 }, 'client_document_unavailable'],
    ['elsewhere', { status: 302 }, 'client_document_unavailable'],
    ['a page', { contentType: 'text/html' }, 'client_document_invalid'],
    ['a list', { text: '[]' }, 'client_document_invalid'],
    ['no JSON', { text: '{' }, 'client_document_invalid'],
    ['of another app', described({ client_id: `${AGENT}?` }), 'client_document_invalid'],
    ['with a secret', described({ client_secret: 's' }), 'client_document_invalid'],
    ['with a name that is no text', described({ client_name: {} }), 'client_document_invalid'],
    ['with keys', described({ token_endpoint_auth_method: 'private_key_jwt' }), 'client_document_method'],
    ['for another grant', described({ grant_types: ['client_credentials'] }), 'client_document_method'],
    ['for another response', described({ response_types: ['token'] }), 'client_document_method'],
    ['without redirect URIs', described({ redirect_uris: undefined }), 'client_document_redirect_uri'],
    ['with none', described({ redirect_uris: [] }), 'client_document_redirect_uri'],
    ['with one that is no text', described({ redirect_uris: [1] }), 'client_document_redirect_uri'],
    [
      'with many',
      described({ redirect_uris: Array(11).fill('https://a.ex/cb') }),
      'client_document_redirect_uri',
    ],
    ['a script', described({ redirect_uris: ['javascript:alert(1)'] }), 'client_document_redirect_uri'],
    ['data', described({ redirect_uris: ['data:text/html,x'] }), 'client_document_redirect_uri'],
    ['http', described({ redirect_uris: ['http://agent.example.com/cb'] }), 'client_document_redirect_uri'],
    [
      'one bad of two',
      described({ redirect_uris: ['https://a.ex/cb', 'x:/'] }),
      'client_document_redirect_uri',
    ],
  ]
  for (const [what, changes, expected] of cases) {
    const { outcome } = documentsOf(async () => ({ ...described(), ...changes }))
    t.equal(await outcome(), expected, what)
  }
})

t.test('a description is kept by its header: a minute at least, a day at most (N-03)', async (t) => {
  for (const [maxAge, seconds] of [
    [0, 60],
    [undefined, 300],
    [1000, 1000],
    [1_000_000, 86_400],
  ] as const) {
    const { outcome, asked, advance } = documentsOf(async () => described({}, maxAge))
    await outcome()
    advance(seconds - 1)
    await outcome()
    t.equal(asked.length, 1, `${maxAge}: fresh`)
    advance(1)
    await outcome()
    t.equal(asked.length, 2, `${maxAge}: stale`)
  }
})

t.test('what cannot be used is not asked for again within a minute (N-03)', async (t) => {
  for (const answer of [
    async () => ({ ...described(), status: 302 }),
    async () => described({ client_id: 'https://evil.example.com/a' }),
    async () => {
      throw new ProviderError('provider_unavailable', 'client_document', {
        cause: new Error('ADDRESS_REFUSED'),
      })
    },
  ]) {
    const { outcome, asked, advance, lines } = documentsOf(answer)
    const first = await outcome()
    advance(59)
    t.equal(await outcome(), first)
    t.equal(asked.length, 1)
    t.match(lines[0], { fields: { host: 'agent.example.com' } }, 'the log says why')
    advance(1)
    await outcome()
    t.equal(asked.length, 2)
  }
})

t.test('who asks for what is being fetched waits for it; many at a time are refused (N-03)', async (t) => {
  let release = () => {}
  const held = new Promise<void>((resolve) => {
    release = resolve
  })
  const { outcome, asked } = documentsOf(async () => {
    await held
    return described()
  })
  const both = [outcome(), outcome()]
  const ofHost = Array.from({ length: 4 }, (_, n) => outcome(`https://agent.example.com/${n}`))
  t.equal(await ofHost[3], 'client_document_busy', 'the fifth of one host')
  const others = Array.from({ length: 29 }, (_, n) => outcome(`https://${n}.example.com/a`))
  t.equal(await others[28], 'client_document_busy', 'the thirty-third of all')
  release()
  t.same(await Promise.all(both), [3, 3])
  await Promise.all([...ofHost, ...others])
  t.equal(asked.filter((href) => href === AGENT).length, 1, 'one fetch for both')
})

t.test('the memory of descriptions is bounded (N-03, CWE-770)', async (t) => {
  const { outcome, asked } = documentsOf(async (url) => described({ client_id: url.href }))
  await outcome()
  for (let n = 0; n < 1000; n++) await outcome(`https://${n}.example.com/a`)
  t.equal(asked.length, 1001)
  await outcome('https://999.example.com/a')
  t.equal(asked.length, 1001, 'the last is there')
  await outcome()
  t.equal(asked.length, 1002, 'the first has made room')
})

t.test('a description that goes away ends no session; the operator does (N-03)', async (t) => {
  let isThere = true
  const plugin = await startAgentApp(t, {}, async () =>
    isThere ? described() : { ...described(), status: 404 },
  )
  const { access_token, refresh_token } = (await loginAgent(plugin, AGENT)).json()
  isThere = false
  plugin.store.advance(301)
  const page = await openConsent(plugin, AGENT)
  t.equal(page.response.statusCode, 400)
  t.equal(page.response.headers.location, undefined, 'no redirect')
  t.match(page.words, 'description could not be fetched from its client_id address')
  t.equal((await plugin.call(access_token)).statusCode, 200)
  t.equal((await plugin.refresh(refresh_token, { client_id: AGENT })).statusCode, 200)
})

t.test('hosts that are not in agents.allowedHosts are not asked (N-03)', async (t) => {
  let asked = 0
  const fetch = async () => {
    asked += 1
    return described()
  }
  const agents = { metadataDocuments: true, allowedHosts: ['other.example.com'] }
  const plugin = await startAgentApp(t, { agents }, fetch)
  const page = await openConsent(plugin, AGENT)
  t.equal(page.response.statusCode, 400)
  t.match(page.words, 'no address at which the description of an app may be')
  t.equal(asked, 0)
  const token = await plugin.redeem('pkc_x', { client_id: AGENT })
  t.equal(token.json().error, 'invalid_client', 'nor known anywhere else')
})
