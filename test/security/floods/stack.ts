/** A gateway in a process of its own, with TLS and HTTP/2, as it is exposed to the internet: its limits are the default ones. */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Agent, getGlobalDispatcher, setGlobalDispatcher } from 'undici'
import { demoConfiguration } from '../../../examples/demo/configuration.ts'
import { startEchoApi } from '../../../examples/demo/echo.ts'
import type { GatewayInput } from '../../../gateway/config/schemas/gateway.ts'
import { INSPECTED } from '../../soak/heap.ts'
import { selfSigned } from '../../support/certificate.ts'
import { compiledGateway } from '../../support/compiled-gateway.ts'
import { HOST } from '../../support/forwarder.ts'
import { freePort } from '../../support/gateway-stack.ts'
import { signInAtStub } from '../../support/instances.ts'
import { NativeApp } from '../../support/native-app.ts'
import { type Owner, startSharedStore } from '../../support/shared-store.ts'
import { startStubProvider } from '../../support/stub-provider.ts'
import { startTied } from '../../support/tied-process.ts'

export interface FloodStack {
  readonly port: number
  readonly pid: number
  /** PEM. */
  readonly ca: string
  readonly app: NativeApp
  /** Everything that the gateway wrote. */
  log(): string
}

/** @returns why there can be no store here. */
export async function startFloodStack(owner: Owner): Promise<FloodStack | string> {
  const store = await startSharedStore(owner, 'redis')
  if (typeof store === 'string') return store
  const [port, provider, api] = await Promise.all([freePort(), startStubProvider(), startEchoApi()])
  const folder = mkdtempSync(join(tmpdir(), 'pkce-floods-'))
  const { cert, key } = selfSigned(HOST)
  const files = { certFile: join(folder, 'cert.pem'), keyFile: join(folder, 'key.pem') }
  writeFileSync(files.certFile, cert)
  writeFileSync(files.keyFile, key, { mode: 0o600 })
  const publicUrl = `https://127.0.0.1:${port}`
  const demo = demoConfiguration({
    ...{ publicUrl, port, adminPort: 0 },
    ...{ providerIssuer: provider.issuer, apiOrigin: api.origin },
  })
  const config: GatewayInput = {
    ...demo,
    listen: { ...demo.listen, tls: files, http2: true },
    allowedHosts: [HOST],
    trustProxy: ['127.0.0.1'],
    store: store.settings,
    secrets: [randomBytes(32).toString('base64url')],
    // So that what an attack has begun is over before the end.
    lifetimes: { transactionSeconds: 60 },
  }
  const file = join(folder, 'gateway.yaml')
  writeFileSync(file, JSON.stringify(config))
  const lines: string[] = []
  const gateway = await startTied(
    [process.execPath, INSPECTED, await compiledGateway(), '--config', file],
    '"gateway ready"',
    {},
    { onLine: (line) => lines.push(line) },
  )
  const before = getGlobalDispatcher()
  const agent = new Agent({ connect: { ca: cert } })
  setGlobalDispatcher(agent)
  owner.teardown(async () => {
    setGlobalDispatcher(before)
    await agent.destroy()
    await gateway.end('SIGKILL')
    await Promise.all([provider.close(), api.close()])
    rmSync(folder, { recursive: true, force: true })
  })
  const signIn = signInAtStub(provider, publicUrl, { seconds: 3600 })
  return {
    port,
    pid: gateway.pid,
    ca: cert,
    app: new NativeApp({ publicUrl, signIn }),
    log: () => lines.join('\n'),
  }
}
