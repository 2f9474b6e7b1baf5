import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { stringify } from 'yaml'
import { selfSigned } from '../../../support/certificate.ts'
import { load, matchAll, minimal, problemsOf, upstream } from '../../../support/gateway-config.ts'

const ours = selfSigned('gateway.test')
const other = selfSigned('other.test')
const expired = selfSigned('old.test', new Date(Date.now() - 1000))

const https = { ...upstream, target: 'https://orders.test' }

/** A configuration file with the upstreams, beside the PEM files that they name. */
function folder(t: Test, ...upstreams: object[]) {
  const name = t.testdir({
    'ca.pem': ours.cert,
    'bundle.pem': `# two of them\n${ours.cert}\n${other.cert}`,
    'half.pem': `${ours.cert}${other.cert.slice(0, 200)}\n-----END CERTIFICATE-----\n`,
    'client.pem': ours.cert,
    'client.key': ours.key,
    'other.key': other.key,
    'old.pem': expired.cert,
    'old.key': expired.key,
    'text.pem': 'no PEM',
  })
  for (const key of ['client.key', 'other.key', 'old.key']) chmodSync(join(name, key), 0o600)
  const file = join(name, 'gateway.yaml')
  writeFileSync(file, stringify({ ...minimal(), upstreams }))
  return { name, file }
}

t.test('the files of an upstream are found beside the configuration, and tried (Q-07)', async (t) => {
  const own = { caFile: 'bundle.pem', clientCertFile: 'client.pem', clientKeyFile: 'client.key' }
  const { name, file } = folder(t, { ...https, ...own }, { ...https, prefix: '/b' })
  const { config, warnings } = load(file)
  const [with_, without] = config.upstreams.toSorted((a) => (a.caFile === undefined ? 1 : -1))
  t.match(with_, {
    caFile: join(name, 'bundle.pem'),
    clientCertFile: join(name, 'client.pem'),
    clientKeyFile: join(name, 'client.key'),
  })
  t.notOk(without && ('caFile' in without || 'clientCertFile' in without))
  t.same(
    warnings.filter((warning) => /pem|key/.test(warning)),
    [],
  )
})

t.test('what is wrong with them stops the start, each with its place (Q-07)', async (t) => {
  const cases: [own: object, RegExp[]][] = [
    [{ caFile: 'none.pem' }, [/upstreams\[0\]\.caFile: .*none\.pem cannot be read: ENOENT$/]],
    [{ caFile: 'text.pem' }, [/upstreams\[0\]\.caFile: .*text\.pem is no list of certificates/]],
    [{ caFile: 'half.pem' }, [/upstreams\[0\]\.caFile: .*half\.pem is no list of certificates/]],
    [{ clientCertFile: 'client.pem' }, [/upstreams\[0\]\.clientCertFile: needs clientKeyFile$/]],
    [{ clientKeyFile: 'client.key' }, [/upstreams\[0\]\.clientKeyFile: needs clientCertFile$/]],
    [
      { clientCertFile: 'client.pem', clientKeyFile: 'other.key' },
      [/upstreams\[0\]\.clientKeyFile: .*other\.key is not the private key/],
    ],
    [
      { clientCertFile: 'client.pem', clientKeyFile: 'text.pem' },
      [/upstreams\[0\]\.clientKeyFile: .*text\.pem is no private key/],
    ],
    [{ caFile: 'ca.pem', target: 'http://orders.test' }, [/upstreams\[0\]\.caFile: needs an https target/]],
    [{ caFile: 'ca.pem', target: 'unix:/run/api.sock' }, [/upstreams\[0\]\.caFile: needs an https target/]],
    [{ caFile: '' }, [/upstreams\[0\]\.caFile: must not be empty$/]],
  ]
  for (const [own, problems] of cases) {
    matchAll(t, problemsOf(folder(t, { ...https, ...own }).file), problems, JSON.stringify(own))
  }
})

t.test('a certificate that has expired and a key that all can read are warned about', async (t) => {
  const { name, file } = folder(t, { ...https, clientCertFile: 'old.pem', clientKeyFile: 'old.key' })
  chmodSync(join(name, 'old.key'), 0o644)
  const { warnings } = load(file)
  t.match(
    warnings.filter((warning) => warning.includes('old')),
    [/old\.pem has expired/, /old\.key holds a secret and can be read by every user/],
  )
})
