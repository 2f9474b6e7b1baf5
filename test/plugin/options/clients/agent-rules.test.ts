import t from 'tap'
import { resolveOptions } from '../../../../plugin/index.ts'
import { least, oneProblem, problemsOf } from '../../../support/plugin-options.ts'

const scopes = [{ name: 'orders.read', description: 'Read your orders' }]
const withAgents = (agents: object, more: object = {}) => ({ ...least(), scopes, agents, ...more })

t.test('apps that nobody registered are off by default, each part by itself (N-03, N-04)', async (t) => {
  t.same(resolveOptions(least()).agents, {
    metadataDocuments: false,
    registration: false,
    allowedHosts: [],
    allowedOrigins: [],
    scopes: [],
    dangerouslyAllowPrivateNetwork: false,
  })
  const { agents } = resolveOptions(withAgents({ registration: {} }))
  t.same(agents.registration, { max: 1000, unusedSeconds: 3600, idleSeconds: 7_776_000 })
  t.equal(agents.metadataDocuments, false)
})

t.test('what is wrong with them is told at its place (N-03, N-05)', async (t) => {
  oneProblem(
    t,
    withAgents({ scopes: ['orders.raed'] }),
    'agents.scopes[0]',
    /described in scopes.*orders\.read/,
  )
  for (const host of [
    'Agent.example.com',
    'https://a.ex',
    'a.ex/',
    '*.a.ex',
    'a.ex:443',
    'a..ex',
    'a.ex:0',
  ]) {
    oneProblem(t, withAgents({ allowedHosts: [host] }), 'agents.allowedHosts[0]', 'must be a host', host)
  }
  t.same(problemsOf(withAgents({ allowedHosts: ['a.ex', 'a.ex:8443', 'localhost'] })), [])
  oneProblem(t, withAgents({ allowedOrigins: ['*'] }), 'agents.allowedOrigins[0]')
  oneProblem(t, withAgents({ registration: true }), 'agents.registration')
  oneProblem(t, withAgents({ registration: { max: 10_001 } }), 'agents.registration.max')
  oneProblem(t, withAgents({ registration: { idleSeconds: 59 } }), 'agents.registration.idleSeconds')
  oneProblem(t, withAgents({ metadataDocument: true }), 'agents.metadataDocument', 'metadataDocuments')
})

t.test('scopes have words once (N-05)', async (t) => {
  oneProblem(t, { ...least(), scopes: [...scopes, ...scopes] }, 'scopes[1].name', 'described twice')
  oneProblem(t, { ...least(), scopes: [{ name: 'a b', description: 'x' }] }, 'scopes[0].name', 'RFC 6749')
  oneProblem(t, { ...least(), scopes: [{ name: 'a' }] }, 'scopes[0].description')
})

t.test('nobody need be registered where others are let in', async (t) => {
  t.same(problemsOf(withAgents({ registration: {} }, { clients: [] })), [])
  t.same(problemsOf(withAgents({ metadataDocuments: true }, { clients: [] })), [])
  oneProblem(t, withAgents({}, { clients: [] }), 'clients', 'must not be empty')
})

t.test('a private network is told of at start, where it can be reached (SC-07, N-03)', async (t) => {
  const { warnings } = resolveOptions(
    withAgents({ metadataDocuments: true, dangerouslyAllowPrivateNetwork: true }),
  )
  t.match(warnings, [/^agents\.dangerouslyAllowPrivateNetwork: /])
  t.same(resolveOptions(withAgents({ dangerouslyAllowPrivateNetwork: true })).warnings, [])
})
