import { readFileSync } from 'node:fs'
import type { Environment } from '../../config/environment.ts'
import type { LoadedConfig } from '../../config/load.ts'

/** What is looked at. */
export interface Subject {
  readonly loaded: LoadedConfig
  readonly environment: Environment
  /** As `process.version`. */
  readonly nodeVersion: string
  /** The clock, in milliseconds. */
  readonly now: () => number
  /** The text of /proc/self/limits; undefined where there is none. */
  readonly limits: () => string | undefined
}

/** This process, with a configuration. */
export function subjectHere(loaded: LoadedConfig, environment: Environment): Subject {
  return {
    ...{ loaded, environment, nodeVersion: process.version, now: Date.now },
    limits() {
      try {
        return readFileSync('/proc/self/limits', 'utf8')
      } catch {
        return undefined
      }
    },
  }
}
