/** What doctor finds on this machine: secrets, Node, ports, certificates, proxies. Each finding is provoked. */
import { chmodSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { startAdmin } from '../../../../gateway/operations/admin/listener.ts'
import { diagnose } from '../../../../gateway/operations/doctor/diagnose.ts'
import type { Finding } from '../../../../gateway/operations/doctor/finding.ts'
import { diagnoseListener, diagnoseProxies } from '../../../../gateway/operations/doctor/listener.ts'
import { diagnoseNode } from '../../../../gateway/operations/doctor/node.ts'
import { diagnosePorts } from '../../../../gateway/operations/doctor/ports.ts'
import { diagnoseSecrets } from '../../../../gateway/operations/doctor/secrets.ts'
import { selfSigned } from '../../../support/certificate.ts'
import { codes, subjectOf, told } from '../../../support/doctor.ts'
import { minimal, secret, upstream } from '../../../support/gateway-config.ts'
import { freePort } from '../../../support/gateway-stack.ts'

const PUBLIC = 'https://api.example.com'
const RANDOM = 'Zm9vYmFyLWJhei1xdXV4LTEyMzQ1Njc4OTAtYWJjZGVm'
const DAY_MS = 86_400_000

t.test('secrets: length, likeness and files (Q-09)', async (t) => {
  const withSecret = (clientSecret: string, more = {}) =>
    subjectOf(t, { provider: { ...minimal().provider, clientSecret }, ...more })

  const sound = await diagnoseSecrets(withSecret('k3Jx9vQ2mW8pLr5TzY7b'))
  told(t, sound, 'secrets_sound', { found: /^1 secrets are set/ })

  const short = await diagnoseSecrets(withSecret('k3Jx9vQ2'))
  told(t, short, 'secret_short', {
    found: /^provider\.clientSecret has no more than 15 characters\.$/,
    advice: /set provider\.clientSecret\.$/,
  })

  for (const known of ['changeme', 'Gateway-Secret', 'my_password1', 'abcabcabcabcabcabc']) {
    const here = await diagnoseSecrets(withSecret(known))
    told(t, here, 'secret_example', {
      found: /^provider\.clientSecret can be guessed/,
      advice: /^Have another one in provider\.clientSecret before publicUrl/,
    })
    const there = await diagnoseSecrets(withSecret(known, { publicUrl: PUBLIC }))
    told(t, there, 'secret_guessable', { found: /^provider\.clientSecret can be/, advice: /^Make a new one/ })
  }

  const zeros = Buffer.alloc(33, 'abc').toString('base64url')
  const pattern = await diagnoseSecrets(subjectOf(t, { publicUrl: PUBLIC, secrets: [RANDOM, zeros] }))
  told(t, pattern, 'secret_guessable', { found: /^secrets\[1\] can be guessed/, advice: /set secrets\[1\]/ })

  const twice = await diagnoseSecrets(subjectOf(t, { secrets: [RANDOM, RANDOM] }))
  told(t, twice, 'secret_repeated', {
    found: /^secrets\[1\] is the same as secrets\[0\]\.$/,
    advice: /^Give each a secret of its own/,
  })
  const all = JSON.stringify([short, pattern, twice])
  for (const value of ['k3Jx9vQ2', zeros, RANDOM]) t.notOk(all.includes(value), 'no secret is told')
})

t.test('secrets: what others may read or change (Q-09)', async (t) => {
  const folder = t.testdir({ secret: `${secret} \n`, redis: 'redis://:k3Jx9vQ2mW8pLr5TzY7b@127.0.0.1:1' })
  const { clientSecret, ...provider } = minimal().provider
  const of = async (mode: number) => {
    chmodSync(join(folder, 'secret'), mode)
    return subjectOf(t, { provider: { ...provider, clientSecretFile: join(folder, 'secret') } })
  }
  for (const [mode, what] of [
    [0o644, 'read'],
    [0o640, 'read'],
    [0o622, 'changed'],
  ] as const) {
    const findings = await diagnoseSecrets(await of(mode))
    told(t, findings, 'secret_file_open', {
      found: new RegExp(
        `secret \\(provider\\.clientSecretFile\\) can be ${what} by other users: its mode is 0${mode.toString(8)}`,
      ),
      advice: /^Close it: `chmod 600 .*secret`\.$/,
    })
  }
  const closed = await of(0o600)
  told(t, await diagnoseSecrets(closed), 'secrets_sound', { found: /^1 / })
  t.notMatch(JSON.stringify(await diagnoseSecrets(closed)), secret)

  // As the start warns.
  told(t, await part(closed, 'configuration'), 'configuration_warning', {
    found: /provider\.clientSecretFile begins or ends with spaces, which are not taken for a part of it\.$/,
    advice: /docs\/options\.md/,
  })
  chmodSync(join(folder, 'redis'), 0o604)
  const store = { type: 'redis', urlFile: join(folder, 'redis') } as const
  told(t, await diagnoseSecrets(subjectOf(t, { store, secrets: [RANDOM] })), 'secret_file_open', {
    found: /redis \(store\.urlFile\) can be read/,
    advice: /chmod 600/,
  })
})

t.test(
  'configuration: what the start warns of, and what is told elsewhere is told once (Q-09)',
  async (t) => {
    told(t, await part(subjectOf(t), 'configuration'), 'configuration_valid', { found: /^It is valid\.$/ })
    const off = await part(subjectOf(t, { rateLimit: false }), 'configuration')
    told(t, off, 'configuration_warning', { found: /^rateLimit is false\.$/, advice: /^Nothing slows down/ })
  },
)

t.test('node: its end, and the variables that change what it does (Q-09)', async (t) => {
  const at = (nodeVersion: string, date: string) =>
    diagnoseNode(subjectOf(t, {}, { nodeVersion, now: () => Date.parse(date) }))
  told(t, at('v24.3.0', '2026-01-01'), 'node_supported', { found: /^Node 24\.3\.0 .* until 2028-04-30\.$/ })
  told(t, at('v22.22.0', '2026-11-30'), 'node_ends', {
    found: /^Node 22\.22\.0 gets no security fixes after 2027-04-30\.$/,
    advice: /^Plan the move to Node 24\.$/,
  })
  t.same(codes(at('v20.20.2', '2026-04-30')), ['node_ends'], 'the last day counts')
  told(t, at('v20.20.2', '2026-05-02'), 'node_ended', {
    found: /they ended on 2026-04-30/,
    advice: /^Move to Node 24\.$/,
  })
  told(t, at('v25.1.0', '2026-05-02'), 'node_unknown', {
    found: /^Node 25\.1\.0 /,
    advice: /^Use Node 24\.$/,
  })

  const among = (environment: Record<string, string>, publicUrl = PUBLIC) =>
    diagnoseNode(subjectOf(t, { publicUrl }, { environment, nodeVersion: 'v24.0.0' }))
  told(t, among({}), 'node_not_production', { found: /^NODE_ENV is not production/, advice: /^Set NODE_ENV/ })
  t.same(codes(among({ NODE_ENV: 'production' })), ['node_supported'])
  t.same(codes(among({}, 'http://127.0.0.1:3000')), ['node_supported'])
  told(t, among({ NODE_TLS_REJECT_UNAUTHORIZED: '0' }), 'node_checks_nothing', {
    found: /^NODE_TLS_REJECT_UNAUTHORIZED is 0/,
    advice: /provider\.caFile, upstreams\[\]\.caFile or store\.caFile/,
  })
  const proxied = among({ HTTPS_PROXY: 'http://user:proxy-password@10.0.0.1:8080', http_proxy: 'x' })
  told(t, proxied, 'node_proxy_unused', {
    found: /^The gateway goes through no proxy, whatever HTTPS_PROXY and http_proxy says\.$/,
    advice: /^Let this machine reach/,
  })
  t.notMatch(JSON.stringify(proxied), 'proxy-password')
  const folder = t.testdir({ 'ca.pem': selfSigned('ca').cert })
  told(t, among({ NODE_EXTRA_CA_CERTS: join(folder, 'ca.pem') }), 'node_extra_ca', {
    found: /every connection/,
  })
  told(t, among({ NODE_EXTRA_CA_CERTS: join(folder, 'none.pem') }), 'node_extra_ca_unreadable', {
    found: /none\.pem \(ENOENT\)\.$/,
    advice: /Node goes on without it\.$/,
  })
})

t.test('listener: ports, free, taken, or of the gateway that runs (Q-09)', async (t) => {
  const [port, adminPort] = [await freePort(), await freePort()]
  const subject = subjectOf(t, { listen: { port }, admin: { port: adminPort } })
  const free = await diagnosePorts(subject)
  t.same(codes(free), ['listen_port_free', 'listen_port_free'])
  told(t, free.slice(0, 1), 'listen_port_free', {
    found: new RegExp(`^127\\.0\\.0\\.1:${port} can be opened \\(listen\\.port\\)\\.$`),
  })

  const other = createServer().listen(port, '127.0.0.1')
  t.teardown(() => other.close())
  told(t, await diagnosePorts(subject), 'listen_port_taken', {
    found: new RegExp(`^127\\.0\\.0\\.1:${port} cannot be opened: EADDRINUSE\\.$`),
    advice: /^Another process uses the port.*listen\.port/,
  })
  const elsewhere = await diagnosePorts(
    subjectOf(t, { listen: { port, host: '192.0.2.1' }, admin: { port: 0 } }),
  )
  told(t, elsewhere, 'listen_port_taken', { found: /EADDRNOTAVAIL/, advice: /listen\.host/ })

  let store: string | null = null
  const admin = await startAdmin({
    ...{ host: '127.0.0.1', port: adminPort, draining: () => false, token: () => undefined },
    sessions: async () => ({ ended: 0 }),
    reload: async () => null,
    log: { warn: () => {}, error: () => {} },
    readiness: async () => ({ forwarding: null, store, provider: null }),
  })
  t.teardown(() => admin.close())
  const own = await diagnosePorts(subject)
  t.same(codes(own), ['listen_port_own', 'listen_port_own'])
  told(t, own.slice(0, 1), 'listen_port_own', { found: /is open: a gateway runs here, and is ready\.$/ })
  store = 'redis: \u001b[2Jno answer in time'
  told(t, await diagnosePorts(subject), 'listen_not_ready', {
    found: /^The gateway that runs here is degraded: store: redis: \?\[2Jno answer in time\.$/,
    advice: /its log\.$/,
  })
})

t.test('listener: what else has the admin port is not taken for a gateway (Q-09)', async (t) => {
  const port = await freePort()
  const silent = createServer((socket) => socket.end('HTTP/1.1 200 OK\r\n\r\n{"status":"ok"}')).listen(
    port,
    '127.0.0.1',
  )
  t.teardown(() => silent.close())
  told(t, await diagnosePorts(subjectOf(t, { listen: { port: 0 }, admin: { port } })), 'listen_port_taken', {
    found: /EADDRINUSE/,
    advice: /admin\.port/,
  })
})

t.test('listener: how many files it may open, against its connections (Q-09)', async (t) => {
  const limits = (soft: string) => () =>
    `Limit                     Soft Limit           Hard Limit           Units     \nMax open files            ${soft}                 1048576              files     \n`
  const of = (soft: string) =>
    diagnoseListener(
      subjectOf(t, { listen: { maxConnections: 1000 }, upstreams: [upstream] }, { limits: limits(soft) }),
    )
  told(t, of('1024'), 'listen_files_few', {
    found: /^The process may open 1024 files, and listen\.maxConnections takes up to 1\d\d\d\.$/,
    advice: /LimitNOFILE/,
  })
  told(t, of('4096'), 'listen_files', { found: /may open 4096 files/ })
  t.same(codes(of('unlimited')), ['listen_files'])
  t.same(diagnoseListener(subjectOf(t, {}, { limits: () => undefined })), [], 'where there is no /proc')
})

t.test('listener: the end, name, chain and key of its certificate (Q-09)', async (t) => {
  const folder = t.testdir({})
  const [certFile, keyFile] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
  const write = (cert: string, key: string) => {
    writeFileSync(certFile, cert)
    writeFileSync(keyFile, key, { mode: 0o600 })
  }
  const of = (publicUrl = PUBLIC) =>
    diagnoseListener(
      subjectOf(t, { publicUrl, listen: { tls: { certFile, keyFile } } }, { limits: () => undefined }),
    )
  const authority = selfSigned('authority')
  const inDays = (days: number, issuer?: typeof authority) =>
    selfSigned('api.example.com', new Date(Date.now() + days * DAY_MS), issuer)

  const sound = inDays(90)
  write(sound.cert, sound.key)
  told(t, of(), 'listen_certificate', {
    found: /^The certificate of api\.example\.com ends on \d{4}-\d\d-\d\d/,
  })
  t.same(codes(of('https://127.0.0.1')), ['listen_certificate'], 'an address of the certificate')
  told(t, of('https://other.example.com'), 'listen_certificate_name', {
    found: /not for other\.example\.com, the host of publicUrl/,
    advice: /listen\.tls\.certFile/,
  })

  const ending = inDays(10)
  write(ending.cert, ending.key)
  told(t, of(), 'listen_certificate_ends', { found: /ends on/, advice: /listen\.tls\.certFile/ })
  const ended = inDays(-1)
  write(ended.cert, ended.key)
  told(t, of(), 'listen_certificate_expired', { found: /has ended on/, advice: /^Renew listen\.tls/ })

  const issued = inDays(90, authority)
  write(issued.cert, issued.key)
  told(t, of(), 'listen_certificate_chain', { found: /neither in the file nor/, advice: /intermediate/ })
  write(issued.cert + authority.cert, issued.key)
  t.same(codes(of()), ['listen_certificate'], 'with its issuer behind it')
  write(issued.cert + sound.cert, issued.key)
  t.same(codes(of()), ['listen_certificate_chain'], 'another one behind it')
  const extra = join(folder, 'extra.pem')
  writeFileSync(extra, authority.cert)
  write(issued.cert, issued.key)
  const trusting = subjectOf(
    t,
    { publicUrl: PUBLIC, listen: { tls: { certFile, keyFile } } },
    { environment: { NODE_EXTRA_CA_CERTS: extra }, limits: () => undefined },
  )
  t.same(codes(diagnoseListener(trusting)), ['listen_certificate'], 'an authority of NODE_EXTRA_CA_CERTS')

  // After the configuration was read.
  write(issued.cert, sound.key)
  told(t, diagnoseListener(trusting), 'listen_certificate_unusable', {
    found: /listen\.tls\.keyFile.*is not the private key of the certificate/,
    advice: /listen\.tls\.certFile and keyFile/,
  })
})

t.test('proxies: trustProxy against where TLS ends (Q-09)', async (t) => {
  const of = (input: Parameters<typeof subjectOf>[1]) => diagnoseProxies(subjectOf(t, input))
  told(t, of({ publicUrl: PUBLIC }), 'proxies_untrusted', {
    found: /trustProxy is empty/,
    advice: /^Name its addresses in trustProxy/,
  })
  told(t, of({ publicUrl: PUBLIC, trustProxy: ['10.0.0.0/8'] }), 'proxies_named', {
    found: /trustProxy names 1/,
  })
  told(t, of({}), 'proxies_none', { found: /reached directly/ })
})

t.test('what fails in one part does not keep the others from being told (Q-09)', async (t) => {
  const folder = t.testdir({ secret })
  const { clientSecret, ...provider } = minimal().provider
  const subject = subjectOf(t, {
    provider: { ...provider, clientSecretFile: join(folder, 'secret') },
    listen: { port: 0 },
    admin: { port: 0 },
  })
  chmodSync(join(folder, 'secret'), 0o600)
  writeFileSync(join(folder, 'secret'), '')
  const findings = await whole(subject)
  told(t, findings, 'check_failed', {
    found: /^This part could not be checked: Error\.$/,
    advice: /^Try again/,
  })
  t.equal(findings.find(({ code }) => code === 'check_failed')?.part, 'secrets')
  t.equal(findings.at(-1)?.code, 'upstream_none')
})

async function whole(subject: Parameters<typeof diagnose>[0]): Promise<Finding[]> {
  const findings: Finding[] = []
  for await (const one of diagnose(subject)) findings.push(one)
  return findings
}

async function part(subject: Parameters<typeof diagnose>[0], name: string): Promise<Finding[]> {
  return (await whole(subject)).filter(({ part }) => part === name)
}
