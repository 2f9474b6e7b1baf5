/** Which app a redirect URI belongs to, as Android and iOS ask: requirement S-05. */
import t from 'tap'
import { startGatewayStack } from '../../../support/gateway-stack.ts'
import { PUBLIC_URL, startPluginApp } from '../../../support/plugin-app.ts'

const ASSET_LINKS = '/.well-known/assetlinks.json'
const SITE_ASSOCIATION = '/.well-known/apple-app-site-association'
const FINGERPRINT =
  '14:6D:E9:83:C5:73:06:50:D8:EE:B9:95:2F:34:FC:64:16:A0:83:42:E6:1D:BE:A8:8A:04:96:B2:3F:CF:44:E5'
const clients = [
  {
    clientId: 'app',
    redirectUris: [
      `${PUBLIC_URL}/app/callback`,
      `${PUBLIC_URL}/app/callback?from=b`,
      'https://app.example.com/elsewhere',
      `${PUBLIC_URL}.evil.example/callback`,
      `${PUBLIC_URL}:8443/port`,
      'com.example.app:/callback',
    ],
  },
  { clientId: 'other', redirectUris: [`${PUBLIC_URL}/other`] },
]
const android = { packageName: 'com.example', sha256CertFingerprints: [FINGERPRINT] }
const apple = { appIds: ['ABCDE12345.com.example.app', 'FGHIJ67890.com.example.app'] }

t.test('the two files, byte for byte as they are documented (Android App Links, Apple, S-05)', async (t) => {
  const { app } = await startPluginApp(t, {
    clients,
    appLinks: [
      { clientId: 'app', android, apple },
      { clientId: 'other', apple: { appIds: ['ABCDE12345.com.example.other'] } },
    ],
  })
  const assetLinks = await app.inject(ASSET_LINKS)
  t.equal(
    assetLinks.body,
    `[{"relation":["delegate_permission/common.handle_all_urls"],"target":{"namespace":"android_app","package_name":"com.example","sha256_cert_fingerprints":["${FINGERPRINT}"]}}]`,
  )
  const association = await app.inject(SITE_ASSOCIATION)
  t.equal(
    association.body,
    '{"applinks":{"details":[{"appIDs":["ABCDE12345.com.example.app","FGHIJ67890.com.example.app"],"components":[{"/":"/app/callback"}]},{"appIDs":["ABCDE12345.com.example.other"],"components":[{"/":"/other"}]}]},"webcredentials":{"apps":["ABCDE12345.com.example.app","FGHIJ67890.com.example.app","ABCDE12345.com.example.other"]}}',
    'redirect URIs at our own origin, and no others',
  )
  for (const { statusCode, headers } of [assetLinks, association]) {
    t.equal(statusCode, 200)
    t.match(headers['content-type'], /^application\/json/)
    t.equal(headers['cache-control'], 'public, max-age=3600')
    t.equal(headers.pragma, undefined)
  }
  const refused = await app.inject({ method: 'POST', url: ASSET_LINKS })
  t.same([refused.statusCode, refused.headers['cache-control']], [405, 'no-store'])
  const metadata = await app.inject('/.well-known/openid-configuration')
  t.equal(metadata.headers['cache-control'], 'no-store', 'nothing else is kept')
})

t.test('a file of which nothing is configured is not there', async (t) => {
  const { app } = await startPluginApp(t, { clients, appLinks: [{ clientId: 'app', android }] })
  t.equal((await app.inject(ASSET_LINKS)).statusCode, 200)
  t.equal((await app.inject(SITE_ASSOCIATION)).statusCode, 404)
  const without = await startPluginApp(t, { clients })
  t.equal((await without.app.inject(ASSET_LINKS)).statusCode, 404)
})

t.test('a file that would say nothing stops the start, with what to write (S-05)', async (t) => {
  for (const [appLink, problem] of [
    [{ clientId: 'ap', android }, /appLinks\[0\]\.clientId: is not one of clients.*app/],
    [{ clientId: 'app' }, /appLinks\[0\]: must have android, apple, or both/],
    [{ clientId: 'app', android: { ...android, packageName: 'example' } }, /such as com\.example\.app/],
    [
      { clientId: 'app', android: { ...android, sha256CertFingerprints: [FINGERPRINT.toLowerCase()] } },
      /upper-case/,
    ],
    [{ clientId: 'app', apple: { appIds: ['com.example.app'] } }, /ABCDE12345\.com\.example\.app/],
    [{ clientId: 'app', apple: { appIds: [] } }, /appIds/],
  ] as const) {
    await t.rejects(startPluginApp(t, { clients, appLinks: [appLink as never] }), problem)
  }
  const elsewhere = [{ clientId: 'app', redirectUris: ['https://app.example.com/callback'] }]
  await t.rejects(
    startPluginApp(t, { clients: elsewhere, appLinks: [{ clientId: 'app', android }] }),
    /has no https redirect URI at https:\/\/api\.example\.com, and these files speak for their own host alone/,
  )
})

t.test('through the gateway, which forwards nothing for it (H-02, S-05)', async (t) => {
  const { app, api } = await startGatewayStack(t, (config) => ({
    ...config,
    publicUrl: PUBLIC_URL,
    clients: [{ clientId: 'app', redirectUris: [`${PUBLIC_URL}/app/callback`] }],
    appLinks: [{ clientId: 'app', android, apple }],
    upstreams: [{ ...config.upstreams![0]!, prefix: '/' }],
  }))
  const { port } = app.server.address() as { port: number }
  const headers = { host: 'api.example.com' }
  const { request } = await import('undici')
  for (const path of [ASSET_LINKS, SITE_ASSOCIATION]) {
    const response = await request(`http://127.0.0.1:${port}${path}`, { headers })
    t.equal(response.statusCode, 200, path)
    t.equal(response.headers['cache-control'], 'public, max-age=3600')
    t.ok(await response.body.json())
  }
  t.equal(api.requests, 0)
})
