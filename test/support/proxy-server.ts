/** Real reverse proxies, with the very samples of docs/forward-auth.md. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { freePort } from './gateway-stack.ts'
import { startTied } from './tied-process.ts'

/** Where a sample is to listen, and what stands behind it: ports of 127.0.0.1. */
export interface ProxyPorts {
  readonly proxy: number
  readonly gateway: number
  readonly orders: number
}

type Start = (t: Test, ports: ProxyPorts) => Promise<void>

/** By the language of their code blocks. */
export const proxies: Readonly<
  Record<'nginx' | 'caddyfile', { readonly missing: string | false; start: Start }>
> = {
  nginx: { missing: missing('nginx', '-v'), start: startNginx },
  caddyfile: { missing: missing('caddy', 'version'), start: startCaddy },
}

export { freePort }

/** Why the tests of it must be skipped, or false. */
function missing(command: string, flag: string): string | false {
  return spawnSync(command, [flag]).status === 0 ? false : `SKIPPED: ${command} is not on PATH`
}

async function startNginx(t: Test, ports: ProxyPorts): Promise<void> {
  const folder = folderOf(t)
  const server = sample('nginx', ports)
    .replace('listen 443 ssl;', `listen 127.0.0.1:${ports.proxy};`)
    .replace(/ +ssl_certificate(?:_key)? .*\n/g, '')
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((kind) => `${kind}_temp_path ${folder}/${kind};`)
    .join('\n')
  const file = join(folder, 'nginx.conf')
  writeFileSync(
    file,
    `daemon off; pid ${folder}/pid; error_log stderr notice; worker_processes 1;\n` +
      `events {}\nhttp {\naccess_log off;\n${temporary}\n${server}\n}\n`,
  )
  const child = await startTied(['nginx', '-p', folder, '-c', file], 'start worker process ', {})
  t.teardown(() => child.end('SIGTERM'))
}

async function startCaddy(t: Test, ports: ProxyPorts): Promise<void> {
  const folder = folderOf(t)
  const site = sample('caddyfile', ports).replace(
    'api.example.com {',
    `http://127.0.0.1:${ports.proxy} {\n\tbind 127.0.0.1`,
  )
  const file = join(folder, 'Caddyfile')
  writeFileSync(file, `{\n\tadmin off\n\tauto_https off\n}\n${site}`)
  mkdirSync(join(folder, 'data'))
  const environment = [
    'env',
    `HOME=${folder}`,
    `XDG_DATA_HOME=${folder}/data`,
    `XDG_CONFIG_HOME=${folder}/data`,
  ]
  const command = [...environment, 'caddy', 'run', '--config', file, '--adapter', 'caddyfile']
  const child = await startTied(command, 'serving initial configuration', {})
  t.teardown(() => child.end('SIGTERM'))
}

function folderOf(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'pkce-proxy-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** The sample with the ports of the test. */
function sample(language: string, { gateway, orders }: ProxyPorts): string {
  const page = readFileSync('docs/forward-auth.md', 'utf8')
  const [, code] = new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, 's').exec(page) ?? []
  if (code === undefined) throw new Error(`docs/forward-auth.md has no sample in ${language}`)
  return code
    .replaceAll('127.0.0.1:3000', `127.0.0.1:${gateway}`)
    .replaceAll('127.0.0.1:8080', `127.0.0.1:${orders}`)
}
