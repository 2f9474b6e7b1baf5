import { createRequire } from 'node:module'

/** What is used of undici, by the provider client and by the gateway's forwarder. */
export type Undici = Pick<typeof import('undici'), 'Agent' | 'Client' | 'Pool' | 'buildConnector'>

/** Where undici 7 and 8 have them. */
const FILES: Readonly<Record<keyof Undici, string>> = {
  Agent: 'undici/lib/dispatcher/agent.js',
  Client: 'undici/lib/dispatcher/client.js',
  Pool: 'undici/lib/dispatcher/pool.js',
  buildConnector: 'undici/lib/core/connect.js',
}

/**
 * The four parts of undici without the rest (`fetch`, caches, mocks, interceptors), which was a tenth of the CPU time
 * of a start. Its files are no promise: where one is elsewhere, the package is loaded whole.
 *
 * @param load as `require`.
 */
export function undiciBy(load: (name: string) => unknown): Undici {
  try {
    const parts = Object.entries(FILES).map(([name, file]) => [name, load(file)] as const)
    if (parts.every(([name, part]) => isCalled(part, name))) return Object.fromEntries(parts) as Undici
  } catch {
    // Another undici: its main file is the one that says what is wrong, if anything is.
  }
  return load('undici') as Undici
}

function isCalled(part: unknown, name: string): boolean {
  return typeof part === 'function' && part.name === name
}

export const { Agent, Client, Pool, buildConnector }: Undici = undiciBy(createRequire(import.meta.url))
