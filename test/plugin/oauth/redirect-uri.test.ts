import t from 'tap'
import { authorizationResponse } from '../../../plugin/oauth/authorization.ts'
import { parseForm } from '../../../plugin/oauth/form.ts'
import {
  appendToRedirectUri,
  redirectUriKind,
  redirectUriMatches,
  redirectUriProblem,
} from '../../../plugin/oauth/redirect-uri.ts'
import { ISSUER } from '../../support/oauth-fixtures.ts'

t.test('redirect URI: matching (RFC 9700 §2.1, RFC 8252 §7.3)', async (t) => {
  const rows: [registered: string, requested: string, matches: boolean][] = [
    ['https://a.ex/cb', 'https://a.ex/cb', true],
    ['https://a.ex/cb', 'https://a.ex/cb/', false],
    ['https://a.ex/cb', 'https://a.ex/c', false],
    ['https://a.ex/cb', 'https://A.ex/cb', false],
    ['https://a.ex/cb', 'https://a.ex:443/cb', false],
    ['https://a.ex/cb', 'https://a.ex/cb/../evil', false],
    ['https://a.ex/cb', 'https://a.ex/cb/..;/x', false],
    ['https://a.ex/cb', 'https://a.ex/cb/%2e%2e/evil', false],
    ['https://a.ex/cb', 'https://a.ex/cb?x=1', false],
    ['https://a.ex/cb', 'https://a.ex/cb#', false],
    ['https://a.ex/cb', 'https://a.ex@evil.ex/cb', false],
    ['https://127.0.0.1/cb', 'https://127.0.0.1:8443/cb', false],
    ['com.example.app:/cb', 'com.example.app:/cb', true],
    ['com.example.app:/cb', 'com.example.app:/cb2', false],
    ['com.example.app:/cb', 'COM.example.app:/cb', false],
    ['http://127.0.0.1/cb', 'http://127.0.0.1:49152/cb', true],
    ['http://127.0.0.1/cb', 'http://127.0.0.1:1/cb', true],
    ['http://127.0.0.1/cb', 'http://127.0.0.1:65535/cb', true],
    ['http://127.0.0.1:8000/cb', 'http://127.0.0.1:9000/cb', true],
    ['http://127.0.0.1:8000/cb', 'http://127.0.0.1/cb', true],
    ['http://127.0.0.1/cb?x=1', 'http://127.0.0.1:1/cb?x=1', true],
    ['http://[::1]/cb', 'http://[::1]:49152/cb', true],
    ['http://127.0.0.1/cb', 'http://[::1]:49152/cb', false],
    ['http://127.0.0.1/cb', 'http://127.0.0.1:0/cb', false],
    ['http://127.0.0.1/cb', 'http://127.0.0.1:080/cb', false],
    ['http://127.0.0.1/cb', 'http://127.0.0.1:65536/cb', false],
    ['http://127.0.0.1/cb', 'http://127.0.0.1:99999/cb', false],
    ['http://127.0.0.1/cb', 'http://127.0.0.1:/cb', false],
    ['http://127.0.0.1/cb', 'http://127.0.0.1:1/cb/', false],
    ['http://127.0.0.1/cb', 'http://127.0.0.1:1/CB', false],
    ['http://127.0.0.1/cb', 'http://127.0.0.1:1/cb?x=1', false],
    ['http://127.0.0.1/cb', 'http://127.0.0.1:1/x/../cb', false],
    ['http://127.0.0.1/cb', 'https://127.0.0.1:1/cb', false],
    ['http://127.0.0.1/cb', 'http://localhost:1/cb', false],
    ['http://localhost/cb', 'http://localhost:49152/cb', true],
    ['http://localhost:3000/cb', 'http://localhost/cb', true],
    ['http://localhost/cb', 'http://127.0.0.1:1/cb', false],
    ['http://localhost/cb', 'http://[::1]:1/cb', false],
    ['http://localhost/cb', 'http://LOCALHOST:1/cb', false],
    ['http://localhost/cb', 'http://localhost.:1/cb', false],
    ['http://localhost/cb', 'http://localhost.evil.ex:1/cb', false],
    ['http://localhost/cb', 'http://user@localhost:1/cb', false],
    ['http://localhost/cb', 'http://localhost:1@evil.ex/cb', false],
    ['http://localhost/cb', 'https://localhost:1/cb', false],
    ['http://localhost/cb', 'http://localhost:0/cb', false],
    ['http://localhost/cb', 'http://localhost:65536/cb', false],
    ['http://127.0.0.1', 'http://127.0.0.1:1', true],
    ['http://127.0.0.1', 'http://127.0.0.1:1/', true],
    ['http://127.0.0.1/', 'http://127.0.0.1:1', true],
    ['http://[::1]/', 'http://[::1]:9', true],
    ['http://localhost?x=1', 'http://localhost:1/?x=1', true],
    ['http://localhost', 'http://localhost:1?x=1', false],
    ['http://localhost', 'http://localhost:1/?', false],
    ['http://localhost', 'http://localhost:1//', false],
    ['https://a.ex', 'https://a.ex/', false],
    ['com.example.app://cb', 'com.example.app://cb', true],
    ['com.example.app://cb', 'com.example.app:/cb', false],
    ['com.example.app:/cb', 'com.example.app://cb', false],
    ['com.example.app://cb', 'com.example.app://cb/', false],
    ['com.example.app://cb', 'com.example.app://CB', false],
    ['http://127.0.0.1/cb', 'http://127.1:1/cb', false],
    ['http://127.0.0.1/cb', 'http://2130706433:1/cb', false],
    ['http://127.0.0.1/cb', 'http://0x7f.1:1/cb', false],
    ['http://127.0.0.1/cb', 'http://①②⑦.0.0.1:1/cb', false],
    ['http://127.0.0.1/cb', 'http://127.0.0.1.evil.ex:1/cb', false],
    ['http://127.0.0.1/cb', 'http://user@127.0.0.1:1/cb', false],
    ['http://127.0.0.1/cb', 'http://127.0.0.1:1@evil.ex/cb', false],
    ['http://127.0.0.1/cb', 'http://127.0.0.1:1\t/cb', false],
    ['http://127.0.0.1/cb', 'http://127.0.0.1:1/cb\n', false],
    ['http://127.0.0.1/cb', ' http://127.0.0.1:1/cb', false],
    ['http://[::1]/cb', 'http://[0:0:0:0:0:0:0:1]:1/cb', false],
    ['http://[::1]/cb', 'http://[::ffff:127.0.0.1]:1/cb', false],
  ]
  for (const [one, other, matches] of rows) {
    t.test(
      `${one} ${matches ? 'matches' : 'refuses'} ${JSON.stringify(other)} (A-03, A-04, A-05)`,
      async (t) => {
        t.equal(redirectUriMatches(one, other), matches)
      },
    )
  }
})

