import { StoreError } from '../../plugin/index.ts'

/** The gateway could not start, for a reason that an operator can act on. */
export class StartError extends Error {
  override readonly name = 'StartError'
}

/** A store that cannot be used at start is somebody's mistake: it is told, and a supervisor tries again. */
export function explainedStoreError(error: unknown): unknown {
  return error instanceof StoreError ? new StartError(`store.url: ${error.message}`, { cause: error }) : error
}

const remedies: Record<string, (key: string) => string> = {
  EADDRINUSE: (key) => `another process uses the port; change ${key}.port or stop it`,
  EACCES: (key) => `this user may not open the port; change ${key}.port to one above 1023`,
  EADDRNOTAVAIL: (key) => `this machine has no such address; change ${key}.host`,
  ENOTFOUND: (key) => `the name is not known; change ${key}.host`,
}

/** Tells which of the two listeners failed, where, and what to do. */
export function explainedBy(key: 'listen' | 'admin', { host, port }: { host: string; port: number }) {
  return (error: unknown): never => {
    const { code = 'failed' } = error as NodeJS.ErrnoException
    const remedy = remedies[code]?.(key) ?? `cannot listen there; change ${key}.host or ${key}.port`
    throw new StartError(`listen ${code} ${host}:${port}: ${remedy}`, { cause: error })
  }
}
