/** An MCP server behind the gateway, and a client that knows its address and nothing else: both are the official SDK's. */
import { randomUUID } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { auth, type OAuthClientProvider } from '@modelcontextprotocol/sdk/client/auth.js'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import type {
  OAuthClientInformationMixed,
  OAuthClientMetadata,
  OAuthTokens,
} from '@modelcontextprotocol/sdk/shared/auth.js'
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js'
import type { Test } from 'tap'
import { type CookieJar, login } from '../../examples/demo/login.ts'

/** What an MCP server has seen. */
export interface McpApi {
  readonly origin: string
  /** `Authorization` of each request. */
  readonly authorizations: readonly string[]
  /** Methods, in their order. */
  readonly methods: readonly string[]
  /** Says something to every client whose stream is open. */
  say(text: string): Promise<void>
}

/** An MCP server with one tool, by Streamable HTTP with sessions. */
export async function startMcpApi(t: Pick<Test, 'teardown'>): Promise<McpApi> {
  const sessions = new Map<string, { transport: StreamableHTTPServerTransport; server: McpServer }>()
  const authorizations: string[] = []
  const methods: string[] = []
  const http: Server = createServer(async (request, response) => {
    authorizations.push(request.headers.authorization ?? '')
    methods.push(request.method ?? '')
    const known = sessions.get(String(request.headers['mcp-session-id']))
    if (known) return known.transport.handleRequest(request, response)
    const server = new McpServer({ name: 'orders', version: '1' }, { capabilities: { logging: {} } })
    server.registerTool('orders', { description: 'Lists your orders' }, async () => ({
      content: [{ type: 'text', text: 'three orders' }],
    }))
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (id) => void sessions.set(id, { transport, server }),
      onsessionclosed: (id) => void sessions.delete(id),
    })
    // The SDK's types and exactOptionalPropertyTypes do not agree.
    await server.connect(transport as Transport)
    return transport.handleRequest(request, response)
  })
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    http.closeAllConnections()
    http.close()
  })
  return {
    origin: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    authorizations,
    methods,
    async say(text) {
      for (const { server } of sessions.values()) {
        await server.server.sendLoggingMessage({ level: 'info', data: text })
      }
    },
  }
}

/** What an agent keeps: in memory, with a person who allows what is asked. */
export class AgentMemory implements OAuthClientProvider {
  readonly redirectUrl: string
  readonly clientMetadataUrl?: string
  readonly pages: string[] = []
  readonly jar: CookieJar = new Map()
  authorizationUrl: URL | undefined
  information: OAuthClientInformationMixed | undefined
  kept: OAuthTokens | undefined
  #verifier = ''
  #state = ''

  constructor(redirectUrl: string, clientMetadataUrl?: string) {
    this.redirectUrl = redirectUrl
    if (clientMetadataUrl !== undefined) this.clientMetadataUrl = clientMetadataUrl
  }

  get clientMetadata(): OAuthClientMetadata {
    return { client_name: 'Example Agent', redirect_uris: [this.redirectUrl] }
  }
  state(): string {
    this.#state = randomUUID()
    return this.#state
  }
  clientInformation() {
    return this.information
  }
  saveClientInformation(information: OAuthClientInformationMixed) {
    this.information = information
  }
  tokens() {
    return this.kept
  }
  saveTokens(tokens: OAuthTokens) {
    this.kept = tokens
  }
  redirectToAuthorization(url: URL) {
    this.authorizationUrl = url
  }
  saveCodeVerifier(verifier: string) {
    this.#verifier = verifier
  }
  codeVerifier() {
    return this.#verifier
  }

  /** The person's part: opens the browser, allows, signs in. @returns the code that the agent's loopback server gets. */
  async signIn(): Promise<string> {
    const { redirectTo } = await login(String(this.authorizationUrl), {
      username: 'alice',
      password: 'password',
      cookieJar: this.jar,
    })
    const { searchParams } = new URL(redirectTo)
    if (searchParams.get('state') !== this.#state) throw new Error(`another state: ${redirectTo}`)
    const code = searchParams.get('code')
    if (code === null) throw new Error(`no code: ${redirectTo}`)
    return code
  }
}

/** An agent that is given the address of an MCP server. */
export class Agent {
  readonly memory: AgentMemory
  readonly client = new Client({ name: 'agent', version: '1' })
  readonly heard: string[] = []
  readonly #url: URL
  #transport: StreamableHTTPClientTransport
  #hear: () => void = () => {}

  constructor(url: string, memory: AgentMemory) {
    this.#url = new URL(url)
    this.memory = memory
    this.#transport = this.#connection()
    this.client.fallbackNotificationHandler = async ({ params }) => {
      this.heard.push(String((params as { data?: unknown }).data))
      this.#hear()
    }
  }

  #connection(): StreamableHTTPClientTransport {
    return new StreamableHTTPClientTransport(this.#url, { authProvider: this.memory })
  }

  /** Connects as an agent does: it is refused, finds out where to log in, does so, and comes back. */
  async connect(): Promise<void> {
    const refused = await this.client.connect(this.#transport as Transport).then(
      () => undefined,
      (error: Error) => error,
    )
    if (refused === undefined) throw new Error('it was let in without a login')
    if (refused.constructor.name !== 'UnauthorizedError') throw refused
    await this.#transport.finishAuth(await this.memory.signIn())
    this.#transport = this.#connection()
    await this.client.connect(this.#transport as Transport)
  }

  /** Renews its tokens, as it does when one is refused. */
  async refresh(): Promise<string> {
    return auth(this.memory, { serverUrl: this.#url })
  }

  /** Waits for the next message of the server. */
  async hears(): Promise<string> {
    if (this.heard.length === 0) await new Promise<void>((resolve) => (this.#hear = resolve))
    return this.heard.shift()!
  }

  async end(): Promise<void> {
    await this.#transport.terminateSession()
    await this.client.close()
  }
}
