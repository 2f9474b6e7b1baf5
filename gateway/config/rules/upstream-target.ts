import { refuseTarget } from '../../http/request-target.ts'
import { MAX_SOCKET_PATH_BYTES, type TargetAddress, targetAddress } from '../../http/target-address.ts'
import type { Upstream } from '../schemas/config.ts'
import { isHost } from './listener.ts'

/** Takes what is wrong with an upstream, at a path below it. */
export type Report = (problem: string, ...path: (string | number)[]) => void

/** What is wrong with where an upstream is, and with what it is called (requirements H-08, H-10, H-13). */
export function checkTargets({ target, host }: Pick<Upstream, 'target' | 'host'>, report: Report): void {
  if (!isHost(host)) report('must be upstream, public, a host or host:port', 'host')
  if (typeof target === 'string') {
    checkTarget(target, report)
    return
  }
  const addresses = target.map((one, index) =>
    checkTarget(one, (problem, ...path) => report(problem, ...path, index)),
  )
  const seen = new Set<string>()
  for (const [index, address] of addresses.entries()) {
    if (address === undefined) continue
    const server = address.socketPath ?? address.origin
    if (seen.has(server)) report('is there twice', 'target', index)
    seen.add(server)
    if (addresses[0] !== undefined && addresses[0].base !== address.base) {
      report('must have the same path as the first one', 'target', index)
    }
  }
}

/** @returns undefined for what cannot be read. */
function checkTarget(target: string, report: Report): TargetAddress | undefined {
  const address = targetAddress(target)
  if (address === undefined) {
    const form = target.startsWith('unix:')
      ? `must be unix: and the absolute name of a socket, at most ${MAX_SOCKET_PATH_BYTES} bytes without : ? #, then perhaps : and a path`
      : 'must be an http or https URL without credentials, query and fragment, or unix: and the name of a socket'
    report(form, 'target')
    return undefined
  }
  const { base } = address
  if (base !== '' && (refuseTarget(base) !== null || new URL(`http://h${base}`).pathname !== base)) {
    report('must have a path in its plain form: no dot segments, //, ; or needless escapes', 'target')
  } else if (base !== '' && target.endsWith('/')) {
    report('must not end with a slash: the rest of the path is put behind it and begins with one', 'target')
  }
  return address
}
