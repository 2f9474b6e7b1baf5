import { execFile, execFileSync } from 'node:child_process'
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'

/** Disks keep files in blocks. */
const BLOCK_BYTES = 4096

/**
 * A program in a folder, without the hooks by which tap follows every process that a test starts.
 *
 * @throws Error with what it printed, if it ends with another status than 0.
 */
export async function run(folder: string, program: string, ...args: readonly string[]): Promise<string> {
  const clean = ['-u', 'NODE_OPTIONS', program, ...args]
  const options = { cwd: folder, maxBuffer: 1e8 }
  const { stdout } = await promisify(execFile)('/usr/bin/env', clean, options).catch((error) => {
    throw new Error(`${program} ${args.join(' ')}:\n${error.stdout}${error.stderr}`)
  })
  return stdout
}

/** What npm says of a tarball. */
export interface Packed {
  /** Of the tarball. */
  readonly file: string
  /** In it. */
  readonly files: readonly { readonly path: string }[]
}

/** Packs a clean clone: all that git knows of or would take, nothing that is built. Only the tools are borrowed. */
export async function packClone(folder: string): Promise<Packed> {
  const clone = join(folder, 'clone')
  mkdirSync(clone)
  const list = ['ls-files', '--cached', '--others', '--exclude-standard', '-z', '--deduplicate']
  const files = execFileSync('git', list, { encoding: 'utf8' }).split('\0').filter(exists)
  const archive = execFileSync('tar', ['cf', '-', '--null', '-T', '-'], {
    input: files.join('\0'),
    maxBuffer: 1e9,
  })
  execFileSync('tar', ['xf', '-', '-C', clone], { input: archive })
  symlinkSync(resolve('node_modules'), join(clone, 'node_modules'))
  // The scripts print before it.
  const printed = await run(clone, 'npm', 'pack', '--json', '--pack-destination', folder)
  const [packed] = JSON.parse(printed.slice(printed.search(/^\[$/m))) as [
    { filename: string; files: { path: string }[] },
  ]
  return { file: join(folder, packed.filename), files: packed.files }
}

/** An empty folder, removed at the end of the process. */
export function emptyFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'packed-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** A project of somebody else's. */
export function makeProject(folder: string): string {
  mkdirSync(folder)
  writeFileSync(join(folder, 'package.json'), '{ "name": "team", "private": true, "type": "module" }\n')
  return folder
}

/** As from the registry, out of npm's cache where it has them. */
export async function install(project: string, ...packages: readonly string[]): Promise<void> {
  await run(project, 'npm', 'install', '--prefer-offline', '--no-audit', '--no-fund', ...packages)
}

/** One of this project's own packages, as if it were installed there. */
export function lend(project: string, ...names: readonly string[]): void {
  for (const name of names) {
    const place = join(project, 'node_modules', name)
    mkdirSync(dirname(place), { recursive: true })
    symlinkSync(resolve('node_modules', name), place)
  }
}

/** Packages and bytes, in whole blocks, below `node_modules`. */
export async function weigh(project: string): Promise<{ packages: number; bytes: number }> {
  const list = await run(project, 'npm', 'ls', '--all', '--parseable')
  const entries = readdirSync(join(project, 'node_modules'), { recursive: true, withFileTypes: true })
  const bytes = entries
    .map((entry) => lstatSync(join(entry.parentPath, entry.name)).size)
    .reduce((sum, size) => sum + Math.ceil(size / BLOCK_BYTES) * BLOCK_BYTES, 0)
  // The first is the project.
  return { packages: list.trim().split('\n').length - 1, bytes }
}

function exists(file: string): boolean {
  return file !== '' && lstatSync(file, { throwIfNoEntry: false }) !== undefined
}
