import { createServer } from 'node:http'
import * as oauth from 'openid-client'
import t from 'tap'
import { Walk } from '../../examples/demo/app/steps.ts'
import { startEchoApi } from '../../examples/demo/echo.ts'
import { listen } from '../../examples/demo/listening.ts'
import { type CookieJar, login } from '../../examples/demo/login.ts'
import { mask } from '../../examples/demo/mask.ts'
import { startProvider } from '../../examples/demo/provider.ts'
import { DEMO_PORTS, freePorts, runDemo } from '../support/demo-process.ts'

const user = { username: 'alice', password: 'any' }

t.test('npm start and npm run demo:app', async (t) => {
  const environment = await freePorts()
  const start = runDemo('start', [], environment)
  t.teardown(() => start.child.kill('SIGKILL'))
  await start.printed('Ctrl-C')

  await t.test('the guide names every address and a complete authorization URL', async (t) => {
    for (const name of DEMO_PORTS)
      t.match(start.stdout(), `http://127.0.0.1:${environment[`DEMO_${name}_PORT`]}`)
    const [url = ''] = /http:\S+\/oauth2\/authorize\?\S+/.exec(start.stdout()) ?? []
    const [, verifier = ''] = /code_verifier=(\S+)/.exec(start.stdout()) ?? []
    const { searchParams } = new URL(url)
    t.equal(searchParams.get('code_challenge'), await oauth.calculatePKCECodeChallenge(verifier))
    t.equal(start.stderr(), '', 'nothing else is said')
  })

  await t.test('what the guide says to do by hand works', async (t) => {
    const [url = ''] = /http:\S+\/oauth2\/authorize\?\S+/.exec(start.stdout()) ?? []
    const [, tokenUrl = '', form = ''] =
      /curl (\S+\/oauth2\/token) ([^\n]*\\\n[^\n]*\\\n[^\n]*)/.exec(start.stdout()) ?? []
    const { redirectTo } = await login(url, user)
    const body = new URLSearchParams()
    for (const [, name = '', value = ''] of form.matchAll(/-d (\S+?)=(\S+)/g)) body.append(name, value)
    body.set('code', new URL(redirectTo).searchParams.get('code') ?? '')
    const response = await fetch(tokenUrl, { method: 'POST', body })
    t.equal(response.status, 200)
    const { access_token } = (await response.json()) as { access_token: string }
    const [, apiUrl = ''] = /curl (\S+) -H/.exec(start.stdout()) ?? []
    t.equal((await fetch(apiUrl)).status, 401)
    t.equal((await fetch(apiUrl, { headers: { authorization: `Bearer ${access_token}` } })).status, 200)
  })

  for (const redirect of ['scheme', 'loopback']) {
    await t.test(`the app walks through all of it with a ${redirect} redirect and exits 0`, async (t) => {
      const app = runDemo('app', ['--redirect', redirect], environment)
      t.equal(await app.exit, 0)
      t.equal(app.stderr(), '')
      for (const step of [
        'Discover the endpoints',
        'Knock at the API without a token',
        'Make a verifier and its challenge',
        'Sign in as alice',
        'Exchange the code',
        'Call the API',
        'Ask who signed in',
        'Refresh',
        'Sign out',
        'with the revoked tokens',
        'as a thief would',
        'Every step went as expected.',
      ]) {
        t.ok(app.stdout().includes(step), step)
      }
      t.notMatch(app.stdout(), /pk[acrs]_[\w-]{10}/, 'credentials are masked')
      t.notMatch(app.stdout(), '✗')
    })
  }

  await t.test('a second demo says which port is taken, and how to move it', async (t) => {
    const second = runDemo('start', [], environment)
    t.equal(await second.exit, 1)
    t.match(second.stderr(), /port \d+ is in use.*DEMO_[A-Z]+_PORT/)
  })

  await t.test('Ctrl-C stops everything, and the app then says what is missing and exits 1', async (t) => {
    start.child.kill('SIGINT')
    t.equal(await start.exit, 0)
    const app = runDemo('app', [], environment)
    t.equal(await app.exit, 1)
    t.match(app.stderr(), /nothing answers at .*npm start/)
  })
})

t.test('the app exits 1 at the first step that is not as expected', async (t) => {
  const server = createServer((request, response) => {
    const issuer = `http://${request.headers.host}`
    response.setHeader('content-type', 'application/json')
    response.end(
      JSON.stringify({
        issuer,
        code_challenge_methods_supported: ['S256'],
        authorization_response_iss_parameter_supported: true,
      }),
    )
  })
  const port = await listen(server, 0)
  t.teardown(() => server.close())
  const app = runDemo('app', ['--issuer', `http://127.0.0.1:${port}`], {})
  t.equal(await app.exit, 1)
  t.match(app.stderr(), '✗ not as expected: it is refused with a Bearer challenge')
  t.notMatch(app.stdout(), 'Every step')
})

t.test('wrong usage: 2, and a port that is none: 1', async (t) => {
  const [app, start] = [
    runDemo('app', ['--redirect', 'fax'], {}),
    runDemo('start', [], { DEMO_API_PORT: 'x' }),
  ]
  t.equal(await app.exit, 2)
  t.match(app.stderr(), /^usage:/)
  t.equal(await start.exit, 1)
  t.match(start.stderr(), 'DEMO_API_PORT must be a port number')
})

