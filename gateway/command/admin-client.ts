import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import { type Call, CommandError, textOf, UsageError } from './definition.ts'

/** Longer than the gateway has to ask its store. */
const TIMEOUT_MS = 15_000
/** Where the listener is unless something is configured. */
const DEFAULT_URL = 'http://127.0.0.1:9090'
/** Nobody listens at the address, and the next may be the one. */
const NOT_THERE = ['ECONNREFUSED', 'EADDRNOTAVAIL', 'EAFNOSUPPORT', 'ENETUNREACH']
const RESPONSE_MAX = 16 * 1024 * 1024

/** A running gateway's admin listener. */
export interface Admin {
  /** E.g. `http://127.0.0.1:9090`; of several the first that can be reached is the one. */
  readonly urls: readonly string[]
  readonly token?: string
}

/** What it answered. */
export interface AdminAnswer {
  readonly status: number
  readonly body: string
}

/**
 * Finds the listener: `--admin`, or what the configuration says, or the default where there is none.
 *
 * @param needsToken false: its file is not read. @throws UsageError, ConfigError, CommandError
 */
export async function adminOf(call: Call, { needsToken }: { readonly needsToken: boolean }): Promise<Admin> {
  const given = textOf(call, 'admin')
  if (given !== undefined && !isUrl(given)) {
    throw new UsageError('--admin must be a URL such as http://127.0.0.1:9090, without a path')
  }
  const tokenFile = textOf(call, 'token-file')
  const settings =
    given === undefined || (needsToken && tokenFile === undefined) ? await settingsOf(call) : {}
  const urls = given === undefined ? urlsOf(settings) : [given]
  const file = needsToken ? (tokenFile ?? settings.tokenFile) : undefined
  return { urls, ...(file !== undefined && { token: await tokenIn(file) }) }
}

/** One request to the first URL that can be reached. @throws CommandError that says what to do. */
export async function askAdmin(
  { urls, token }: Admin,
  { method = 'GET', path, timeoutMs = TIMEOUT_MS }: { method?: string; path: string; timeoutMs?: number },
): Promise<AdminAnswer> {
  let problem = ''
  for (const url of urls) {
    try {
      return await send(new URL(path, url), { method, timeoutMs, ...(token !== undefined && { token }) })
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      problem = `${url}: ${code === 'ABORT_ERR' ? `nothing within ${timeoutMs / 1000} s` : (code ?? message)}`
      if (!NOT_THERE.includes(code ?? '')) break
    }
  }
  throw new CommandError(
    `no admin listener answers (${problem}): is the gateway running, and is it the one of --config, or --admin?`,
  )
}

function send(
  url: URL,
  { method, token, timeoutMs }: { method: string; token?: string; timeoutMs: number },
): Promise<AdminAnswer> {
  return new Promise((resolve, reject) => {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
    const signal = AbortSignal.timeout(timeoutMs)
    request(url, { method, headers, signal, agent: false }, (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (chunk) => {
        body += chunk
        if (body.length > RESPONSE_MAX) response.destroy(new Error('the answer is too long'))
      })
      response.on('error', reject)
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }))
    })
      .on('error', reject)
      .end()
  })
}

function isUrl(text: string): boolean {
  const url = URL.parse?.(text) ?? (URL.canParse(text) ? new URL(text) : null)
  return url?.protocol === 'http:' && url.pathname === '/' && url.search === '' && url.username === ''
}

interface Settings {
  readonly host?: string
  readonly port?: number
  readonly tokenFile?: string
}

async function settingsOf(call: Call): Promise<Settings> {
  const { environment } = call
  const isConfigured = Object.keys(environment).some((name) => name.startsWith('PKCE_GATEWAY_'))
  if (textOf(call, 'config') === undefined && !isConfigured) return {}
  const { CONFIG_VARIABLE } = await import('../config/environment.ts')
  const { loadAdminSettings } = await import('../config/load.ts')
  const file = textOf(call, 'config') ?? (environment[CONFIG_VARIABLE] || undefined)
  return loadAdminSettings({ file, environment })
}

/** Where a listener on `host` is reached from this machine. */
function urlsOf({ host, port }: Settings): readonly string[] {
  if (host === undefined || port === undefined) return [DEFAULT_URL]
  if (port === 0) throw new UsageError('admin.port is 0, so that nobody knows the port: give --admin URL')
  const hosts = host === '0.0.0.0' ? ['127.0.0.1'] : host === '::' ? ['::1', '127.0.0.1'] : [host]
  return hosts.map((one) => `http://${one.includes(':') ? `[${one}]` : one}:${port}`)
}

async function tokenIn(file: string): Promise<string> {
  const { plainSecret } = await import('../config/secrets.ts')
  try {
    return plainSecret(readFileSync(file, 'utf8'))
  } catch (error) {
    throw new CommandError(`${file} cannot be read: ${(error as NodeJS.ErrnoException).code}`)
  }
}
