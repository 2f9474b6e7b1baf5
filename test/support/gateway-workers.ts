/** The gateway's command with several workers, and the processes behind it. */
import type { Test } from 'tap'
import type { GatewayInput } from '../../gateway/config/schemas/gateway.ts'
import { compiledGateway } from './compiled-gateway.ts'
import { Command, type CommandOptions, configFile, values } from './gateway-command.ts'
import type { RedisServer } from './redis-server.ts'
import { until } from './wait.ts'

export const secrets = [Buffer.alloc(32, 7).toString('base64url')]

/** On this Redis, 2 workers unless told otherwise. */
export async function workerGateway(
  t: Test,
  redis: RedisServer,
  more: Partial<GatewayInput> = {},
  options: CommandOptions = {},
): Promise<Command> {
  const path = configFile(
    t,
    values({ workers: 2, secrets, store: { type: 'redis', url: redis.url }, ...more }),
  )
  return new Command(t, ['--config', path], { program: [await compiledGateway()], ...options })
}

/** Of those that have begun to listen, in that order, once there are so many: each process logs for itself. */
export async function workersOf(command: Command, count = 2): Promise<number[]> {
  const listening = () => command.log().filter(({ msg }) => String(msg).startsWith('Server listening'))
  const pids = () => [...new Set(listening().map(({ pid }) => Number(pid)))]
  await until(() => pids().length >= count)
  return pids()
}

/** For `node`: code that runs before the command, in every process of it. */
export function trap(code: string): string {
  return `--import=data:text/javascript,${encodeURIComponent(code)}`
}

export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
