import { gatewayConfig } from '../../gateway/config/load.ts'
import { logLines } from '../../gateway/operations/log/log.ts'
import { startGateway } from '../../gateway/start.ts'
import { demoConfiguration, gatewayAtProvider } from './configuration.ts'
import { startEchoApi } from './echo.ts'
import { guide } from './guide.ts'
import { dressProvider } from './page/provider-look.ts'
import { startPage } from './page/server.ts'
import { type LogLine, Witness } from './page/witness.ts'
import { startProvider } from './provider.ts'

/**
 * `npm start`: a provider, an API and the gateway between them, on loopback and in one process, without a file
 * to write. Each port can be moved by its environment variable. Exit status 1: it could not start.
 */
const variables = {
  gateway: ['DEMO_GATEWAY_PORT', 3000],
  admin: ['DEMO_ADMIN_PORT', 9090],
  provider: ['DEMO_PROVIDER_PORT', 4000],
  api: ['DEMO_API_PORT', 5000],
} as const

/** pino's number. What is below is for the page alone. */
const WARN = 40

/** What has been opened, to be closed in reverse. */
const opened: { close(): Promise<unknown> }[] = []

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void stop())
try {
  await start()
} catch (error) {
  process.stderr.write(`demo: ${explain(error)}\n`)
  process.exitCode = 1
  await stop()
}

async function start(): Promise<void> {
  const ports = {
    gateway: portOf('gateway'),
    admin: portOf('admin'),
    provider: portOf('provider'),
    api: portOf('api'),
  }
  const publicUrl = `http://127.0.0.1:${ports.gateway}`
  const provider = await startProvider({ port: ports.provider, clients: [gatewayAtProvider(publicUrl)] })
  opened.push(provider)
  const api = await startEchoApi({ port: ports.api })
  opened.push(api)
  dressProvider(provider)
  const witness = new Witness()
  witness.watchProvider(provider, `${publicUrl}/oauth2/callback`)
  witness.watchApi(api)
  const page = await startPage({ witness, api, publicUrl, providerIssuer: provider.issuer })
  opened.push(page)
  const configuration = demoConfiguration({
    publicUrl,
    port: ports.gateway,
    adminPort: ports.admin,
    providerIssuer: provider.issuer,
    apiOrigin: api.origin,
    pageOrigin: page.origin,
  })
  const terminal = logLines(process.stdout)
  const gateway = await startGateway(gatewayConfig(configuration), {
    write(line) {
      const told = JSON.parse(line) as LogLine
      witness.readLogLine(told)
      if (told.level >= WARN) terminal.write(line)
    },
  })
  opened.push({ close: () => gateway.stop() }, { close: async () => page.endStreams() })
  process.stdout.write(
    guide({
      publicUrl,
      providerIssuer: provider.issuer,
      apiOrigin: api.origin,
      adminUrl: gateway.adminAddress,
    }),
  )
}

function portOf(part: keyof typeof variables): number {
  const [variable, standard] = variables[part]
  const port = Number(process.env[variable] ?? standard)
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new Error(`${variable} must be a port number, 1 to 65535`)
  }
  return port
}

async function stop(): Promise<void> {
  for (const part of opened.splice(0).reverse()) await part.close()
}

/** One line for a person. */
function explain(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const { code, port } = cause as NodeJS.ErrnoException & { port?: number }
    if (code === 'EADDRINUSE') return `port ${port} is in use; move it with ${variableOf(port)}`
  }
  return message
}

function variableOf(port: number | undefined): string {
  const parts = Object.keys(variables) as (keyof typeof variables)[]
  return parts.flatMap((part) => (portOf(part) === port ? variables[part][0] : [])).join(' or ')
}