t.test('redirect URI: registration (RFC 8252 §7, A-06)', async (t) => {
  const accepted: [string, ReturnType<typeof redirectUriKind>][] = [
    ['https://app.example.com/callback', 'https'],
    ['https://app.example.com', 'https'],
    ['https://app.example.com:8443/cb?tenant=1', 'https'],
    ['http://127.0.0.1/callback', 'loopback'],
    ['http://127.0.0.1:8000/', 'loopback'],
    ['http://[::1]/callback', 'loopback'],
    ['http://localhost/callback', 'loopback'],
    ['http://localhost:8000', 'loopback'],
    ['http://127.0.0.1', 'loopback'],
    ['http://127.0.0.1?x=1', 'loopback'],
    ['com.example.app:/callback', 'private-use'],
    ['com.example.app://callback', 'private-use'],
    ['com.example.app://oauth/callback?x=1', 'private-use'],
    ['com.example.app:/oauth2redirect/example-provider?x=1', 'private-use'],
  ]
  for (const [uri, kind] of accepted) {
    t.test(`accepts ${uri} as ${kind}`, async (t) => {
      t.equal(redirectUriProblem(uri), undefined)
      t.equal(redirectUriKind(uri), kind)
    })
  }

  const refused: [string, RegExp][] = [
    ['', /must be a URI/],
    ['https://a.ex/cb#x', /fragment/],
    ['https://a.ex/*', /wildcard/],
    ['https://*.a.ex/cb', /wildcard/],
    ['https://a.ex/c b', /must be a URI/],
    ['https://a.ex\\cb', /must be a URI/],
    ['https://a.ex/%zz', /must be a URI/],
    ['https://ä.ex/', /must be a URI/],
    ['java\nscript:alert(1)', /must be a URI/],
    [' https://a.ex/cb', /must be a URI/],
    ['javascript:alert(1)', /scheme with a dot/],
    ['data:text/html,x', /scheme with a dot/],
    ['myapp:/cb', /scheme with a dot/],
    ['myapp://cb', /scheme with a dot[\s\S]*com\.example\.app:\/callback[\s\S]*Expo `scheme` in app\.json/],
    ['msauth://com.example/cb', /scheme with a dot/],
    ['com.example.app://user@cb', /user name/],
    ['com.example.app://cb:99999', /host or port/],
    ['com.example.app://[cb', /host or port/],
    ['com.example.app:cb', /one slash/],
    ['com.example.app:///cb', /one slash/],
    ['Com.Example.App:/cb', /lower-case/],
    ['HTTPS://a.ex/cb', /lower-case/],
    ['//a.ex/cb', /must be https/],
    ['https://user@a.ex/cb', /user name/],
    ['https://user:pw@a.ex/cb', /user name/],
    ['https:///cb', /a host/],
    ['https:/a.ex/cb', /a host/],
    ['https://a.ex:99999/cb', /port/],
    ['https://a.ex:/cb', /port/],
    ['http://a.ex/cb', /127\.0\.0\.1/],
    ['http://localhost.evil.ex/cb', /localhost/],
    ['http://localhost:70000/cb', /localhost/],
    ['http://u@localhost/cb', /user name/],
    ['http://127.1/cb', /127\.0\.0\.1/],
    ['http://127.0.0.1:70000/cb', /127\.0\.0\.1/],
    ['http://u@127.0.0.1/cb', /user name/],
    ['https://a.ex/cb?code=x', /must not have code/],
    ['https://a.ex/cb?x=1&%73tate=x', /must not have state/],
    ['https://a.ex/cb?x=1&x=2', /each name once/],
  ]
  for (const [uri, problem] of refused) {
    t.test(`refuses ${JSON.stringify(uri)}`, async (t) => {
      t.match(redirectUriProblem(uri), problem)
    })
  }
})

