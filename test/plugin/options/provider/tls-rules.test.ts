import t from 'tap'
import { selfSigned } from '../../../support/certificate.ts'
import { oneProblem, problemsOf, withProvider } from '../../../support/plugin-options.ts'

const ours = selfSigned('backend.example')
const other = selfSigned('backend.example')
const pair = { clientCert: ours.cert, clientKey: ours.key }
const mtls = { clientAuthentication: 'tls_client_auth', clientSecret: undefined }

t.test('PEM that can be used, or functions that are asked later (Q-07, RFC 8705 §2)', async (t) => {
  for (const options of [
    { ca: ours.cert },
    { ca: `# ours\n${ours.cert}\n${other.cert}` },
    pair,
    { ...mtls, ...pair },
    { ...mtls, clientCert: () => 'x', clientKey: () => 'y', ca: () => 'z' },
    { ...mtls, clientCert: () => 'x', clientKey: ours.key },
  ]) {
    t.same(problemsOf(withProvider(options)), [])
  }
})

t.test('what is missing, none, or of another is told before anything connects (Q-07)', async (t) => {
  for (const [options, key, words] of [
    [{ ca: 's3cret' }, 'ca', 'is not a list of PEM certificates'],
    [{ ca: ours.key }, 'ca', 'is not a list of PEM certificates'],
    [{ ca: ours.cert.replace(/\n[^\n]{10}/, '\n') }, 'ca', 'is not a list of PEM certificates'],
    [mtls, 'clientCert', 'is required: clientAuthentication is tls_client_auth'],
    [{ ...mtls, clientCert: ours.cert }, 'clientKey', 'is required: clientCert is set'],
    [{ clientKey: ours.key }, 'clientCert', 'is required: clientKey is set'],
    [{ ...pair, clientCert: 's3cret' }, 'clientCert', 'is not a PEM certificate'],
    [{ ...pair, clientKey: 's3cret' }, 'clientKey', 'is not a private key in PEM'],
    [{ ...pair, clientKey: other.key }, 'clientKey', 'belongs to another certificate'],
  ] as const) {
    oneProblem(t, withProvider(options), `provider.${key}`, words)
    t.notMatch(problemsOf(withProvider(options)).join(), 's3cret')
  }
})
