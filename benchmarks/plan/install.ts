import { spawnSync } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { benchmarksFolder } from './project.ts'

/**
 * Installs the packages that we compare with, from their own lock file, unless that has been done.
 *
 * @returns why they are not there, or undefined.
 */
export function installPackages(say: (text: string) => void): string | undefined {
  if (isInstalled()) return undefined
  say('installing the packages of benchmarks/package.json (npm ci)')
  const { status, stderr } = spawnSync('npm', ['ci', '--ignore-scripts'], {
    cwd: benchmarksFolder,
    encoding: 'utf8',
  })
  // The first line tells why; the last one names a file of this machine.
  const why = /^npm (?:error|ERR!) (.*)$/m.exec(stderr ?? '')?.[1] ?? 'npm cannot be run'
  return status === 0 ? undefined : `npm ci failed in benchmarks/: ${why}`
}

/** npm writes this file last. */
function isInstalled(): boolean {
  const written = join(benchmarksFolder, 'node_modules', '.package-lock.json')
  const wanted = join(benchmarksFolder, 'package-lock.json')
  return existsSync(written) && statSync(written).mtimeMs >= statSync(wanted).mtimeMs
}
