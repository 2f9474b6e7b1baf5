import t from 'tap'
import {
  clientParameters,
  identifyClient,
  identifyResourceServer,
} from '../../../plugin/oauth/client-authentication.ts'
import type { Reason } from '../../../plugin/oauth/errors.ts'
import { parseForm } from '../../../plugin/oauth/form.ts'
import { ISSUER, refusal, registered, registry } from '../../support/oauth-fixtures.ts'

t.test('client authentication (RFC 6749 §2.3.1, C-07)', async (t) => {
  const publicClient = registered()
  const basicClient = registered({
    clientId: 'a:b%c+d ü',
    authentication: 'client_secret_basic',
    clientSecret: 'p:w%r+ ü',
  })
  const postClient = registered({
    clientId: 'post',
    authentication: 'client_secret_post',
    clientSecret: 'pw',
  })
  const off = registered({ clientId: 'off', enabled: false })
  const clients = registry(publicClient, basicClient, postClient, off)

  const encode = (text: string) => new URLSearchParams({ '': text }).toString().slice(1)
  const base64 = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`
  const basic = (clientId: string, secret: string) => base64(`${encode(clientId)}:${encode(secret)}`)
  const identify = (authorization: string | undefined, parameters: Record<string, string> = {}) =>
    identifyClient(
      authorization,
      parseForm(new URLSearchParams(parameters).toString(), clientParameters),
      clients,
      ISSUER,
    )
  const publicId = publicClient.clientId

  t.test('a public client is known by its client_id', async (t) => {
    t.equal(identify(undefined, { client_id: publicId }), publicClient)
  })

  t.test('an empty secret counts as none, in the body and in Basic', async (t) => {
    t.equal(identify(undefined, { client_id: publicId, client_secret: '' }), publicClient)
    t.equal(identify(basic(publicId, '')), publicClient)
    t.equal(identify(basic(publicId, ''), { client_id: publicId }), publicClient)
  })

  t.test('Basic halves are form-decoded after base64', async (t) => {
    t.equal(identify(basic('a:b%c+d ü', 'p:w%r+ ü')), basicClient)
    t.equal(identify(basic('a:b%c+d ü', 'p:w%r+ ü').replace('Basic', 'bAsIc ')), basicClient)
    t.equal(identify(basic('a:b%c+d ü', 'p:w%r+ ü'), { client_id: 'a:b%c+d ü' }), basicClient)
  })

  t.test('a secret in the body, for a client registered so', async (t) => {
    t.equal(identify(undefined, { client_id: 'post', client_secret: 'pw' }), postClient)
  })

  const unauthorized: [string, string | undefined, Record<string, string>, Reason][] = [
    ['nothing at all', undefined, {}, 'client_credentials_missing'],
    ['an unknown client', undefined, { client_id: 'nope' }, 'client_unknown'],
    ['a name from the prototype', undefined, { client_id: '__proto__' }, 'client_unknown'],
    ['an unknown client with a secret', basic('nope', 'pw'), {}, 'client_unknown'],
    ['an unknown client with an empty secret', basic('nope', ''), {}, 'client_unknown'],
    ['a disabled client', undefined, { client_id: 'off' }, 'client_disabled'],
    [
      'a public client with a secret',
      undefined,
      { client_id: publicId, client_secret: 'x' },
      'client_method_not_registered',
    ],
    ['a public client with a Basic secret', basic(publicId, 'x'), {}, 'client_method_not_registered'],
    [
      'a confidential client without a secret',
      undefined,
      { client_id: 'post' },
      'client_credentials_missing',
    ],
    ['a confidential client with an empty secret', basic('post', ''), {}, 'client_credentials_missing'],
    ['a wrong secret', undefined, { client_id: 'post', client_secret: 'pW' }, 'client_credentials_wrong'],
    ['a wrong Basic secret', basic('a:b%c+d ü', 'x'), {}, 'client_credentials_wrong'],
    ['the right secret by another method', basic('post', 'pw'), {}, 'client_method_not_registered'],
    [
      'an assertion',
      undefined,
      { client_id: 'post', client_assertion: 'e30.e30.' },
      'client_method_not_registered',
    ],
    ['another scheme', 'Bearer abc', { client_id: publicId }, 'client_credentials_malformed'],
    ['an empty header', '', { client_id: publicId }, 'client_credentials_malformed'],
    ['Basic alone', 'Basic', { client_id: publicId }, 'client_credentials_malformed'],
    ['Basic that is not base64', 'Basic %%%', {}, 'client_credentials_malformed'],
    ['Basic in two pieces', `${base64('post:pw')} x`, {}, 'client_credentials_malformed'],
    ['Basic with a non-canonical tail', 'Basic cG9zdDpwd3==', {}, 'client_credentials_malformed'],
    ['Basic without a colon', base64('post'), {}, 'client_credentials_malformed'],
    ['Basic without a client', base64(':pw'), {}, 'client_credentials_malformed'],
    ['Basic with a broken escape', base64('post:%zz'), {}, 'client_credentials_malformed'],
    ['Basic in raw UTF-8', base64('post:ü'), {}, 'client_credentials_malformed'],
    ['Basic with bytes that are not UTF-8', base64('post:%ff'), {}, 'client_credentials_malformed'],
  ]
  for (const [what, authorization, parameters, reason] of unauthorized) {
    t.test(`${what}: 401 invalid_client with a challenge (RFC 6749 §5.2)`, async (t) => {
      const error = refusal(() => identify(authorization, parameters))
      t.match(error, {
        reason,
        statusCode: 401,
        error: 'invalid_client',
        message: 'Client authentication failed.',
      })
      t.same(error.headers, { 'www-authenticate': `Basic realm="${ISSUER}"` })
    })
  }

  const several: [string, string | undefined, Record<string, string>][] = [
    ['Basic and a secret in the body', basic('post', 'pw'), { client_id: 'post', client_secret: 'pw' }],
    ['Basic and a secret without a client_id', basic('post', 'pw'), { client_secret: 'pw' }],
    [
      'a secret and an assertion',
      undefined,
      { client_id: 'post', client_secret: 'pw', client_assertion: 'x' },
    ],
    ['two clients', basic('post', 'pw'), { client_id: publicId }],
  ]
  for (const [what, authorization, parameters] of several) {
    t.test(`${what}: 400 invalid_request (RFC 6749 §2.3)`, async (t) => {
      const error = refusal(() => identify(authorization, parameters))
      t.match(error, { reason: 'client_methods_several', statusCode: 400, error: 'invalid_request' })
      t.notOk('www-authenticate' in error.headers)
    })
  }

  t.test('a resource server authenticates by either method, and always (RFC 7662 §2.1, E-04)', async (t) => {
    const server = { clientId: 'rs', clientSecret: 'pw' }
    const servers = new Map([['rs', server]])
    const identifyServer = (authorization: string | undefined, parameters: Record<string, string>) =>
      identifyResourceServer(authorization, parameters, servers, ISSUER)

    t.equal(identifyServer(basic('rs', 'pw'), {}), server)
    t.equal(identifyServer(undefined, { client_id: 'rs', client_secret: 'pw' }), server)
    const refused: [string | undefined, Record<string, string>, Reason][] = [
      [undefined, {}, 'client_credentials_missing'],
      [undefined, { client_id: 'rs' }, 'client_credentials_missing'],
      [basic('rs', ''), {}, 'client_credentials_missing'],
      [basic('rs', 'x'), {}, 'client_credentials_wrong'],
      [basic('nope', ''), {}, 'client_credentials_missing'],
      [basic('nope', 'pw'), {}, 'client_unknown'],
      [undefined, { client_id: 'rs', client_assertion: 'x' }, 'client_method_not_registered'],
    ]
    const errors = refused.map(([authorization, parameters]) =>
      refusal(() => identifyServer(authorization, parameters)),
    )
    t.same(
      errors.map(({ reason, statusCode }) => [reason, statusCode]),
      refused.map(([, , reason]) => [reason, 401]),
    )
  })
})
