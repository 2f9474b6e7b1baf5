/**
 * The package as others get it: packed from a clean clone, installed in an empty folder, and used by its names. In a
 * fresh clone `npm pack` made five files without code, and nobody had noticed.
 */
import { spawn } from 'node:child_process'
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t, { type Test } from 'tap'
import { gatewayAtProvider } from '../../../examples/demo/configuration.ts'
import { login } from '../../../examples/demo/login.ts'
import { startProvider } from '../../../examples/demo/provider.ts'
import { type Addresses, startScript, withAddresses } from '../../support/example.ts'
import { freePort } from '../../support/gateway-stack.ts'
import { NativeApp } from '../../support/native-app.ts'
import { emptyFolder, install, lend, makeProject, packClone, run, weigh } from '../../support/packed.ts'

/** Beside Fastify's own. It was 22 packages and 21.7 MB. */
const EXTRA_PACKAGES_MAX = 11
const EXTRA_BYTES_MAX = 10_000_000
const INSTANTIATIONS_MAX = 3
const CLIENT_SECRET = 'backend-secret'

const { devDependencies } = JSON.parse(readFileSync('package.json', 'utf8')) as {
  devDependencies: Record<string, string>
}
const folder = emptyFolder()
const { file, files } = await packClone(folder)
const project = makeProject(join(folder, 'project'))
await install(project, `fastify@${devDependencies.fastify}`)
const fastifyAlone = await weigh(project)
await install(project, file)
const both = await weigh(project)
const installed = (path: string) => join(project, 'node_modules/fastify-pkce', path)
const manifest = JSON.parse(readFileSync(installed('package.json'), 'utf8')) as {
  version: string
  exports: Record<string, string | { types: string; default: string }>
  scripts: Record<string, string>
  bin: Record<string, string>
}

t.test(
  'the tarball of a clean clone has all that its manifest names, and its documents (SC-09)',
  async (t) => {
    const paths = files.map(({ path }) => path)
    const exported = Object.values(manifest.exports).flatMap((one) =>
      typeof one === 'string' ? one : Object.values(one),
    )
    const named = [...exported, ...Object.values(manifest.bin)].map((path) => path.replace('./', ''))
    const documents = [
      ...['docs/options.md', 'docs/providers/README.md', 'docs/images/login-dark.svg'],
      ...['README.md', 'CHANGELOG.md', 'LICENSE'],
    ]
    const wanted = [...named, ...documents, 'build/vendor/typebox/license']
    t.same(
      wanted.filter((path) => !paths.includes(path)),
      [],
    )
    t.same(
      paths.filter((path) => !/^(?:build\/(?:plugin|gateway|vendor)\/|docs\/|[^/]+$)/.test(path)),
      [],
    )
  },
)