t.test('redirect URI: responses', async (t) => {
  t.test('an existing query is kept, byte for byte (RFC 6749 §3.1.2, B-11)', async (t) => {
    t.equal(
      authorizationResponse('com.ex.app:/cb?x=1', { code: 'c', state: 's', iss: ISSUER }),
      'com.ex.app:/cb?x=1&code=c&state=s&iss=https%3A%2F%2Fapi.example.com',
    )
  })

  t.test('the raw string is extended and never normalised (P-9, B-11)', async (t) => {
    t.equal(appendToRedirectUri('https://a.ex:443/./cb', { code: 'c' }), 'https://a.ex:443/./cb?code=c')
    t.equal(appendToRedirectUri('https://a.ex/cb?', { code: 'c' }), 'https://a.ex/cb?code=c')
    t.equal(appendToRedirectUri('https://a.ex/cb?x=1&', { code: 'c' }), 'https://a.ex/cb?x=1&code=c')
  })

  t.test('without a state there is none in the response (RFC 6749 §4.1.2)', async (t) => {
    t.equal(
      authorizationResponse('a.b:/cb', { error: 'access_denied', state: undefined, iss: ISSUER }),
      'a.b:/cb?error=access_denied&iss=https%3A%2F%2Fapi.example.com',
    )
  })

  t.test('every printable ASCII character of a state comes back (RFC 6749 §4.1.2, A-12)', async (t) => {
    const state = Array.from({ length: 95 }, (_, index) => String.fromCharCode(0x20 + index)).join('')
    const url = authorizationResponse('a.b:/cb', { code: 'c', state, iss: ISSUER })
    t.equal(parseForm(url.slice(url.indexOf('?') + 1), ['state']).state, state)
    t.equal(new URLSearchParams(url.slice(url.indexOf('?'))).get('state'), state)
    t.equal(decodeURIComponent(/state=([^&]*)/.exec(url)![1]!), state)
    t.match(url, /^[\x21-\x7e]+$/)
  })
})
