import { readdirSync, readFileSync } from 'node:fs'

/** What a process holds of the machine. */
export interface Holdings {
  readonly residentBytes: number
  readonly descriptors: number
}

/** @throws Error when it is gone. */
export function holdingsOf(pid: number): Holdings {
  const [, kilobytes] = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  return {
    residentBytes: Number(kilobytes) * 1024,
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
  }
}
