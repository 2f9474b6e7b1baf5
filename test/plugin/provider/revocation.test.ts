import t from 'tap'
import { readMetadata } from '../../../plugin/provider/metadata/endpoints.ts'
import { createRevocation } from '../../../plugin/provider/revocation.ts'
import type { Calls } from '../../../plugin/provider/transport/calls.ts'
import {
  metadata,
  OUR_CREDENTIALS,
  providerOptions,
  readyProvider,
  recordingLog,
} from '../../support/provider-setup.ts'

t.test('revocation', async (t) => {
  const revoke = (token: string, token_type_hint: string) => ({ ...OUR_CREDENTIALS, token, token_type_hint })

  t.test(
    'revokes the refresh token if there is one, else the access token (RFC 7009 §2.1, E-03)',
    async (t) => {
      const { provider, post, lines } = await readyProvider(t)
      post('/revoke', revoke('rt', 'refresh_token')).reply(200, '')
      post('/revoke', revoke('at', 'access_token')).reply(204, '')
      provider.revoke({ accessToken: 'at', refreshToken: 'rt' })
      provider.revoke({ accessToken: 'at' })
      await provider.close()
      t.same(
        lines.filter(({ level }) => level === 'warn'),
        [],
      )
    },
  )

  t.test('has three tries, and close waits for them (F-10)', async (t) => {
    const { provider, post } = await readyProvider(t)
    post('/revoke', revoke('rt', 'refresh_token')).reply(500, '').times(2)
    post('/revoke', revoke('rt', 'refresh_token')).reply(200, '')
    provider.revoke({ accessToken: 'at', refreshToken: 'rt' })
    await provider.close()
  })

  t.test('a token that cannot be revoked is logged without the token (E-03)', async (t) => {
    const { provider, post, lines } = await readyProvider(t)
    post('/revoke', revoke('s3cret', 'access_token')).reply(500, '').times(3)
    provider.revoke({ accessToken: 's3cret' })
    await provider.close()
    const [line] = lines.filter(({ level }) => level === 'warn')
    t.match(line, { fields: { cause: 'status 500' }, message: /could not be revoked/ })
    t.notMatch(JSON.stringify(lines), /s3cret/)
  })

  t.test('waiting for them is bounded, and so is their number (K-01)', async (t) => {
    const never = new Promise<never>(() => {})
    const { lines, log } = recordingLog()
    const calls = { post: () => never } as unknown as Calls
    const { revoke, settled } = createRevocation({
      calls,
      metadata: () => readMetadata(metadata, providerOptions),
      pause: async () => {},
      log,
    })
    for (let i = 0; i < 300; i += 1) revoke({ accessToken: 's3cret' })
    t.equal(lines.length, 300 - 256)
    t.notMatch(JSON.stringify(lines), /s3cret/)
    await settled(10)
  })

  t.test('a token in use is left alone; where it cannot be told, it is revoked (D-11)', async (t) => {
    const sent: unknown[] = []
    const calls = {
      post: async (...[, , , { token }]: Parameters<Calls['post']>) => {
        sent.push(token)
        return { status: 200 }
      },
    } as unknown as Calls
    const { revoke, settled } = createRevocation({
      ...{
        calls,
        metadata: () => readMetadata(metadata, providerOptions),
        pause: async () => {},
        log: recordingLog().log,
      },
      isInUse: async (accessToken) => {
        if (accessToken === 'unknown') throw new Error('the store is down')
        return accessToken === 'used'
      },
    })
    for (const accessToken of ['used', 'unused', 'unknown']) revoke({ accessToken })
    revoke({ accessToken: 'used', refreshToken: 'of-the-used-one' })
    await settled(1000)
    t.same(sent, ['unused', 'unknown'])
  })

  t.test('without an endpoint nothing is sent', async (t) => {
    const { provider } = await readyProvider(t, {}, { revocation_endpoint: undefined })
    provider.revoke({ accessToken: 'at', refreshToken: 'rt' })
  })
})
