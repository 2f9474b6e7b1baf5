import { once } from 'node:events'
import type { RequestListener } from 'node:http'
import https from 'node:https'
import net, { type AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import {
  createDocumentFetch,
  type DocumentNetwork,
  maxAgeOf,
} from '../../../../plugin/endpoints/clients/document-fetch.ts'
import { causeOf } from '../../../../plugin/provider/transport/calls.ts'
import { selfSigned } from '../../../support/certificate.ts'
import { listen } from '../../../support/provider-server.ts'

const certificate = selfSigned('agent.example.com')
const document = JSON.stringify({ client_id: 'whatever' })

/** A server of descriptions on loopback, under a name that a name server of the test's resolves. */
async function startServer(t: Test, answer: RequestListener) {
  const server = https.createServer(certificate, answer)
  const { port, requests } = await listen(t, server)
  return { url: new URL(`https://agent.example.com:${port}/client.json`), port, requests }
}

type Addresses = readonly string[]
/** A name server that gives these answers in turn, the last for ever. */
function nameServer(...answers: Addresses[]) {
  let asked = 0
  const resolve: DocumentNetwork['resolve'] = (_name, _options, callback) => {
    const addresses = answers[Math.min(asked, answers.length - 1)]!
    asked += 1
    callback(
      null,
      addresses.map((address) => ({ address, family: net.isIPv6(address) ? 6 : 4 })),
    )
  }
  return { resolve, asked: () => asked }
}

const outcomeOf = (network: DocumentNetwork, url: URL) =>
  createDocumentFetch({ ca: certificate.cert, ...network })(url).then(
    ({ status, text }) => `${status} ${text.length}`,
    (error: unknown) => causeOf(error),
  )
const anywhere = { dangerouslyAllowPrivateNetwork: true, ...nameServer(['127.0.0.1']) }

t.test('a description is fetched, as it is (N-03)', async (t) => {
  const { url, requests } = await startServer(t, (_request, response) => {
    response
      .writeHead(200, { 'content-type': 'application/json', 'cache-control': 'max-age=600', age: '100' })
      .end(document)
  })
  const fetched = await createDocumentFetch({ ca: certificate.cert, ...anywhere })(url)
  t.same(fetched, { status: 200, contentType: 'application/json', text: document, maxAgeSeconds: 500 })
  const { headers } = requests[0]!
  t.equal(headers.cookie, undefined)
  t.equal(headers.authorization, undefined)
})

t.test('private addresses are not connected to, by name or by number (N-03, F-03)', async (t) => {
  const { url, port, requests } = await startServer(t, (_request, response) => response.end(document))
  const guarded = { dangerouslyAllowPrivateNetwork: false }
  for (const address of ['127.0.0.1', '10.0.0.1', '169.254.169.254', '::1', 'fd00::1', '::ffff:127.0.0.1']) {
    t.equal(await outcomeOf({ ...guarded, ...nameServer([address]) }, url), 'ADDRESS_REFUSED', address)
  }
  for (const host of ['127.0.0.1', '169.254.169.254', '[::1]', '[::ffff:7f00:1]']) {
    t.equal(await outcomeOf(guarded, new URL(`https://${host}:${port}/a`)), 'ADDRESS_REFUSED', host)
  }
  t.equal(requests.length, 0)
})

t.test(
  'a name that changes between the check and the connection leads nowhere (N-03, F-03, DNS rebinding)',
  async (t) => {
    const { url, requests } = await startServer(t, (_request, response) => response.end(document))
    // In the part of the internet that is not assigned to anybody: permitted, and nobody is there.
    const nobody = '2fff:ffff::1'
    const network = { dangerouslyAllowPrivateNetwork: false, totalMs: 200 }
    const rebinding = nameServer([nobody], ['127.0.0.1'])
    const mixed = nameServer([nobody, '127.0.0.1'])
    t.notMatch(
      await outcomeOf({ ...network, ...rebinding }, url),
      '200',
      'it goes where the first answer says',
    )
    t.equal(rebinding.asked(), 1, 'what is checked is what is connected to')
    t.notMatch(await outcomeOf({ ...network, ...mixed }, url), '200', 'a private address beside a public one')
    t.equal(requests.length, 0)
  },
)

t.test('redirects are not followed (N-03, F-04)', async (t) => {
  const target = await startServer(t, (_request, response) => response.end(document))
  const { url } = await startServer(t, (_request, response) => {
    response.writeHead(302, { location: target.url.href }).end()
  })
  t.equal(await outcomeOf(anywhere, url), '302 0')
  t.equal(target.requests.length, 0)
})

t.test('more than 64 KiB is given up (N-03)', async (t) => {
  for (const [size, expected] of [
    [65_536, '200 65536'],
    [65_537, 'answer too large'],
  ] as const) {
    const { url } = await startServer(t, (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).end(' '.repeat(size))
    })
    t.equal(await outcomeOf(anywhere, url), expected)
  }
})

t.test('who is slow is given up: no head, no end, no connection (N-03)', async (t) => {
  const never = await startServer(t, () => {})
  const trickling = await startServer(t, (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' })
    const timer = setInterval(() => response.write(' '), 20)
    response.on('close', () => clearInterval(timer))
  })
  const sockets = new Set<net.Socket>()
  const silent = net.createServer((socket) => void sockets.add(socket)).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    silent.close()
  })
  const { port } = silent.address() as AddressInfo
  for (const url of [never.url, trickling.url, new URL(`https://agent.example.com:${port}/a`)]) {
    t.match(await outcomeOf({ ...anywhere, totalMs: 150 }, url), /^(?:TimeoutError|UND_ERR_.*TIMEOUT)/)
  }
})

t.test('a certificate that nobody has vouched for is refused (N-03)', async (t) => {
  const { url, requests } = await startServer(t, (_request, response) => response.end(document))
  const others = selfSigned('agent.example.com').cert
  t.match(await outcomeOf({ ...anywhere, ca: others }, url), /SELF_SIGNED|UNABLE|CERT/)
  t.equal(requests.length, 0)
})

t.test('for how long an answer is fresh (RFC 9111 §4.2.1, N-03)', async (t) => {
  const age = (...fields: string[]) => maxAgeOf({ fields })
  t.equal(age(), undefined)
  t.equal(age('Cache-Control', 'public, max-age=3600'), 3600)
  t.equal(age('cache-control', 'max-age="60"'), 60)
  t.equal(age('cache-control', 'max-age=60', 'age', '100'), 0)
  t.equal(age('cache-control', 'max-age=60, no-store'), 0)
  t.equal(age('cache-control', 'no-cache'), 0)
  t.equal(age('cache-control', 's-maxage=5'), undefined)
  t.equal(age('date', 'Tue, 01 Dec 2026 00:00:00 GMT', 'expires', 'Tue, 01 Dec 2026 00:10:00 GMT'), 600)
  t.equal(age('expires', '0'), 0)
})
