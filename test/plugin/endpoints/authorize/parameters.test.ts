import t from 'tap'
import {
  lastRecord,
  refusedLocally,
  startManyClients,
  toldToApp,
  validQuery,
} from '../../../support/authorize-requests.ts'
import { CHALLENGE, PUBLIC_URL } from '../../../support/plugin-app.ts'

const { plugin, store, provider, get, transactions } = await startManyClients(t)

t.test(
  'what is wrong with a proved request is told to the app (RFC 6749 §4.1.2.1, A-07 to A-09, A-13, A-15)',
  async (t) => {
    const before = transactions()
    const asked = provider.requests.length
    for (const [parameters, error] of [
      [{ response_type: undefined }, 'invalid_request'],
      [{ response_type: '' }, 'invalid_request'],
      [{ response_type: 'token' }, 'unsupported_response_type'],
      [{ response_type: 'code token' }, 'unsupported_response_type'],
      [{ response_type: 'Code' }, 'unsupported_response_type'],
      [{ response_mode: 'fragment' }, 'invalid_request'],
      [{ response_mode: 'form_post' }, 'invalid_request'],
      [{ code_challenge: undefined }, 'invalid_request'],
      [{ code_challenge: '' }, 'invalid_request'],
      [{ code_challenge: CHALLENGE.slice(1) }, 'invalid_request'],
      [{ code_challenge: `${CHALLENGE}A` }, 'invalid_request'],
      [{ code_challenge: `${CHALLENGE}=` }, 'invalid_request'],
      [{ code_challenge: `${CHALLENGE.slice(0, 42)}=` }, 'invalid_request'],
      [{ code_challenge: `+${CHALLENGE.slice(1)}` }, 'invalid_request'],
      [{ code_challenge: `~${CHALLENGE.slice(1)}` }, 'invalid_request'],
      [{ code_challenge: `${CHALLENGE.slice(0, 42)}N` }, 'invalid_request'],
      [{ code_challenge_method: undefined }, 'invalid_request'],
      [{ code_challenge_method: '' }, 'invalid_request'],
      [{ code_challenge_method: 'plain' }, 'invalid_request'],
      [{ code_challenge_method: 's256' }, 'invalid_request'],
      [{ code_challenge_method: 'S512' }, 'invalid_request'],
      [{ scope: 'admin' }, 'invalid_scope'],
      [{ scope: 'orders.read admin' }, 'invalid_scope'],
      [{ scope: 'orders.read  orders.write' }, 'invalid_scope'],
      [{ scope: 'orders."read' }, 'invalid_scope'],
      [{ request: 'eyJ' }, 'request_not_supported'],
      [{ request_uri: 'http://169.254.169.254/' }, 'request_uri_not_supported'],
      [{ request_uri: `${provider.issuer}/jwks` }, 'request_uri_not_supported'],
      [{ registration: '{}' }, 'invalid_request'],
      [{ claims: '{}' }, 'invalid_request'],
      [{ prompt: 'none' }, 'login_required'],
      [{ prompt: 'login none' }, 'login_required'],
      [{ max_age: '-1' }, 'invalid_request'],
    ] as const) {
      const told = toldToApp(t, (await plugin.authorize(parameters)).response)
      t.equal(told.get('error'), error, JSON.stringify(parameters))
      t.equal(told.get('state'), 'app-state')
      t.equal(told.get('iss'), PUBLIC_URL)
      t.equal(told.get('code'), null)
    }
    t.equal(transactions(), before, 'no transaction')
    t.equal(provider.requests.length, asked, 'no request left the house')
  },
)

t.test(
  'a parameter that is read may not repeat under any spelling: 400 here (RFC 6749 §3.1, A-10)',
  async (t) => {
    for (const repeat of [
      `code_challenge=${CHALLENGE}`,
      `%63ode_challenge=${CHALLENGE}`,
      'state=',
      'st%61te',
      'redirect_uri=https%3A%2F%2Fevil.example',
    ]) {
      refusedLocally(t, await get(`${validQuery}&${repeat}`), 400, repeat)
    }
  },
)

