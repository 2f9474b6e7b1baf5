import { createRemoteJWKSet, jwtVerify } from 'jose'
import t from 'tap'
import { startGatewayStack } from '../../../support/gateway-stack.ts'
import { NativeApp, send } from '../../../support/native-app.ts'

t.test('a proxy that asks gets the signed identity for the upstream (Q-10, Q-11)', async (t) => {
  const stack = await startGatewayStack(t, (config) => ({
    ...config,
    trustProxy: ['127.0.0.1'],
    forwardAuth: true,
    upstreams: [{ prefix: '/api', scopes: ['orders.read'], credentials: 'identity-jwt' }],
  }))
  const { publicUrl } = stack
  const { access_token } = await new NativeApp(stack).login()
  const answer = await send(`${publicUrl}/oauth2/verify`, {
    headers: {
      authorization: `Bearer ${access_token}`,
      'x-original-method': 'GET',
      'x-original-uri': '/api/orders',
    },
  })
  t.equal(answer.status, 204)
  const token = answer.headers.get('authorization')!.replace('Bearer ', '')
  const keys = createRemoteJWKSet(new URL(`${publicUrl}/oauth2/jwks`))
  const { payload } = await jwtVerify(token, keys, {
    issuer: publicUrl,
    audience: `${publicUrl}/api`,
    typ: 'at+jwt',
  })
  t.equal(payload.sub, 'alice')
  t.notMatch(stack.log(), token)
  const asToken = await send(`${publicUrl}/oauth2/userinfo`, {
    headers: { authorization: `Bearer ${token}` },
  })
  t.equal(asToken.status, 401, 'it is no access token here')
})
