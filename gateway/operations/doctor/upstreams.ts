import { Client } from 'undici'
import { readTrust, type Trust } from '../../config/certificate.ts'
import type { Upstream } from '../../config/schemas/config.ts'
import { Connecting } from '../../forward/upstream/connection.ts'
import { remedyFor } from '../../forward/upstream/remedies.ts'
import { isConnectFailure, UpstreamError } from '../../forward/upstream/upstream-error.ts'
import { type TargetAddress, targetAddress } from '../../http/target-address.ts'
import { day, type Finding, finding, inTwo } from './finding.ts'
import { NOTICE_MS } from './listener.ts'
import { lookAtPeer } from './peer.ts'
import type { Subject } from './subject.ts'

const ANSWER_MS = 5000
/** At a time, of all targets. */
const AT_ONCE = 100

/** Each target of each upstream: a HEAD without credentials, on a connection like the forwarder's. Anything answers. */
export async function diagnoseUpstreams({ loaded, now }: Subject): Promise<Finding[]> {
  const { upstreams, plugin } = loaded.config
  const { host: publicHost } = new URL(plugin.publicUrl)
  if (upstreams.length === 0) return [finding('upstreams', 'upstream_none')]
  const looks = upstreams.flatMap((upstream) =>
    [upstream.target].flat().map((target) => () => diagnoseTarget(upstream, target, { now, publicHost })),
  )
  const findings: Finding[] = []
  for (let n = 0; n < looks.length; n += AT_ONCE) {
    const some = await Promise.all(looks.slice(n, n + AT_ONCE).map((look) => look()))
    findings.push(...some.flat())
  }
  return findings
}

async function diagnoseTarget(
  upstream: Upstream,
  name: string,
  { now, publicHost }: Pick<Subject, 'now'> & { readonly publicHost: string },
): Promise<Finding[]> {
  const part = `upstream ${upstream.prefix}`
  const address = targetAddress(name)!
  const target = address.socketPath === undefined ? address.origin : `unix:${address.socketPath}`
  const trust = readTrust(upstream, ['upstreams'])
  const [answer, ending] = await Promise.all([
    ask(upstream, { ...address, host: hostFor(upstream, address, publicHost) }, trust),
    address.origin.startsWith('https:') ? lookAtPeer(new URL(address.origin), trust.ca) : undefined,
  ])
  if (answer instanceof Error) {
    const { found, advice } = inTwo(remedyFor(answer))
    const told = `${target}: ${found.replace(/^[A-Z](?=[a-z]* )/, (first) => first.toLowerCase())}`
    return [finding(part, 'upstream_failed', { found: told, ...(advice && { advice }) })]
  }
  const answers = finding(part, 'upstream_answers', { slots: { target, status: answer } })
  if (ending === undefined || ending.endsAt - now() >= NOTICE_MS) return [answers]
  const slots = { target, end: day(ending.endsAt) }
  return [answers, finding(part, 'upstream_certificate_ends', { slots })]
}

function hostFor({ host }: Upstream, address: TargetAddress, publicHost: string): string {
  return { upstream: address.host, public: publicHost }[host] ?? host
}

/** @returns the status, or why there is none. */
async function ask(
  upstream: Upstream,
  { origin, host, base, socketPath }: TargetAddress,
  trust: Trust,
): Promise<number | UpstreamError> {
  const { connect } = new Connecting(origin, { ...upstream, socketPath, trust }, () => performance.now())
  const client = new Client(origin, { connect, headersTimeout: ANSWER_MS, bodyTimeout: ANSWER_MS })
  try {
    const { statusCode, body } = await client.request({
      ...{ method: 'HEAD', path: base === '' ? '/' : base, signal: AbortSignal.timeout(ANSWER_MS) },
      headers: { host, 'user-agent': 'fastify-pkce' },
    })
    body.on('error', () => {}).destroy()
    return statusCode
  } catch (error) {
    if (!(error instanceof Error)) throw error
    if (error.name === 'TimeoutError') return new UpstreamError('headers_timeout', error)
    return isConnectFailure(error) ? UpstreamError.connecting(error) : UpstreamError.from(error)
  } finally {
    client.destroy().catch(() => {})
  }
}
