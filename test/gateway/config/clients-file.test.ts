/** clients in a file of their own, which many clients need, and whoever makes that file by a program. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { stringify } from 'yaml'
import { gatewayConfig } from '../../../gateway/config/load.ts'
import { printConfig } from '../../../gateway/config/print.ts'
import { file, load, minimal, problemsOf } from '../../support/gateway-config.ts'

const app = (name: string) => ({ clientId: name, redirectUris: [`${name}:/callback`], scopes: ['api'] })
const { clients: _, ...withoutClients } = minimal()

/** A configuration that names a file of clients, and that file beside it. */
function written(t: Test, clients: unknown, { own = [] as unknown[], name = 'clients.yaml' } = {}) {
  const values = { ...withoutClients, ...(own.length > 0 && { clients: own }), clientsFile: name }
  const path = file(t, values)
  const text = name.endsWith('.json') ? JSON.stringify(clients, null, 2) : stringify(clients)
  const list = join(path, '..', name)
  mkdirSync(join(list, '..'), { recursive: true })
  writeFileSync(list, typeof clients === 'string' ? clients : text)
  const problems = () => problemsOf(path).map((line) => line.replaceAll(list, 'list'))
  return { path, list, problems }
}
const idsOf = (path: string) => load(path).config.plugin.clients.map(({ clientId }) => clientId)

for (const name of ['clients.yaml', 'clients.json']) {
  t.test(`both are taken, those of ${name} behind the others (Q-14)`, async (t) => {
    const { path } = written(t, [app('com.b'), app('com.c')], { own: [app('com.a')], name })
    t.same(idsOf(path), ['com.a', 'com.b', 'com.c'])
  })

  t.test(`a problem in ${name} has the line and the path there (Q-14)`, async (t) => {
    const { problems } = written(t, [app('com.b'), { ...app('com.c'), scope: ['api'] }], { name })
    const line = name === 'clients.yaml' ? '11:3' : '19:5'
    t.same(problems(), [`list:${line} [1].scope: is not known here; did you mean "scopes"?`])
  })

  t.test(`a clientId that stands in both names both places, in ${name} too (Q-14)`, async (t) => {
    const { problems } = written(t, [app('com.a')], { own: [app('com.a')], name })
    const line = name === 'clients.yaml' ? '1:3' : '3:5'
    t.same(problems(), [`list:${line} [0].clientId: is the clientId of another client too, file:7`])
  })
}

t.test('without clients of its own the configuration needs no empty list (Q-14)', async (t) => {
  t.same(idsOf(written(t, [app('com.b')]).path), ['com.b'])
})

t.test('a file that cannot be used is told, and nothing that follows from it (Q-14)', async (t) => {
  const { list, problems } = written(t, 'clientId: com.a\n')
  t.same(problems(), ['list:1:1 must be a list'])
  writeFileSync(list, '- { clientId: com.a, clientId: com.b }\n')
  t.same(problems(), ['list:1:22 this key is given twice'])
  writeFileSync(list, '[{ "clientId": "com.a", "clientId": "com.b" }]')
  t.same(problems(), ['list:1:25 this key is given twice'], 'in JSON too')
  writeFileSync(list, '[]')
  t.same(problems(), ['file:1:1 clients: must not be empty'])
  const missing = file(t, { ...withoutClients, clientsFile: 'none.yaml' })
  t.match(problemsOf(missing), [/^file:6:1 clientsFile: .*none\.yaml cannot be read: ENOENT$/])
  const number = file(t, { ...withoutClients, clientsFile: 7 })
  t.same(problemsOf(number), ['file:1:1 clients: is required', 'file:6:1 clientsFile: must be text'])
})

t.test('files that it names are relative to it (Q-14)', async (t) => {
  const confidential = { ...app('com.b'), authentication: 'client_secret_basic', clientSecretFile: 'secret' }
  const { path, list } = written(t, [confidential], { name: 'apps/clients.yaml' })
  writeFileSync(join(list, '../secret'), 'a-secret-of-the-app-itself\n', { mode: 0o600 })
  t.equal(load(path).config.plugin.clients[0]?.clientSecret, 'a-secret-of-the-app-itself')
})

t.test('what is printed says where each client stands, and can be used as it is (Q-14)', async (t) => {
  const { path, list } = written(t, [app('com.b')], { own: [app('com.a')] })
  const { effective, originOf } = load(path)
  t.match(originOf(['clients', 0, 'clientId']), /gateway\.yaml:7$/)
  t.equal(originOf(['clients', 1, 'clientId']), `${list}:1`)
  t.equal(originOf(['clients', 1, 'enabled']), 'default')
  t.notMatch(printConfig(effective, originOf), 'clientsFile')
})

t.test('programs name it relative to the working directory (Q-14)', async (t) => {
  const { list } = written(t, [app('com.b')])
  const { plugin } = gatewayConfig({ ...withoutClients, clients: [], clientsFile: list })
  t.same(
    plugin.clients.map(({ clientId }) => clientId),
    ['com.b'],
  )
  t.throws(
    () => gatewayConfig({ ...withoutClients, clients: [], clientsFile: `${list}.none` }),
    /cannot be read: ENOENT/,
  )
})
