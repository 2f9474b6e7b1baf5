/**
 * The package as others get it: packed from a clean clone, installed in an empty folder, and used by its names. In a
 * fresh clone `npm pack` made five files without code, and nobody had noticed.
 */
import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t, { type Test } from 'tap'
import { gatewayAtProvider } from '../../../examples/demo/configuration.ts'
import { login } from '../../../examples/demo/login.ts'
import { startProvider } from '../../../examples/demo/provider.ts'
import { freePort } from '../../support/gateway-stack.ts'
import { NativeApp } from '../../support/native-app.ts'
import { emptyFolder, install, lend, makeProject, packClone, run, weigh } from '../../support/packed.ts'

/** Beside Fastify's own. It was 22 packages and 21.7 MB. */
const EXTRA_PACKAGES_MAX = 11
const EXTRA_BYTES_MAX = 10_000_000
const INSTANTIATIONS_MAX = 3

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
    const documents = ['docs/options.md', 'docs/providers/README.md', 'README.md', 'CHANGELOG.md', 'LICENSE']
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

const ESM = readFileSync('examples/protect-a-route.ts', 'utf8')
const COMMON_JS = `${ESM.replace(/^import fastify .*$/m, "const fastify = require('fastify')").replace(
  /^import pkce .*$/m,
  "const { pkce } = require('fastify-pkce')\nconst start = async () => {",
)}\n}\nstart()\n`

for (const [name, code] of Object.entries({ 'app.mjs': ESM, 'app.cjs': COMMON_JS })) {
  t.test(`a login through the installed package, ${name} (SC-09)`, async (t) => {
    writeFileSync(join(project, name), code)
    await logInThrough(t, name)
  })
}

t.test(
  'the same in TypeScript, every declaration checked, secrets from the environment (SC-09, SC-11)',
  async (t) => {
    lend(project, '@types/node', 'undici-types')
    writeFileSync(join(project, 'app.ts'), ESM.replace("CLIENT_SECRET = 'gateway-secret'", 'CLIENT_SECRET'))
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
    await compile(resolve('node_modules/typescript'))
    await logInThrough(t, 'app.js', { CLIENT_SECRET: 'gateway-secret' })
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
  const command = run(project, process.execPath, installed(manifest.bin['pkce-gateway']!), '--version')
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

/** Starts the example in the project, and logs in as any app would. */
async function logInThrough(t: Test, name: string, environment: Record<string, string> = {}): Promise<void> {
  const publicUrl = `http://127.0.0.1:${await freePort()}`
  const provider = await startProvider({ port: 0, clients: [gatewayAtProvider(publicUrl)] })
  t.teardown(() => provider.close())
  const app = spawn('/usr/bin/env', ['-u', 'NODE_OPTIONS', process.execPath, name], {
    cwd: project,
    env: { PATH: process.env.PATH, PUBLIC_URL: publicUrl, PROVIDER_ISSUER: provider.issuer, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.teardown(() => app.kill('SIGTERM'))
  let output = ''
  await new Promise<void>((done, reject) => {
    for (const stream of [app.stdout, app.stderr]) {
      stream.on('data', (chunk) => {
        output += String(chunk)
        if (output.includes('Server listening')) done()
      })
    }
    app.on('exit', (code) => reject(new Error(`it ended with ${code}:\n${output}`)))
  })
  t.notMatch(output, 'Warning')
  const signIn = async (url: URL) =>
    new URL((await login(url.href, { username: 'alice', password: 'password' })).redirectTo)
  const native = new NativeApp({ publicUrl, signIn })
  t.equal((await native.call(undefined, '/me')).status, 401)
  const tokens = await native.login()
  t.same((await native.call(tokens.access_token, '/me')).json, { subject: 'alice' })
}
