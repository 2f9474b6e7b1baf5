import { randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { ClientMetadata, Configuration } from 'oidc-provider'
import { close, listen } from './listening.ts'

/** Who may use the provider, and how long its tokens live. */
export interface ProviderOptions {
  /** 0: any free port. */
  port: number
  clients: ClientMetadata[]
  /** Life of an access token. Default 3600. */
  accessTokenSeconds?: number
  /** Laid over the demo's own settings. */
  configuration?: Omit<Configuration, 'features'>
}

/** Sees a request before the provider does. True: it has answered, or wants no answer. */
export type RequestListener = (request: IncomingMessage, response: ServerResponse) => boolean | undefined

/** A running provider. */
export interface DemoProvider {
  readonly issuer: string
  readonly port: number
  /** Requests received, by path: `/token`, `/token/revocation`, `/me`, `/interaction/:uid`, … */
  readonly calls: ReadonlyMap<string, number>
  /** Adds a listener, to look at requests or to play an outage. Returns the function that removes it. */
  onRequest(listener: RequestListener): () => void
  close(): Promise<void>
}

/**
 * A real OpenID provider (oidc-provider) on loopback: any user name and password sign in, PKCE is required, a
 * refresh token comes with `offline_access` and `prompt=consent`. Everything is kept in memory.
 *
 * @throws Error with code `EADDRINUSE` when the port is taken.
 */
export async function startProvider(options: ProviderOptions): Promise<DemoProvider> {
  const calls = new Map<string, number>()
  const listeners = new Set<RequestListener>()
  const server = createServer()
  // The issuer names the port, so the port comes first.
  const port = await listen(server, options.port)
  const issuer = `http://127.0.0.1:${port}`
  const answer = await quietly(async () => {
    const { Provider } = await import('oidc-provider')
    return new Provider(issuer, providerConfiguration(options)).callback()
  })
  server.on('request', (request, response) => {
    const [path = ''] = (request.url ?? '').replace(/[\w-]{43}/, ':uid').split('?', 1)
    calls.set(path, (calls.get(path) ?? 0) + 1)
    for (const listener of listeners) if (listener(request, response)) return
    void answer(request, response)
  })
  return {
    issuer,
    port,
    calls,
    onRequest(listener) {
      listeners.add(listener)
      return () => {
        listeners.delete(listener)
      }
    },
    close: () => close(server),
  }
}

function providerConfiguration(options: ProviderOptions): Configuration {
  return {
    clients: options.clients,
    cookies: { keys: [randomBytes(32).toString('base64url')] },
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
    scopes: ['openid', 'offline_access', 'email', 'profile'],
    pkce: { required: () => true },
    async findAccount(_context, sub) {
      const claims = { sub, name: `Demo user ${sub}`, email: `${sub}@example.com`, email_verified: true }
      return { accountId: sub, claims: async () => claims }
    },
    async renderError(context, out) {
      context.type = 'text/plain'
      context.body = `The provider refused the request: ${out.error}\n`
    },
    ttl: {
      AccessToken: options.accessTokenSeconds ?? 3600,
      AuthorizationCode: 60,
      IdToken: 600,
      Interaction: 600,
      RefreshToken: 86_400,
      Grant: 86_400,
      Session: 86_400,
    },
    // Its own guard would not let it call the gateway on this machine.
    fetch: (url, { dispatcher: _, ...request } = {}) => fetch(url, request),
    ...options.configuration,
    features: {
      backchannelLogout: { enabled: true },
      devInteractions: { enabled: true },
      introspection: { enabled: true, allowedPolicy: ownToken },
      revocation: { enabled: true, allowedPolicy: ownToken },
    },
  }
}

/** A client may ask about, and revoke, what was issued to it. */
async function ownToken(
  _context: unknown,
  client: { clientId: string },
  token: { clientId?: string | undefined },
) {
  return token.clientId === client.clientId
}

/**
 * Runs `work` without oidc-provider's remarks that its sign-in pages, keys and memory are not for production:
 * they are right, and this is the demo they are meant for. Anything else that is said is passed on.
 */
async function quietly<T>(work: () => Promise<T>): Promise<T> {
  const { warn, info } = console
  const unlessRemark =
    (say: typeof warn) =>
    (...words: unknown[]) => {
      if (!String(words[0]).includes('oidc-provider ')) say(...words)
    }
  console.warn = unlessRemark(warn)
  console.info = unlessRemark(info)
  try {
    return await work()
  } finally {
    Object.assign(console, { warn, info })
  }
}
