/** The examples as a user runs them: as printed, but for the addresses, in a process of their own. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** What an example names in its code. */
export interface Addresses {
  readonly publicUrl: string
  readonly issuer: string
  /** Where it listens. Default: the port of `publicUrl`. */
  readonly port?: number
}

/** The code with these addresses in the place of those of the printed one. @throws Error if it does not name them all. */
export function withAddresses(code: string, { publicUrl, issuer, port }: Addresses): string {
  const places = {
    'https://api.example.com': publicUrl,
    'https://login.example.com': issuer,
    'port: 3000': `port: ${port ?? new URL(publicUrl).port}`,
  }
  return Object.entries(places).reduce((text, [printed, real]) => {
    if (text.split(printed).length !== 2) throw new Error(`the example does not name ${printed} once`)
    return text.replace(printed, real)
  }, code)
}

/** Compiled, in the package that it imports by its name. */
export async function startExample(
  t: Test,
  name: string,
  addresses: Addresses,
  environment: Record<string, string>,
): Promise<ChildProcess> {
  if (!existsSync(`${root}build/examples/${name}.js`)) execFileSync('npm', ['run', 'build'], { cwd: root })
  const code = readFileSync(`${root}build/examples/${name}.js`, 'utf8')
  const { port = new URL(addresses.publicUrl).port } = addresses
  const file = `build/examples/${name}-${process.pid}-${port}.js`
  writeFileSync(root + file, withAddresses(code, addresses))
  t.teardown(() => rmSync(root + file))
  return startScript(t, root, file, environment)
}

/** Runs a script in a folder, without what tap adds to a process, until it says that it listens. */
export async function startScript(
  t: Test,
  cwd: string,
  file: string,
  environment: Record<string, string>,
): Promise<ChildProcess> {
  const script = spawn('/usr/bin/env', ['-u', 'NODE_OPTIONS', process.execPath, file], {
    cwd,
    env: { PATH: process.env.PATH, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.teardown(() => script.kill('SIGTERM'))
  let output = ''
  await new Promise<void>((resolve, reject) => {
    for (const stream of [script.stdout, script.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        output += chunk.toString()
        if (output.includes('Server listening')) resolve()
      })
    }
    script.on('exit', (code) => reject(new Error(`${file} ended with ${code}:\n${output}`)))
  })
  t.notMatch(output, 'Warning')
  return script
}
