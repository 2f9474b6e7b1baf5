import type { Socket } from 'node:net'
import t from 'tap'
import { TrustedProxies } from '../../../gateway/forward/trusted-proxies.ts'
import { reloadableGateway } from '../../support/reloadable-gateway.ts'

const PROXY = { remoteAddress: '10.0.0.1' } as Socket
const STRANGER = { remoteAddress: '198.51.100.1' } as Socket

t.test('a proxy that writes its own port is the proxy all the same (H-13)', async (t) => {
  const proxies = new TrustedProxies(['10.0.0.0/8', '2001:db8:f::/48'])
  const client = (received: string) => proxies.clientAddress(PROXY, received)
  t.equal(client('203.0.113.9, 10.1.2.3:50000'), '203.0.113.9')
  t.equal(client('203.0.113.9:40000, 10.1.2.3:50000, 10.1.2.4'), '203.0.113.9')
  t.equal(client('[2001:db8:1::9]:40000, [2001:db8:f::1]:443'), '2001:db8:1::9')
  t.equal(client('2001:db8:1::9,2001:db8:f::1'), '2001:db8:1::9')
  t.equal(
    client('198.51.100.7, 203.0.113.9:1, 10.1.2.3:2'),
    '203.0.113.9',
    'not what the client wrote before it',
  )
  t.equal(client('10.1.2.3:1, 10.1.2.4:2'), '10.1.2.3', 'nobody but proxies: the first')
  t.equal(client('unknown, 10.1.2.3:2'), 'unknown')
  t.equal(proxies.clientAddress(STRANGER, '203.0.113.9, 10.1.2.3:1'), '198.51.100.1')
})

t.test('the upstream gets the chain as it came (H-13)', async (t) => {
  const proxies = new TrustedProxies(['10.0.0.0/8'])
  t.equal(
    proxies.forwardedFor(PROXY, '203.0.113.9:40000, 10.1.2.3:50000'),
    '203.0.113.9:40000, 10.1.2.3:50000, 10.0.0.1',
  )
})

t.test('endpoints count by the client behind such proxies, and audit its address (H-13, J-05)', async (t) => {
  const { publicUrl, log } = await reloadableGateway(t, (config) => ({
    ...config,
    trustProxy: ['127.0.0.1', '10.0.0.0/8'],
    rateLimit: { token: { max: 2, windowMs: 60_000 }, authorize: { max: 9, windowMs: 60_000 } },
  }))
  const ask = async (forwarded: string) => {
    const answer = await fetch(`${publicUrl}/oauth2/token`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', 'x-forwarded-for': forwarded },
      body: 'grant_type=x',
    })
    await answer.text()
    return answer.status
  }
  const statuses: number[] = []
  for (const port of [50_000, 50_001, 50_002])
    statuses.push(await ask(`203.0.113.9:${port}, 10.1.2.3:${port}`))
  t.same(statuses, [400, 400, 429])
  t.equal(await ask('203.0.113.10, 10.1.2.3:50003'), 400, 'another client of the same proxy')
  const addresses = log().flatMap(
    ({ req }) => (req as { remoteAddress: string } | undefined)?.remoteAddress ?? [],
  )
  t.same([...new Set(addresses)], ['203.0.113.9', '203.0.113.10'])
})