t.test(
  'a parameter that is not read is ignored, repeated or badly encoded (RFC 8707 §2, A-10)',
  async (t) => {
    for (const extra of [
      'foo=1&foo=2',
      'foo&%66oo',
      'resource=https%3A%2F%2Fa&resource=https%3A%2F%2Fb',
      'x=%zz',
      'x=%',
      '%ff=1&%ff=1',
      'x=f%FCr',
      'x=a%00b',
      'x=%0d%0aLocation:%20https://evil.example',
      'acr_values=%ff&acr_values=',
    ]) {
      const response = await get(`${validQuery}&${extra}`)
      t.equal(response.statusCode, 302, extra)
      t.ok(String(response.headers.location).startsWith(`${provider.issuer}/`), 'on to the provider')
      t.notMatch(String(response.headers.location), /foo|resource|acr_values|evil/)
    }
  },
)

t.test(
  'unknown parameters are ignored and never passed on; an empty one is none (RFC 6749 §3.1, A-11)',
  async (t) => {
    const sent = new URL(
      (await plugin.authorize({ foo: '1', resource: 'x', nonce: 'theirs', dpop_jkt: 'y', scope: '' }))
        .location,
    )
    for (const name of ['foo', 'resource', 'dpop_jkt']) t.equal(sent.searchParams.get(name), null)
    t.not(sent.searchParams.get('nonce'), 'theirs')
  },
)

t.test('a parameter that is read and badly encoded is a 400 here (RFC 6749 Appendix B, A-10)', async (t) => {
  for (const junk of [
    'scope=%zz',
    'scope=%',
    'prompt=%ff',
    'login_hint=%c3%28',
    'claims=a%00b',
    'response_mode=%0d%0aLocation:%20https://evil.example',
  ]) {
    refusedLocally(t, await get(`${validQuery}&${junk}`), 400, junk)
  }
})

t.test(
  "the app's state is never seen by the provider and comes back octet by octet (RFC 6749 §10.12, A-12)",
  async (t) => {
    for (const state of [
      'a%26b=1',
      'a&b=c#d',
      '+ /=',
      '%',
      '"><script>',
      '~!@$^*()_-',
      's'.repeat(2000),
      '+/= '.repeat(700),
      ' lead',
      undefined,
    ]) {
      const authorized = await plugin.authorize({ state })
      t.match(authorized.state, /^pks_[\w-]{64}$/)
      if (state !== undefined && state.length > 1) {
        t.notOk(
          decodeURIComponent(authorized.location.replaceAll('+', ' ')).includes(state),
          'not at the provider',
        )
      }
      const back = new URL(String((await plugin.callback(authorized)).headers.location)).searchParams
      t.equal(back.get('state'), state ?? null, `${state}`)
    }
    for (const changes of [{ response_type: 'token' }, { code_challenge: '' }, { scope: 'admin' }]) {
      const state = '+/= '.repeat(700)
      const told = toldToApp(t, (await plugin.authorize({ state, ...changes })).response)
      t.equal(told.get('state'), state, 'refusals too')
    }
    for (const state of ['ü', '€']) {
      const told = toldToApp(t, (await plugin.authorize({ state })).response)
      t.equal(told.get('error'), 'invalid_request')
      t.equal(told.get('state'), null, 'what is malformed is not echoed')
    }
  },
)

t.test('OpenID scopes are tolerated, and not passed on because the app asked (A-13)', async (t) => {
  const { location } = await plugin.authorize({ scope: 'openid email phone orders.read' })
  t.equal(new URL(location).searchParams.get('scope'), 'openid api')
  t.same(lastRecord(store).scope, ['orders.read'])
})

t.test('8 KiB of URL and 32 parameters are enough for anybody (K-01)', async (t) => {
  const before = transactions()
  const long = await get(`${validQuery}&pad=${'a'.repeat(8192)}`)
  refusedLocally(t, long, 414)
  t.equal((await get(`${validQuery}&pad=${'a'.repeat(7000)}`)).statusCode, 302)
  const many = Array.from({ length: 27 }, (_, index) => `p${index}=`).join('&')
  refusedLocally(t, await get(`${validQuery}&${many}`), 400, '33 parameters')
  t.equal((await get(`${validQuery}&${many.slice(0, -5)}`)).statusCode, 302, '32 parameters')
  t.equal(transactions(), before + 2)
})
