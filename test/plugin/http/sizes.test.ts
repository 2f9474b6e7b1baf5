import t from 'tap'
import { parseScope } from '../../../plugin/oauth/access/scope.ts'
import { credentialsOf, tokenIn } from '../../../plugin/oauth/bearer.ts'
import { parseAuthorizationResponse } from '../../../plugin/oauth/callback.ts'
import { assertFormMediaType, parseForm } from '../../../plugin/oauth/form.ts'
import { isCodeChallenge, isCodeVerifier } from '../../../plugin/oauth/pkce.ts'
import { redirectUriMatches, redirectUriProblem } from '../../../plugin/oauth/redirect-uri.ts'
import { parseHandle } from '../../../plugin/secrets/handles.ts'
import { startPluginApp } from '../../support/plugin-app.ts'
import { FORM, listen, overHttp } from '../../support/plugin-over-http.ts'

const tokenOf = (...request: Parameters<typeof credentialsOf>) => tokenIn(credentialsOf(...request))

t.test('sizes (K-01, K-03)', async (t) => {
  const plugin = await startPluginApp(t, { rateLimit: false })
  const port = await listen(plugin)
  plugin.store.countCalls()

  await t.test(
    'a body of 16 KiB is read, one more byte is 413, announced or in chunks (K-01, C-03)',
    async (t) => {
      const body = `pad=${'a'.repeat(16 * 1024 - 4)}`
      for (const [headers, more, status] of [
        [{ 'content-length': body.length }, '', 400],
        [{ 'content-length': body.length + 1 }, 'a', 413],
        [{ 'transfer-encoding': 'chunked' }, 'a', 413],
      ] as const) {
        const response = await overHttp(port, '/oauth2/token', {
          method: 'POST',
          headers: { ...FORM, ...headers },
          body: body + more,
        })
        t.equal(response.status, status)
        t.equal(response.headers['cache-control'], 'no-store')
      }
    },
  )

  await t.test('a URL of more than 8 KiB is 414, wherever it goes (K-01)', async (t) => {
    for (const path of [
      '/oauth2/authorize',
      '/oauth2/callback',
      '/oauth2/userinfo',
      '/.well-known/openid-configuration',
    ]) {
      t.equal((await overHttp(port, `${path}?x=${'a'.repeat(8192)}`)).status, 414, path)
    }
    t.equal(
      (await overHttp(port, `/oauth2/token?x=${'a'.repeat(8192)}`, { method: 'POST', headers: FORM })).status,
      414,
    )
    t.equal((await overHttp(port, `/.well-known/openid-configuration?x=${'a'.repeat(8000)}`)).status, 200)
  })

  await t.test(
    'headers of more than 16 KiB are 431, a bearer token of more than 8 KiB 400 (K-01, K-03)',
    async (t) => {
      const bearer = (length: number) => ({ authorization: `Bearer ${'a'.repeat(length)}` })
      t.equal((await overHttp(port, '/oauth2/userinfo', { headers: bearer(9000) })).status, 400)
      t.equal((await overHttp(port, '/oauth2/userinfo', { headers: bearer(17_000) })).status, 431)
    },
  )
  t.equal(plugin.store.countCalls(), 0, 'none of these asked the store')
})

t.test('every check is linear: 100 KiB of anything takes no time (CWE-1333, K-02)', async (t) => {
  const size = 100 * 1024
  const silent = (check: (text: string) => unknown) => (text: string) => {
    try {
      check(text)
    } catch {
      // A refusal is as good as an answer here.
    }
  }
  const checks: Record<string, (text: string) => unknown> = {
    parseForm: (text) => parseForm(text, ['a']),
    formName: (text) => parseForm(`${text}=1&${text}=2`, ['a']),
    mediaType: (text) => assertFormMediaType(`application/x-www-form-urlencoded${text}`),
    redirectUriProblem,
    httpsProblem: (text) => redirectUriProblem(`https://${text}`),
    schemeProblem: (text) => redirectUriProblem(`a${text}:/`),
    redirectUriMatches: (text) => redirectUriMatches('http://127.0.0.1/x', `http://127.0.0.1:1/${text}`),
    parseScope,
    codeVerifier: isCodeVerifier,
    codeChallenge: isCodeChallenge,
    handle: (text) => parseHandle('state', text),
    callback: (text) => parseAuthorizationResponse(`state=pks_${'A'.repeat(64)}&error=${text}`),
    bearer: (text) => tokenOf(['Authorization', `Bearer ${text}`], `/?${text}`),
  }
  const patterns = [
    'a',
    ' ',
    '.',
    '%',
    '%41',
    '&',
    '=',
    'a.',
    '-a',
    '+',
    ';',
    ' \t',
    'access_token',
    '/',
    '..',
    'ü',
  ].map((piece) => piece.repeat(Math.ceil(size / piece.length)))
  for (const [name, check] of Object.entries(checks)) {
    let slowest = 0
    for (const text of patterns) {
      const start = process.cpuUsage()
      silent(check)(text)
      silent(check)(`${text}\n`)
      slowest = Math.max(slowest, process.cpuUsage(start).user / 1000)
    }
    // Quadratic would be seconds; the slack is for a slow machine.
    t.ok(slowest < 150, `${name}: ${slowest.toFixed(1)} ms`)
  }
})