t.test(
  'no map is missing, no typebox is imported, and nothing runs at an installation (SC-09)',
  async (t) => {
    const sources = files
      .filter(({ path }) => /^build\/.*\.(?:js|ts)$/.test(path))
      .map(({ path }) => ({ path, code: readFileSync(installed(path), 'utf8') }))
    t.ok(sources.length > 400)
    const having = (words: RegExp, place: RegExp) =>
      sources.filter(({ path, code }) => place.test(path) && words.test(code)).map(({ path }) => path)
    t.same(having(/sourceMappingURL/, /./), [])
    t.same(having(/from ['"]typebox/, /^build\/(?:plugin|gateway)\/.*\.js$/), [])
    const scripts = ['preinstall', 'install', 'postinstall', 'prepare']
    t.same(
      scripts.filter((script) => script in manifest.scripts),
      [],
    )
  },
)

t.test('who has the memory store carries nothing for the gateway, Redis or PostgreSQL (SC-10)', async (t) => {
  const packages = both.packages - fastifyAlone.packages
  const bytes = both.bytes - fastifyAlone.bytes
  t.comment(
    `beside Fastify's ${fastifyAlone.packages} and ${fastifyAlone.bytes}: ${packages} packages, ${bytes} bytes`,
  )
  t.ok(packages <= EXTRA_PACKAGES_MAX, `${packages} packages`)
  t.ok(bytes <= EXTRA_BYTES_MAX, `${bytes} bytes`)
})

/** The README's, out of the package. */
const ESM = /^```ts\n(.*?)^```$/ms.exec(readFileSync(installed('README.md'), 'utf8'))![1]!
const COMMON_JS = `${ESM.replace(/^import fastify .*$/m, "const fastify = require('fastify')").replace(
  /^import pkce .*$/m,
  "const { pkce } = require('fastify-pkce')\nconst start = async () => {",
)}\n}\nstart()\n`

for (const [name, code] of Object.entries({ 'app.mjs': ESM, 'app.cjs': COMMON_JS })) {
  t.test(
    `the README's app out of the installed package gives a refresh token, ${name} (SC-09)`,
    async (t) => {
      await logInThrough(t, name, (addresses) => {
        writeFileSync(join(project, name), withAddresses(code, addresses))
      })
    },
  )
}

t.test(
  'the same in TypeScript, every declaration checked, secrets from the environment (SC-09, SC-11)',
  async (t) => {
    lend(project, '@types/node', 'undici-types')
    writeFileSync(
      join(project, 'tsconfig.json'),
      JSON.stringify({
        compilerOptions: {
          ...{ module: 'nodenext', target: 'es2023', types: ['node'], strict: true, skipLibCheck: false },
          exactOptionalPropertyTypes: true,
        },
        files: ['app.ts'],
      }),
    )
    await logInThrough(t, 'app.js', async (addresses) => {
      writeFileSync(join(project, 'app.ts'), withAddresses(ESM, addresses))
      await compile(resolve('node_modules/typescript'))
    })
  },
)

t.test(
  "a team's test of its routes, with inject and without a network, takes less than a second",
  async (t) => {
    for (const name of ['orders', 'orders.test']) {
      const code = readFileSync(`build/examples/${name}.js`, 'utf8')
      writeFileSync(join(project, `${name}.js`), code)
    }
    t.ok(readFileSync('examples/orders.test.ts', 'utf8').trimEnd().split('\n').length <= 32)
    // No other process of Node's own test runner, whose start would be counted in.
    const said = await run(project, process.execPath, '--test-reporter=tap', 'orders.test.js')
    t.match(said, /^# pass 1$/m)
    const milliseconds = Number(/duration_ms: ([\d.]+)/.exec(said)![1])
    t.ok(milliseconds < 1000, `${milliseconds} ms`)
  },
)

t.test('an import costs a compiler little, with the oldest and the newest TypeScript (SC-11)', async (t) => {
  const old = makeProject(join(folder, 'old'))
  await install(old, 'typescript@5.4')
  const compilers = [join(old, 'node_modules/typescript'), resolve('node_modules/typescript')]
  for (const compiler of compilers) {
    const alone = await instantiations(compiler, 'fastify', 'nodenext')
    for (const resolution of ['nodenext', 'bundler']) {
      const ours = await instantiations(compiler, 'fastify-pkce', resolution)
      t.ok(ours <= alone * INSTANTIATIONS_MAX, `${resolution}: ${ours} with us, ${alone} without`)
    }
  }
})

t.test('what is not installed is told with the command that installs it (SC-10)', async (t) => {
  const program = installed(manifest.bin['pkce-gateway']!)
  t.equal(await run(project, process.execPath, program, '--version'), `${manifest.version}\n`)
  const command = run(project, process.execPath, program, '--config', 'gateway.yaml')
  await t.rejects(command, {
    message:
      /\npkce-gateway: yaml and close-with-grace are not installed: npm install yaml@2 close-with-grace@2\n$/,
  })
  writeFileSync(
    join(project, 'missing.mjs'),
    `import { createRedisClient } from 'fastify-pkce/redis'
    import { createPostgresPool } from 'fastify-pkce/postgres'
    import { gatewayConfig, loadConfig } from 'fastify-pkce/gateway'
    const calls = [
      () => createRedisClient({ url: 'redis://127.0.0.1' }),
      () => createPostgresPool('postgres://127.0.0.1/pkce'),
      () => loadConfig({ file: 'gateway.yaml' }),
      ...['redis', 'postgres'].map((type) => () => gatewayConfig({
        publicUrl: 'https://api.example.com',
        provider: { issuer: 'https://login.example.com', clientId: 'gateway', clientSecret: 'secret' },
        clients: [{ clientId: 'app', redirectUris: ['com.example.app:/callback'] }],
        secrets: ['${Buffer.alloc(32, 1).toString('base64url')}'],
        store: { type, url: type + '://127.0.0.1' },
      })),
    ]
    for (const call of calls) {
      try { call() } catch (error) { console.log(error.message.split('\\n').at(-1).trim()) }
    }`,
  )
  t.same((await run(project, process.execPath, 'missing.mjs')).trim().split('\n'), [
    'redis store: connect: ioredis is not installed: npm install ioredis@6',
    'postgres store: connect: pg is not installed: npm install pg@8',
    'gateway.yaml: cannot be read: yaml is not installed: npm install yaml@2',
    'store.url: ioredis and @fastify/redis are not installed: npm install ioredis@6 @fastify/redis@9',
    'store.url: pg is not installed: npm install pg@8',
  ])
})

t.test('with what the gateway needs, its command starts (SC-10)', async (t) => {
  lend(project, 'yaml', 'close-with-grace')
  writeFileSync(
    join(project, 'gateway.yaml'),
    `publicUrl: http://127.0.0.1:3000
provider: { issuer: http://127.0.0.1:4000, clientId: gateway, clientSecret: secret }
clients: [{ clientId: app, redirectUris: ["com.example.app:/callback"] }]
`,
  )
  t.equal(await run(project, 'npx', 'pkce-gateway', '--config', 'gateway.yaml', '--config-test'), 'ok\n')
})

const isRoot = process.getuid?.() === 0

t.test(
  "the image's files, as nobody in particular on a file system that is read-only (Q-13)",
  { skip: !isRoot && 'only root can make one' },
  async (t) => {
    // The steps of deploy/docker/Dockerfile, without an engine, and with this Node.
    const image = makeProject(join(folder, 'image'))
    const peers = (await run('.', process.execPath, 'deploy/docker/peers.mjs')).trim().split(' ')
    t.ok(peers.some((peer) => /^ioredis@\d/.test(peer)) && !peers.some((peer) => peer.includes('undefined')))
    await install(image, '--omit=dev', file, ...peers)
    const [port, adminPort] = [await freePort(), await freePort()]
    writeFileSync(
      join(image, 'gateway.yaml'),
      `publicUrl: http://127.0.0.1:${port}
provider: { issuer: http://127.0.0.1:4, clientId: gateway, clientSecret: secret }
clients: [{ clientId: app, redirectUris: ["com.example.app:/callback"] }]
listen: { port: ${port} }
admin: { port: ${adminPort} }
`,
    )
    chmodSync(folder, 0o755)
    const dockerfile = readFileSync('deploy/docker/Dockerfile', 'utf8')
    const [entry] = JSON.parse(/^ENTRYPOINT (.*)$/m.exec(dockerfile)![1]!).slice(1) as [string]
    const [uid, gid] = /^USER (\d+):(\d+)$/m.exec(dockerfile)!.slice(1) as [string, string]
    const asInImage = `mount --make-rprivate / && mount -o remount,ro,bind / && exec setpriv --reuid ${uid} --regid ${gid} --clear-groups --no-new-privs "$@"`
    const gateway = spawn(
      '/usr/bin/env',
      [
        ...['-u', 'NODE_OPTIONS', 'unshare', '--mount', 'sh', '-c', asInImage, 'sh'],
        ...[process.execPath, entry, '--config', 'gateway.yaml'],
      ],
      { cwd: image, stdio: ['ignore', 'pipe', 'pipe'] },
    )
    t.teardown(() => gateway.kill('SIGKILL'))
    let output = ''
    await new Promise<void>((ready, reject) => {
      for (const stream of [gateway.stdout, gateway.stderr]) {
        stream.on('data', (chunk) => {
          output += String(chunk)
          if (output.includes('gateway ready')) ready()
        })
      }
      gateway.on('exit', (code) => reject(new Error(`it ended with ${code}:\n${output}`)))
    })
    t.equal((await fetch(`http://127.0.0.1:${adminPort}/healthz`)).status, 200)
    t.equal((await fetch(`http://127.0.0.1:${port}/api`)).status, 404)
    t.match(readFileSync(`/proc/${gateway.pid}/status`, 'utf8'), new RegExp(`^Uid:\\s${uid}\\s`, 'm'))
    gateway.removeAllListeners('exit')
    const ended = new Promise((resolve) => gateway.once('exit', resolve))
    gateway.kill('SIGTERM')
    t.equal(await ended, 0)
  },
)

/** Checks the project, or one file of it, with a compiler of its own. @returns what it printed. */
function compile(compiler: string, ...args: readonly string[]): Promise<string> {
  return run(project, process.execPath, join(compiler, 'bin/tsc'), ...args)
}

/** What it costs to import a package's default, and nothing else, with every declaration checked. */
async function instantiations(compiler: string, name: string, resolution: string): Promise<number> {
  writeFileSync(join(project, 'import.ts'), `import used from '${name}'\nexport const it = used\n`)
  const module = resolution === 'bundler' ? 'esnext' : resolution
  const printed = await compile(
    compiler,
    ...['import.ts', '--noEmit', '--strict', '--exactOptionalPropertyTypes', '--extendedDiagnostics'],
    ...['--target', 'es2022', '--types', 'node', '--module', module, '--moduleResolution', resolution],
    // Named files beside a project file are an error to the newer ones, unless it is left aside.
    ...(compiler.includes('/old/') ? [] : ['--ignoreConfig']),
  )
  return Number(/^Instantiations: +(\d+)$/m.exec(printed)![1])
}

/** Starts an app of the project, and logs in as any app would. @param write makes its file, for these addresses. */
async function logInThrough(
  t: Test,
  name: string,
  write: (addresses: Addresses) => void | Promise<void>,
): Promise<void> {
  const publicUrl = `http://127.0.0.1:${await freePort()}`
  const backend = { ...gatewayAtProvider(publicUrl), client_id: 'backend', client_secret: CLIENT_SECRET }
  const provider = await startProvider({ port: 0, clients: [backend] })
  t.teardown(() => provider.close())
  await write({ publicUrl, issuer: provider.issuer })
  await startScript(t, project, name, { CLIENT_SECRET })
  const signIn = async (url: URL) =>
    new URL((await login(url.href, { username: 'alice', password: 'password' })).redirectTo)
  const native = new NativeApp({ publicUrl, signIn })
  t.equal((await native.call(undefined, '/me')).status, 401)
  const tokens = await native.login()
  t.type(tokens.refresh_token, 'string')
  t.same((await native.call(tokens.access_token, '/me')).json, { subject: 'alice' })
}
