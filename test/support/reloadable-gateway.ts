/** A gateway in this process whose configuration changes under it. */
import type { Test } from 'tap'
import { demoConfiguration } from '../../examples/demo/configuration.ts'
import { type EchoApi, startEchoApi } from '../../examples/demo/echo.ts'
import { gatewayConfig } from '../../gateway/config/load.ts'
import type { GatewayInput } from '../../gateway/config/schemas/gateway.ts'
import { type RunningGateway, startGateway } from '../../gateway/start.ts'
import type { OneProvider } from './gateway-config.ts'
import { freePort } from './gateway-stack.ts'
import { signInAtStub } from './instances.ts'
import { NativeApp } from './native-app.ts'
import { type StubProvider, startStubProvider } from './stub-provider.ts'

type Change = (config: OneProvider) => GatewayInput

export interface ReloadableGateway {
  readonly gateway: RunningGateway
  readonly app: NativeApp
  readonly publicUrl: string
  readonly stub: StubProvider
  readonly api: EchoApi
  log(): Record<string, unknown>[]
  /** Rewrites the configuration and reloads. */
  reload(change?: Change): ReturnType<RunningGateway['reload']>
}

export async function reloadableGateway(
  t: Test,
  change: Change = (config) => config,
): Promise<ReloadableGateway> {
  const [stub, api, port] = await Promise.all([startStubProvider(), startEchoApi(), freePort()])
  const publicUrl = `http://127.0.0.1:${port}`
  const demo = demoConfiguration({
    ...{ publicUrl, port, adminPort: 0 },
    ...{ providerIssuer: stub.issuer, apiOrigin: api.origin },
  })
  let input = change({ ...demo, rateLimit: false, log: { level: 'info' } })
  const lines: string[] = []
  const gateway = await startGateway(gatewayConfig(input), { write: (line) => lines.push(line) }, () => ({
    config: gatewayConfig(input),
    locate: (problems) => [...problems],
  }))
  t.teardown(async () => {
    await gateway.stop()
    await Promise.all([stub.close(), api.close()])
  })
  return {
    ...{ gateway, publicUrl, stub, api },
    app: new NativeApp({ publicUrl, signIn: signInAtStub(stub, publicUrl, { seconds: 3600 }) }),
    log: () => lines.map((line) => JSON.parse(line)),
    reload(next = (config) => config) {
      input = next(input as OneProvider)
      return gateway.reload()
    },
  }
}
