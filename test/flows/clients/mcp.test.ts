import { readFileSync } from 'node:fs'
import https from 'node:https'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { parse, stringify } from 'yaml'
import { demoConfiguration, gatewayAtProvider } from '../../../examples/demo/configuration.ts'
import { startProvider } from '../../../examples/demo/provider.ts'
import { selfSigned } from '../../support/certificate.ts'
import { Command } from '../../support/gateway-command.ts'
import { freePort, startGatewayStack } from '../../support/gateway-stack.ts'
import { Agent, AgentMemory, type McpApi, startMcpApi } from '../../support/mcp.ts'
import { listen } from '../../support/provider-server.ts'

const scopes = [{ name: 'orders.read', description: 'Read your orders' }]

/** All that an agent does, from the address of the server to the end of its session there. */
async function useServer(t: Test, agent: Agent, mcp: McpApi): Promise<void> {
  await agent.connect()
  const { tools } = await agent.client.listTools()
  t.same(
    tools.map(({ name }) => name),
    ['orders'],
  )
  t.match(await agent.client.callTool({ name: 'orders' }), { content: [{ text: 'three orders' }] })

  const before = agent.memory.kept?.access_token
  t.equal(await agent.refresh(), 'AUTHORIZED')
  t.not(agent.memory.kept?.access_token, before)
  await mcp.say('after the refresh')
  t.equal(await agent.hears(), 'after the refresh', 'its stream goes on')

  await agent.end()
  t.ok(mcp.methods.includes('DELETE'))
  const tokens = [before, agent.memory.kept?.access_token].map(String)
  t.notOk(
    mcp.authorizations.some((one) => tokens.some((token) => one.includes(token))),
    'the server has never seen a token of the agent',
  )
}

for (const host of ['127.0.0.1', 'localhost']) {
  t.test(`an agent that registers itself, on ${host} (N-01, N-04, N-06)`, async (t) => {
    const mcp = await startMcpApi(t)
    const stack = await startGatewayStack(t, (config) => ({
      ...config,
      ...{ scopes, clients: [], agents: { registration: {}, scopes: ['orders.read'] } },
      upstreams: [{ prefix: '/mcp', target: mcp.origin, scopes: ['orders.read'] }],
    }))
    const agent = new Agent(`${stack.publicUrl}/mcp`, new AgentMemory(`http://${host}:51234/callback`))
    await useServer(t, agent, mcp)
    t.match(agent.memory.information?.client_id, /^agent_/)
  })
}

/** A gateway in a process of its own, which trusts the authority of the description's server. */
async function startGatewayFor(t: Test, mcp: McpApi, agents: object, authority = '') {
  const port = await freePort()
  const publicUrl = `http://127.0.0.1:${port}`
  const provider = await startProvider({ port: 0, clients: [gatewayAtProvider(publicUrl)] })
  t.teardown(() => provider.close())
  const demo = { publicUrl, port, adminPort: 0, providerIssuer: provider.issuer, apiOrigin: mcp.origin }
  const config = {
    ...demoConfiguration(demo),
    ...{ scopes, agents, log: { level: 'info' } },
    upstreams: [{ prefix: '/mcp', target: mcp.origin, scopes: ['orders.read'] }],
  }
  const folder = t.testdir({ 'gateway.yaml': stringify(config), 'authority.pem': authority })
  const gateway = new Command(t, ['--config', join(folder, 'gateway.yaml')], {
    environment: authority === '' ? {} : { NODE_EXTRA_CA_CERTS: join(folder, 'authority.pem') },
  })
  await gateway.ready()
  return { publicUrl, gateway }
}

for (const host of ['127.0.0.1', 'localhost']) {
  t.test(`an agent that has a description, on ${host} (N-01, N-03, N-06)`, async (t) => {
    const mcp = await startMcpApi(t)
    const certificate = selfSigned('localhost')
    const server = https.createServer(certificate, (_request, response) => {
      response.setHeader('content-type', 'application/json').end(JSON.stringify(document))
    })
    const { origin, requests } = await listen(t, server)
    const document = { client_id: `${origin}/agent.json`, redirect_uris: [`http://${host}/callback`] }
    const agents = { metadataDocuments: true, scopes: ['orders.read'], dangerouslyAllowPrivateNetwork: true }
    const { publicUrl, gateway } = await startGatewayFor(t, mcp, agents, certificate.cert)
    const memory = new AgentMemory(`http://${host}:51234/callback`, document.client_id)
    await useServer(t, new Agent(`${publicUrl}/mcp`, memory), mcp)
    t.equal(memory.information?.client_id, document.client_id)
    t.equal(requests.length, 1, 'its description was fetched once')
    const lines = gateway.stdout.join('\n')
    t.match(lines, `"clientId":"${origin}/…"`)
    t.notMatch(lines, 'agent.json', 'no more than the host is in the log')
  })
}

t.test('an agent where nobody is let in is told so (N-03, N-04)', async (t) => {
  const mcp = await startMcpApi(t)
  const stack = await startGatewayStack(t, (config) => ({
    ...config,
    upstreams: [{ prefix: '/mcp', target: mcp.origin, scopes: ['orders.read'] }],
  }))
  const description = 'https://agent.example.com/agent.json'
  const agent = new Agent(
    `${stack.publicUrl}/mcp`,
    new AgentMemory('http://127.0.0.1:1/callback', description),
  )
  await t.rejects(agent.connect(), /does not support dynamic client registration/)
  const page = await fetch(
    `${stack.publicUrl}/oauth2/authorize?client_id=${encodeURIComponent(description)}&response_type=code`,
  )
  t.equal(page.status, 400)
  t.match(await page.text(), 'The client is not known here.')
})

t.test('the configuration in docs/agents.md, as it is printed (N-03, N-04)', async (t) => {
  const page = readFileSync(new URL('../../../docs/agents.md', import.meta.url), 'utf8')
  const [, printed = ''] = /```yaml\n(.*?)```/s.exec(page) ?? []
  const mcp = await startMcpApi(t)
  const stack = await startGatewayStack(t, ({ publicUrl, listen, admin, provider: { issuer } }) => {
    const addressed = printed
      .replaceAll('https://mcp.example.com', publicUrl)
      .replaceAll('https://login.example.com', issuer)
      .replaceAll('http://127.0.0.1:3001', mcp.origin)
      .replaceAll('clientSecretFile: provider-secret', 'clientSecret: gateway-secret')
    return { ...parse(addressed), listen, admin }
  })
  const agent = new Agent(`${stack.publicUrl}/mcp`, new AgentMemory('http://127.0.0.1:51234/callback'))
  await agent.connect()
  t.match(await agent.client.callTool({ name: 'orders' }), { content: [{ text: 'three orders' }] })
  await agent.end()
})
