import net from 'node:net'
import t, { type Test } from 'tap'
import { addressRule, isPublicAddress } from '../../../../plugin/options/provider/addresses.ts'
import { createProvider } from '../../../../plugin/provider/client.ts'
import { createDispatcher } from '../../../../plugin/provider/transport/network.ts'
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

/** First and last address of each IPv4 range that is not public. */
const RANGES = [
  ['0.0.0.0', '0.255.255.255', 'this network (RFC 1122)'],
  ['10.0.0.0', '10.255.255.255', 'private use (RFC 1918)'],
  ['100.64.0.0', '100.127.255.255', 'carrier-grade NAT (RFC 6598)'],
  ['127.0.0.0', '127.255.255.255', 'loopback (RFC 1122)'],
  ['169.254.0.0', '169.254.255.255', 'link-local (RFC 3927)'],
  ['172.16.0.0', '172.31.255.255', 'private use (RFC 1918)'],
  ['192.0.0.0', '192.0.0.255', 'protocol assignments (RFC 6890)'],
  ['192.0.2.0', '192.0.2.255', 'documentation (RFC 5737)'],
  ['192.88.99.0', '192.88.99.255', '6to4 relays (RFC 7526)'],
  ['192.168.0.0', '192.168.255.255', 'private use (RFC 1918)'],
  ['198.18.0.0', '198.19.255.255', 'benchmarks (RFC 2544)'],
  ['198.51.100.0', '198.51.100.255', 'documentation (RFC 5737)'],
  ['203.0.113.0', '203.0.113.255', 'documentation (RFC 5737)'],
  ['224.0.0.0', '255.255.255.255', 'multicast (RFC 5771), reserved (RFC 1112), broadcast'],
] as const

/** The IPv6 forms that carry an IPv4 address, and are as public as it is. */
const formsOf = (address: string) => [address, `::ffff:${address}`, `64:ff9b::${address}`]

/** The next address, or the one before. */
function neighbour(address: string, step: 1 | -1): string {
  const value = address.split('.').reduce((sum, byte) => sum * 256 + Number(byte), 0) + step
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.')
}

for (const [first, last, name] of RANGES) {
  t.test(`${first} to ${last} is not public, in no form: ${name} (RFC 6890, F-03)`, async (t) => {
    const found = [...formsOf(first), ...formsOf(last)].filter(isPublicAddress)
    t.same(found, [])
  })
}

t.test('what lies beside the ranges is public, in every form (RFC 6890, F-03)', async (t) => {
  const before = RANGES.slice(1).map(([first]) => neighbour(first, -1))
  const after = RANGES.slice(0, -1).map(([, last]) => neighbour(last, 1))
  const outside = [...before, ...after]
  t.same(
    outside.flatMap(formsOf).filter((address) => !isPublicAddress(address)),
    [],
  )
})

t.test('IPv6 is public by allow-list (F-03)', async (t) => {
  const outside = ['2000::', '2606:4700::1111', '2a00:1450::1', '3ffe:ffff::1']
  t.same(
    outside.filter((address) => !isPublicAddress(address)),
    [],
  )
  const inside = [
    ['::', 'unspecified (RFC 4291 §2.5.2)'],
    ['::1', 'loopback (RFC 4291 §2.5.3)'],
    ['::8.8.8.8', 'IPv4-compatible (RFC 4291 §2.5.5.1)'],
    ['::ffff:0:8.8.8.8', 'IPv4-translated (RFC 2765 §2.1)'],
    ['64:ff9b:1::8.8.8.8', "NAT64's local prefix (RFC 8215)"],
    ['100::1', 'discarded (RFC 6666)'],
    ['2001::1', 'Teredo (RFC 4380)'],
    ['2001:20::1', 'ORCHIDv2 (RFC 7343)'],
    ['2001:db8::1', 'documentation (RFC 3849)'],
    ['2002:808:808::1', '6to4 (RFC 3056)'],
    ['3fff::1', 'documentation (RFC 9637)'],
    ['5f00::1', 'segment routing (RFC 9602)'],
    ['fc00::1', 'unique local (RFC 4193)'],
    ['fdff:ffff::1', 'unique local (RFC 4193)'],
    ['fe80::1', 'link-local (RFC 4291 §2.5.6)'],
    ['fe80::1%eth0', 'link-local with a zone (RFC 4007)'],
    ['fec0::1', 'site-local (RFC 3879)'],
    ['ff02::1', 'multicast (RFC 4291 §2.7)'],
  ] as const
  t.same(
    inside.filter(([address]) => isPublicAddress(address)),
    [],
  )
})

t.test('what is no literal address is not public (F-03)', async (t) => {
  const names = ['', 'localhost', 'as.example', '127.1', '0x7f.0.0.1', '2130706433', '[2606:4700::1111]']
  t.same(names.filter(isPublicAddress), [])
})

t.test("a loopback issuer's own origin leads to loopback and nowhere else (F-03)", async (t) => {
  const provider = { issuer: 'http://127.0.0.1:8080', dangerouslyAllowPrivateNetwork: false }
  const own = addressRule(provider, 'http://127.0.0.1:8080')
  t.same(['127.0.0.1', '127.9.9.9', '::1', '10.0.0.1', '8.8.8.8', '::2'].filter(own), [
    '127.0.0.1',
    '127.9.9.9',
    '::1',
  ])
  t.equal(addressRule(provider, 'http://127.0.0.1:9090'), isPublicAddress)
})
