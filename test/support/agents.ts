/** Apps that nobody registered: their descriptions, and the page on which a person answers for them. */
import type { LightMyRequestResponse } from 'fastify'
import fp from 'fastify-plugin'
import type { Test } from 'tap'
import type { FetchDocument } from '../../plugin/endpoints/clients/document-fetch.ts'
import type { PkceOptions, ProviderOptions } from '../../plugin/index.ts'
import { plugin } from '../../plugin/plugin.ts'
import { CHALLENGE, type PluginApp, type Surroundings, startPluginApp } from './plugin-app.ts'

export const AGENT = 'https://agent.example.com/oauth/client.json'
export const LOOPBACK = 'http://127.0.0.1:51234/callback'

/** What a server answers with that has a description; by default one that is as it should be. */
export const described = (members: Record<string, unknown> = {}, maxAgeSeconds?: number) => ({
  status: 200,
  contentType: 'application/json',
  text: JSON.stringify({
    client_id: AGENT,
    client_name: 'Example Agent',
    redirect_uris: ['http://127.0.0.1/callback', 'http://localhost/callback', 'https://agent.example.com/cb'],
    token_endpoint_auth_method: 'none',
    ...members,
  }),
  maxAgeSeconds,
})

export const agentOptions = {
  scopes: [
    { name: 'orders.read', description: 'Read your orders' },
    { name: 'orders.write', description: 'Change your orders' },
  ],
  agents: { metadataDocuments: true, registration: {}, scopes: ['orders.read'] },
} satisfies Partial<PkceOptions>

type Overrides = Omit<Partial<PkceOptions>, 'provider'> & { provider?: Partial<ProviderOptions> }

/** An app with the plugin that lets agents in. @param fetchDocument stands in for the network. */
export function startAgentApp(
  t: Pick<Test, 'teardown'>,
  overrides: Overrides = {},
  fetchDocument: FetchDocument = async () => described(),
  surroundings: Pick<Surroundings, 'provider'> = {},
): Promise<PluginApp> {
  const withFetch = fp((app, options: PkceOptions) => plugin(app, options, { fetchDocument }), {
    name: 'fastify-pkce',
  })
  return startPluginApp(t, { ...agentOptions, ...overrides }, { ...surroundings, plugin: withFetch })
}

/** Registers an app. @returns what it is told. */
export async function register(
  { app }: Pick<PluginApp, 'app'>,
  metadata: unknown = { client_name: 'Example Agent', redirect_uris: ['http://127.0.0.1/callback'] },
  headers: Record<string, string> = {},
): Promise<LightMyRequestResponse> {
  return app.inject({
    method: 'POST',
    url: '/oauth2/register',
    headers: { 'content-type': 'application/json', ...headers },
    payload: typeof metadata === 'string' ? metadata : JSON.stringify(metadata),
  })
}

/** The page of consent, as its browser has it. */
export interface ConsentPage {
  readonly response: LightMyRequestResponse
  /** Without its markup. */
  readonly words: string
  readonly fields: Record<string, string>
  readonly cookie: string
}

/** Opens an authorization request of an app that nobody registered. */
export async function openConsent(
  { app }: Pick<PluginApp, 'app'>,
  clientId: string,
  parameters: Record<string, string> = {},
): Promise<ConsentPage> {
  const query = new URLSearchParams({
    client_id: clientId,
    redirect_uri: LOOPBACK,
    response_type: 'code',
    code_challenge: CHALLENGE,
    code_challenge_method: 'S256',
    state: 'app-state',
    ...parameters,
  })
  const response = await app.inject({ url: `/oauth2/authorize?${query}`, headers: { accept: 'text/html' } })
  const cookies = [response.headers['set-cookie'] ?? []].flat().map((line) => line.split(';', 1)[0]!)
  const [, main = ''] = /<main>(.*)<\/main>/s.exec(response.body) ?? []
  const inputs = response.body.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)">/g)
  return {
    response,
    words: main
      .replace(/<\/?bdi>/g, '')
      .replace(/<[^>]*>/g, ' ')
      .replace(/\s+/g, ' ')
      .trim(),
    fields: Object.fromEntries([...inputs].map(([, name, value]) => [name!, value!])),
    cookie: cookies.filter((pair) => !pair.endsWith('=')).join('; '),
  }
}

/** Answers the page. @param headers over those of the browser that was shown it. */
export function answerConsent(
  { post }: Pick<PluginApp, 'post'>,
  { fields, cookie }: Pick<ConsentPage, 'fields' | 'cookie'>,
  answer = 'allow',
  headers: Record<string, string> = {},
): Promise<LightMyRequestResponse> {
  return post('consent', { ...fields, answer }, { cookie, accept: 'text/html', ...headers })
}

/** A whole login with consent. @returns the answer of the token endpoint. */
export async function loginAgent(
  plugin: PluginApp,
  clientId: string,
  parameters: Record<string, string> = {},
): Promise<LightMyRequestResponse> {
  const page = await openConsent(plugin, clientId, parameters)
  const sent = await answerConsent(plugin, page)
  const location = new URL(String(sent.headers.location))
  plugin.provider.nonce = location.searchParams.get('nonce')
  const returned = await plugin.app.inject({
    url: `/oauth2/callback?state=${location.searchParams.get('state')}&code=provider-code`,
    headers: { cookie: page.cookie },
  })
  const code = new URL(String(returned.headers.location)).searchParams.get('code')
  const redirect_uri = parameters.redirect_uri ?? LOOPBACK
  return plugin.redeem(code ?? '', { client_id: clientId, redirect_uri })
}
