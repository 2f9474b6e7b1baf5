/** The files in deploy/, each by a tool that knows its kind. */
import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { IDeployment } from 'kubernetes-models/apps/v1'
import t from 'tap'
import { parse, parseAllDocuments } from 'yaml'
import { loadConfig } from '../../../gateway/config/load.ts'

const read = (path: string) => readFileSync(`deploy/${path}`, 'utf8')
const run = (program: string, ...args: readonly string[]) =>
  execFileSync('/usr/bin/env', ['-u', 'NODE_OPTIONS', program, ...args], { encoding: 'utf8' })

/** Where the types of each kind are. */
const KUBERNETES: Record<string, string> = {
  Namespace: 'kubernetes-models/v1',
  Service: 'kubernetes-models/v1',
  Deployment: 'kubernetes-models/apps/v1',
  PodDisruptionBudget: 'kubernetes-models/policy/v1',
  NetworkPolicy: 'kubernetes-models/networking.k8s.io/v1',
  ServiceMonitor: '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1',
}

interface Manifest {
  readonly kind: string
  readonly metadata: { readonly name: string }
}

const kustomization = parse(read('kubernetes/kustomization.yaml')) as { resources: string[] }
const manifests = kustomization.resources.flatMap((file) =>
  parseAllDocuments(read(`kubernetes/${file}`)).map((document) => document.toJS() as Manifest),
)

t.test('the Kubernetes manifests are valid, and have no key that nobody knows (Q-13)', async (t) => {
  t.same(
    readdirSync('deploy/kubernetes').sort(),
    [...kustomization.resources, 'gateway.yaml', 'kustomization.yaml'].sort(),
    'all of them are in use',
  )
  for (const manifest of manifests) {
    const models = (await import(KUBERNETES[manifest.kind]!)) as Record<
      string,
      new (
        data: Manifest,
      ) => { validate(): void }
    >
    t.doesNotThrow(() => new models[manifest.kind]!(manifest).validate(), manifest.kind)
  }
  // A schema lets unknown keys pass. A compiler does not, in a literal.
  const folder = mkdtempSync(join('build', 'manifests-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const check = (data: readonly Manifest[]) => {
    const lines = data.map((one, index) => {
      const type = `import('${KUBERNETES[one.kind]}').I${one.kind}`
      return `export const m${index}: ${type} = ${JSON.stringify(one)}`
    })
    writeFileSync(join(folder, 'manifests.ts'), lines.join('\n'))
    const options = ['--noEmit', '--skipLibCheck', '--strict', '--module', 'nodenext', '--ignoreConfig']
    return run('npx', 'tsc', ...options, join(folder, 'manifests.ts'))
  }
  t.equal(check(manifests), '')
  const wrong = structuredClone(manifests.find(({ kind }) => kind === 'PodDisruptionBudget')!)
  t.throws(() => check([{ ...wrong, spec: { minAvailble: 1 } } as Manifest]), 'a misspelled key is noticed')
})

t.test(
  'the pods take the time that the configuration says, and the probes their paths (Q-13, K-07)',
  async (t) => {
    const { shutdown, store, admin } = parse(read('kubernetes/gateway.yaml'))
    const deployment = manifests.find(({ kind }) => kind === 'Deployment') as unknown as IDeployment
    const spec = deployment.spec!.template.spec!
    t.ok(spec.terminationGracePeriodSeconds! * 1000 > shutdown.delayMs + shutdown.graceMs)
    t.match(admin, { host: '0.0.0.0' })
    const [{ volumeMounts, securityContext }] = spec.containers as [(typeof spec.containers)[number]]
    t.match(securityContext, { readOnlyRootFilesystem: true, allowPrivilegeEscalation: false })
    const secrets = volumeMounts!.find(({ name }) => name === 'secrets')!.mountPath
    t.ok(store.urlFile.startsWith(`${secrets}/`))
  },
)

t.test('their configurations are valid, but for the secrets that are not there (Q-13)', async (t) => {
  const folder = t.testdir({
    'provider-secret': 'secret',
    'sealing-secrets': Buffer.alloc(32, 1).toString('base64url'),
    'redis-url': 'redis://redis.redis.svc.cluster.local:6379',
  })
  for (const file of readdirSync(folder)) chmodSync(join(folder, file), 0o440)
  for (const path of ['kubernetes/gateway.yaml', 'docker/gateway.yaml']) {
    const file = join(folder, 'gateway.yaml')
    writeFileSync(file, read(path).replaceAll('/run/secrets/pkce-gateway', folder))
    const { config, warnings } = loadConfig({ file })
    t.equal(config.store.type, 'redis', path)
    t.equal(config.shutdown.delayMs, 5000)
    t.same(warnings, [], path)
  }
})

t.test('the Dockerfile, and the compose file (Q-13)', async (t) => {
  t.equal(run('npx', 'dockerfile-utils', 'lint', 'deploy/docker/Dockerfile'), '')
  t.equal(run('npx', 'dclint', '--quiet', 'deploy/docker/compose.yaml').trim(), '')
  const { services } = parse(read('docker/compose.yaml'), { merge: true }) as {
    services: Record<string, { volumes?: string[]; network_mode?: string }>
  }
  for (const [name, { volumes = [], network_mode }] of Object.entries(services)) {
    if (name !== 'network') t.equal(network_mode, 'service:network', name)
    for (const volume of volumes) t.ok(existsSync(join('deploy/docker', volume.split(':')[0]!)), volume)
  }
  const realm = JSON.parse(read('docker/realm.json'))
  const { provider, publicUrl } = parse(read('docker/gateway.yaml'))
  t.match(realm.clients[0], {
    clientId: provider.clientId,
    secret: provider.clientSecret,
    redirectUris: [`${publicUrl}/oauth2/callback`],
  })
})

t.test(
  'the unit for systemd is one, and keeps the process in (Q-13)',
  { skip: !existsSync('/usr/bin/systemd-analyze') },
  async (t) => {
    const unit = 'deploy/systemd/pkce-gateway.service'
    // A machine without the package lacks what is started; all else must be right.
    const folder = mkdtempSync(join(tmpdir(), 'unit-'))
    t.teardown(() => rmSync(folder, { recursive: true }))
    const file = join(folder, 'pkce-gateway.service')
    writeFileSync(file, read('systemd/pkce-gateway.service').replaceAll('/usr/bin/node', process.execPath))
    const { stderr } = spawnSync('systemd-analyze', ['verify', file], { encoding: 'utf8' })
    t.equal(stderr, '')
    const exposure = run('systemd-analyze', 'security', '--offline=true', unit)
    t.ok(
      Number(/exposure level for [^:]+: ([\d.]+)/.exec(exposure)![1]) < 2,
      exposure.trim().split('\n').at(-1)!,
    )
  },
)
