import net from 'node:net'
import t, { type Test } from 'tap'
import { createProvider } from '../../../../plugin/provider/client.ts'
import { createDispatcher, isPublicAddress } from '../../../../plugin/provider/transport/network.ts'
import { serve } from '../../../support/provider-server.ts'
import { providerOptions, recordingLog } from '../../../support/provider-setup.ts'

t.test('addresses', async (t) => {
  t.test('only the public internet is public (RFC 6890, F-03)', async (t) => {
    const inside = [
      '0.0.0.0',
      '10.1.2.3',
      '100.64.0.1',
      '127.0.0.1',
      '127.1.2.3',
      '169.254.169.254',
      '172.16.0.1',
      '172.31.255.255',
      '192.168.1.1',
      '198.18.0.1',
      '224.0.0.1',
      '255.255.255.255',
      '::',
      '::1',
      'fe80::1',
      'fe80::1%lo',
      'fd00:ec2::254',
      'fec0::1',
      'ff02::1',
      '::ffff:127.0.0.1',
      '::ffff:7f00:1',
      '::ffff:169.254.169.254',
      '::127.0.0.1',
      '64:ff9b::169.254.169.254',
      '64:ff9b::a9fe:a9fe',
      '64:ff9b::a00:1',
      '64:ff9b:1::1',
      '2002:7f00:1::',
      '2002:a9fe:a9fe::1',
      '2001::1',
      '2001:db8::1',
      '3fff::1',
      'localhost',
      '',
    ]
    for (const address of inside) t.equal(isPublicAddress(address), false, address)
    const outside = [
      '8.8.8.8',
      '172.32.0.1',
      '192.0.1.1',
      '2606:4700::1111',
      '::ffff:8.8.8.8',
      '64:ff9b::808:808',
    ]
    for (const address of outside) t.equal(isPublicAddress(address), true, address)
  })

  type Network = Parameters<typeof createDispatcher>[0]
  const network: Network = {
    issuer: 'https://as.example',
    timeouts: providerOptions.timeouts,
    dangerouslyAllowPrivateNetwork: false,
  }
  /** Asks `origin` over connections for `overrides`, where names lead to `addresses`. */
  async function ask(t: Test, origin: string, addresses: string[], overrides: Partial<Network> = {}) {
    const asked: string[] = []
    const dispatcher = createDispatcher({ ...network, ...overrides }, (hostname, _options, callback) => {
      asked.push(hostname)
      callback(
        null,
        addresses.map((address) => ({ address, family: net.isIP(address) })),
      )
    })
    t.teardown(() => dispatcher.destroy())
    const answer = await dispatcher.request({ origin, path: '/', method: 'GET' }).then(
      async ({ body }) => body.text(),
      (error: { detail?: string }) => error.detail,
    )
    return { answer, asked }
  }

  t.test('a name that leads inside is not connected to (RFC 9101 §10.4, F-03)', async (t) => {
    const server = await serve(t, (_request, response) => response.end('inside'))
    const origin = `https://as.example:${server.port}`
    t.equal((await ask(t, origin, ['127.0.0.1'])).answer, 'ADDRESS_REFUSED')
    t.equal((await ask(t, origin, ['::ffff:127.0.0.1', '10.0.0.1'])).answer, 'ADDRESS_REFUSED')
    t.equal(
      (await ask(t, `http://127.0.0.1:${server.port}`, [])).answer,
      'ADDRESS_REFUSED',
      'a literal is not looked up',
    )
    t.equal((await ask(t, `http://[::ffff:7f00:1]:${server.port}`, [])).answer, 'ADDRESS_REFUSED')
    t.equal(server.requests.length, 0)
  })

  t.test(
    'the address that was checked is the one connected to, and it is asked for once (F-03)',
    async (t) => {
      const server = await serve(t, (_request, response) => response.end('inside'))
      const { answer, asked } = await ask(t, `http://as.example:${server.port}`, ['127.0.0.1'], {
        dangerouslyAllowPrivateNetwork: true,
      })
      t.equal(answer, 'inside')
      t.same(asked, ['as.example'])
    },
  )

  t.test(
    'a loopback issuer leads to loopback addresses of its own origin, and nowhere else (F-03)',
    async (t) => {
      const own = await serve(t, (_request, response) => response.end('own'))
      const other = await serve(t, (_request, response) => response.end('other'))
      const literal = { issuer: own.origin }
      t.equal((await ask(t, own.origin, [], literal)).answer, 'own')
      t.equal((await ask(t, other.origin, [], literal)).answer, 'ADDRESS_REFUSED')
      const named = { issuer: `http://localhost:${own.port}` }
      t.equal((await ask(t, named.issuer, ['127.0.0.1'], named)).answer, 'own')
      t.equal((await ask(t, named.issuer, ['8.8.8.8'], named)).answer, 'ADDRESS_REFUSED')
      t.equal(other.requests.length, 0)
    },
  )

  t.test(
    'an issuer in the private network is a wrong configuration, not an outage (F-01, F-03)',
    async (t) => {
      const { log } = recordingLog()
      const dispatcher = createDispatcher(network, (_hostname, _options, callback) =>
        callback(null, [{ address: '10.0.0.1', family: 4 }]),
      )
      t.teardown(() => dispatcher.destroy())
      const provider = createProvider({
        provider: providerOptions,
        callbackUrl: 'x',
        log,
        dispatcher,
        environment: {},
      })
      const error = await provider.start().catch((error: unknown) => error)
      t.match(error, {
        name: 'ConfigError',
        problems: [
          { path: ['provider', 'issuer'], problem: /private address.*dangerouslyAllowPrivateNetwork/ },
        ],
      })
    },
  )
})
