/** The examples as a user runs them: compiled, in a process of their own, importing the package by its name. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import * as oidc from 'openid-client'
import t, { type Test } from 'tap'
import { gatewayAtProvider } from '../../examples/demo/configuration.ts'
import { login } from '../../examples/demo/login.ts'
import { startProvider } from '../../examples/demo/provider.ts'
import { freePort } from '../support/gateway-stack.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
if (!existsSync(`${root}build/examples`)) execFileSync('npm', ['run', 'build'], { cwd: root })

/** Starts an example and waits for the line that says it listens. */
async function startExample(
  t: Test,
  name: string,
  environment: Record<string, string>,
): Promise<ChildProcess> {
  const example = spawn(process.execPath, [`build/examples/${name}.js`], {
    cwd: root,
    env: { PATH: process.env.PATH, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.teardown(() => example.kill('SIGTERM'))
  let output = ''
  await new Promise<void>((resolve, reject) => {
    const read = (chunk: Buffer) => {
      output += chunk.toString()
      if (output.includes('Server listening')) resolve()
    }
    example.stdout.on('data', read)
    example.stderr.on('data', read)
    example.on('exit', (code) => reject(new Error(`the example ended with ${code}:\n${output}`)))
  })
  return example
}

t.test('examples/protect-a-route: 401 without a login, the subject after one', async (t) => {
  const publicUrl = `http://127.0.0.1:${await freePort()}`
  const provider = await startProvider({ port: 0, clients: [gatewayAtProvider(publicUrl)] })
  t.teardown(() => provider.close())
  await startExample(t, 'protect-a-route', { PUBLIC_URL: publicUrl, PROVIDER_ISSUER: provider.issuer })

  const refused = await fetch(`${publicUrl}/me`)
  t.equal(refused.status, 401)
  t.match(refused.headers.get('www-authenticate'), /^Bearer realm="[^"]+"$/)

  const config = await oidc.discovery(new URL(publicUrl), 'com.example.app', undefined, oidc.None(), {
    execute: [oidc.allowInsecureRequests],
  })
  const codeVerifier = oidc.randomPKCECodeVerifier()
  const authorizationUrl = oidc.buildAuthorizationUrl(config, {
    redirect_uri: 'com.example.app:/callback',
    code_challenge: await oidc.calculatePKCECodeChallenge(codeVerifier),
    code_challenge_method: 'S256',
  })
  const { redirectTo } = await login(authorizationUrl.href, { username: 'alice', password: 'password' })
  const tokens = await oidc.authorizationCodeGrant(config, new URL(redirectTo), {
    pkceCodeVerifier: codeVerifier,
  })
  const me = await fetch(`${publicUrl}/me`, { headers: { authorization: `Bearer ${tokens.access_token}` } })
  t.equal(me.status, 200)
  t.same(await me.json(), { subject: 'alice' })
})
