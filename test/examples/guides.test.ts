/** The examples of the guides on apps and on testing (docs/apps.md, docs/testing.md, docs/stores.md), as printed. */
import { execFile } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { startGatewayStack } from '../support/gateway-stack.ts'

const CLIENTS = {
  'com.example.web': 'https://app.example.com/callback',
  'com.example.desktop': 'http://127.0.0.1/callback',
}

/** A gateway that knows both apps, and an example that knows the gateway. */
async function open<Example>(t: Test, name: string, insecure: string) {
  const stack = await startGatewayStack(t, (config) => ({
    ...config,
    clients: Object.entries(CLIENTS).map(([clientId, redirectUri]) => ({
      ...{ ...config.clients[0]!, clientId, redirectUris: [redirectUri] },
    })),
  }))
  const code = readFileSync(`build/examples/apps/${name}.js`, 'utf8')
    .replace("'https://api.example.com'", `'${stack.publicUrl}'`)
    .replace('const options = {};', `const options = ${insecure};`)
  t.ok(code.includes(insecure), 'http, for this test alone')
  const file = resolve(`build/examples/apps/${name}-${process.pid}.js`)
  writeFileSync(file, code)
  t.teardown(() => rmSync(file))
  const call = async (accessToken: string) => {
    const headers = { authorization: `Bearer ${accessToken}` }
    return (await fetch(`${stack.publicUrl}/api/orders`, { headers })).status
  }
  return { stack, call, example: (await import(pathToFileURL(file).href)) as Example }
}

t.test('a web page: login, API, refresh; another state is refused (docs/apps.md, C-12)', async (t) => {
  type Browser = typeof import('../../examples/apps/browser.ts')
  const { stack, call, example } = await open<Browser>(
    t,
    'browser',
    '{ [oauth.allowInsecureRequests]: true }',
  )
  const attempt = await example.beginLogin()
  const { href } = await stack.signIn(attempt.url)
  await t.rejects(example.endLogin(href, { ...attempt, state: 'x'.repeat(43) }))
  const tokens = await example.endLogin(href, attempt)
  t.equal(await call(tokens.access_token), 200)
  const next = await example.refresh(tokens.refresh_token!)
  t.not(next.refresh_token, tokens.refresh_token)
  t.equal(await call(next.access_token), 200)
})

t.test('a desktop app: loopback redirect on a port of its own (docs/apps.md, RFC 8252 §7.3)', async (t) => {
  type Desktop = typeof import('../../examples/apps/desktop.ts')
  const { stack, call, example } = await open<Desktop>(
    t,
    'desktop',
    '{ execute: [oidc.allowInsecureRequests] }',
  )
  const tokens = await example.logIn(async (url) => fetch(await stack.signIn(url)))
  t.equal(await call(tokens.access_token), 200)
  t.type(tokens.refresh_token, 'string')
})

for (const [name, least] of Object.entries({
  'orders.test': 1,
  'testing/login.test': 2,
  'testing/store.test': 20,
})) {
  t.test(`examples/${name}.ts passes with Node's own test runner`, async (t) => {
    const file = resolve(`build/examples/${name}.js`)
    const clean = ['-u', 'NODE_OPTIONS', process.execPath, '--test-reporter=tap', file]
    const { stdout } = await promisify(execFile)('/usr/bin/env', clean)
    t.match(stdout, /^# fail 0$/m)
    t.ok(Number(/^# pass (\d+)$/m.exec(stdout)![1]) >= least)
  })
}