t.test('login walks through the provider: sign-in, consent, callback; then only consent', async (t) => {
  const redirectUri = 'http://127.0.0.1:9/callback'
  const provider = await startProvider({
    port: 0,
    clients: [{ client_id: 'app', client_secret: 'secret', redirect_uris: [redirectUri] }],
  })
  t.teardown(() => provider.close())
  const url = `${provider.issuer}/auth?${new URLSearchParams({
    client_id: 'app',
    redirect_uri: redirectUri,
    response_type: 'code',
    scope: 'openid offline_access',
    prompt: 'consent',
    state: 'a+b',
    code_challenge: await oauth.calculatePKCECodeChallenge(oauth.randomPKCECodeVerifier()),
    code_challenge_method: 'S256',
  })}`
  const cookieJar: CookieJar = new Map()
  const first = await login(url, { ...user, cookieJar })
  t.match(first.redirectTo, /^http:\/\/127\.0\.0\.1:9\/callback\?code=[\w-]+&state=a%2Bb&iss=/)
  t.equal(provider.calls.get('/interaction/:uid'), 4, 'two pages, two forms')
  await login(url, { ...user, cookieJar })
  t.equal(provider.calls.get('/interaction/:uid'), 6, 'signed in already')
  await login(url, user)
  t.equal(provider.calls.get('/interaction/:uid'), 10, 'a new jar starts anew')

  await t.rejects(
    login(url.replace('code_challenge=', 'x='), user).then(({ redirectTo }) => {
      if (redirectTo.includes('error=')) throw new Error(redirectTo)
    }),
    { message: /error=invalid_request/ },
    'PKCE is required',
  )
  await t.rejects(login(url.replace('client_id=app', 'client_id=none'), user), {
    message: /\/auth answered 400: The provider refused the request: invalid_client/,
  })
  const stopped = await login(url, { ...user, until: `${provider.issuer}/interaction/` })
  t.match(stopped.redirectTo, /\/interaction\/[\w-]+$/, 'until: an earlier end')

  const end = provider.onRequest((_, response) => {
    response.writeHead(503).end()
    return true
  })
  await t.rejects(login(url, user), { message: /answered 503/ }, 'a listener can play an outage')
  end()
  await login(url, user)
})

t.test('login takes the only link of a page, unescaped, and refuses a page with two', async (t) => {
  const pages: Record<string, string> = {
    '/one': '<a class="go" href="com.example.app:/callback?code=1&amp;state=&quot;&#39;&#x2F;">Continue</a>',
    '/two': '<a href="com.example.app:/callback">a</a> <a href="com.example.app:/callback">b</a>',
  }
  const server = createServer((request, response) => {
    response.end(pages[(request.url ?? '').split('?', 1)[0] ?? ''] ?? '')
  })
  const origin = `http://127.0.0.1:${await listen(server, 0)}`
  t.teardown(() => server.close())
  const query = '?redirect_uri=com.example.app%3A%2Fcallback'
  const { redirectTo } = await login(`${origin}/one${query}`, user)
  t.equal(redirectTo, `com.example.app:/callback?code=1&state="'/`)
  await t.rejects(login(`${origin}/two${query}`, user), { message: /no form and 2 links/ })
  await t.rejects(login(`${origin}/none${query}`, user), { message: /no form and 0 links/ })
  await t.rejects(login(`${origin}/one`, user), { message: /no redirect_uri/ })
})

t.test('the echo API answers what it saw, the credential masked, and counts', async (t) => {
  const api = await startEchoApi()
  t.teardown(() => api.close())
  const seen: (string | undefined)[] = []
  const end = api.onRequest((request) => seen.push(request.headers.authorization))
  const authorization = 'Bearer a-credential-that-nobody-shows'
  const response = await fetch(`${api.origin}/orders?limit=1`, {
    method: 'POST',
    body: 'four',
    headers: { authorization },
  })
  t.match(await response.json(), {
    method: 'POST',
    path: '/orders?limit=1',
    headers: { authorization: mask(authorization), 'content-length': '4' },
    bodyBytes: 4,
  })
  end()
  t.same(await (await fetch(`${api.origin}/status`)).json(), { status: 'ok', requests: 2 })
  t.equal(api.requests, 2)
  t.same(seen, [authorization])
})

t.test('a mask shows at most a quarter of a credential', async (t) => {
  t.equal(mask('Bearer pka_0123456789abcdefghijklmnop'), 'Bearer pka_0…op (30 characters)')
  t.equal(mask('short'), '… (5 characters)')
  t.equal(mask(''), '… (0 characters)')
})

t.test('a walk masks what it sends and shows, and ends at a check that fails', async (t) => {
  const api = await startEchoApi()
  t.teardown(() => api.close())
  const lines: string[] = []
  const walk = new Walk((line) => lines.push(line))
  walk.step('Send')
  await walk.fetch(`${api.origin}/?code=0123456789abcdef&state=shown`, {
    method: 'POST',
    headers: { authorization: 'Bearer 0123456789abcdef' },
    body: new URLSearchParams({ refresh_token: '0123456789abcdef', grant_type: 'refresh_token' }),
  })
  walk.show({ access_token: '0123456789abcdef', expires_in: 600 })
  t.notMatch(lines.join('\n'), '0123456789')
  t.match(lines, [
    /1 {2}Send/,
    /POST .*state=shown/,
    /refresh_token: 01…f/,
    /grant_type: refresh_token/,
    /authorization: Bearer 01…f/,
    /← 200/,
  ])
  t.throws(() => walk.check('this holds', false), { message: 'not as expected: this holds' })
})
