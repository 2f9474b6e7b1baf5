import {
  type ExaminedAuthorization,
  type ExaminedKeys,
  examineProvider,
  type ProviderExamination,
  type ProviderName,
  providerPath,
  providersOf,
  type ResolvedProvider,
  validateOptions,
} from '../../../plugin/api/internal.ts'
import { ConfigError, type ConfigProblem, formatPath } from '../../../plugin/index.ts'
import { optionsAtEachUse } from '../provider-secrets.ts'
import type { FindingCode } from './catalogue.ts'
import { type Circumstances, day, type Finding, finding, inTwo, sentence } from './finding.ts'
import { NOTICE_MS } from './listener.ts'
import { lookAtPeer, type Peer } from './peer.ts'
import type { Subject } from './subject.ts'

/** `Date` has whole seconds, and an answer takes its time. */
const CLOCK_SECONDS = 5

const UNTRUSTED =
  /^(?:DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_VERIFY_LEAF_SIGNATURE|UNABLE_TO_GET_ISSUER_CERT(?:_LOCALLY)?)$/
const WRONG_CERTIFICATE = /^(?:CERT_HAS_EXPIRED|CERT_NOT_YET_VALID|ERR_TLS_CERT_ALTNAME_INVALID)$/
const UNKNOWN_NAME = /^(?:ENOTFOUND|EAI_AGAIN)$/

/** Makes the finding of one provider. */
type Tell = (code: FindingCode, circumstances?: Omit<Circumstances, 'provider'>) => Finding

/** One check for each provider, by its part. */
export function providerChecks(subject: Subject): [part: string, check: () => Promise<Finding[]>][] {
  const { plugin, store } = subject.loaded.config
  const { options, problems } = validateOptions(optionsAtEachUse(plugin), store.type)
  // They were sound when the configuration was read.
  if (options === undefined) return [['provider', () => Promise.reject(new ConfigError([...problems]))]]
  const providers = providersOf(options)
  return providers.map(([name, provider]) => {
    const part = formatPath(providerPath(name))
    return [part, () => diagnoseProvider(subject, provider, name)]
  })
}

async function diagnoseProvider(
  { loaded, now }: Subject,
  provider: ResolvedProvider,
  name: ProviderName,
): Promise<Finding[]> {
  const part = formatPath(providerPath(name))
  const tell: Tell = (code, circumstances) => finding(part, code, { ...circumstances, provider: name })
  const { publicUrl, routePrefix = '/oauth2' } = loaded.config.plugin
  const callback = `${publicUrl}${routePrefix}/callback${name === undefined ? '' : `/${name}`}`
  const [examination, peer] = await Promise.all([
    examineProvider(provider, callback),
    peerOf(provider).catch(() => undefined),
  ])
  const { unreachable, keys, authorization } = examination
  if (unreachable !== undefined) return [ofFailure(tell, unreachable, peer)]
  const isEnding = peer !== undefined && peer.endsAt - now() < NOTICE_MS
  return [
    ...ofMetadata(tell, examination, provider),
    ...(isEnding ? [tell('provider_certificate_ends', { slots: { end: day(peer.endsAt) } })] : []),
    ...ofClock(tell, examination, provider),
    ...(keys ? [ofKeys(tell, keys)] : []),
    ...(authorization ? [ofAuthorization(tell, authorization, callback)] : []),
  ]
}

/** A private CA, and our own certificate, are as they are now. */
async function peerOf({ issuer, tokenEndpoint, ca }: ResolvedProvider): Promise<Peer | undefined> {
  const url = new URL(tokenEndpoint ?? issuer)
  if (url.protocol !== 'https:') return undefined
  const authority = typeof ca === 'function' ? await ca() : ca
  return lookAtPeer(url, authority === undefined ? undefined : Buffer.from(authority))
}

function ofFailure(tell: Tell, code: string, peer: Peer | undefined): Finding {
  const slots = { code, issuer: peer?.issuer ?? 'unknown' }
  if (UNKNOWN_NAME.test(code)) return tell('provider_unknown_name', { slots })
  if (UNTRUSTED.test(code)) return tell('provider_untrusted', { slots })
  if (WRONG_CERTIFICATE.test(code)) return tell('provider_certificate_wrong', { slots })
  return tell('provider_unreachable', { slots })
}

function ofMetadata(
  tell: Tell,
  { problems, warnings }: ProviderExamination,
  provider: ResolvedProvider,
): Finding[] {
  const findings = [
    ...problems.map((problem) => ofProblem(tell, problem)),
    ...warnings.map((warning) => {
      const { found, advice } = inTwo(warning.replace(/: if it refuses/, '; if it refuses'))
      const [key = 'provider.pkce'] = /\bprovider\.[a-z]\w*/i.exec(warning) ?? []
      return tell('provider_metadata_warning', {
        found,
        advice: advice ?? `Take one that it lists for ${key}, if logins fail.`,
      })
    }),
  ]
  if (findings.length > 0) return findings
  return [tell(provider.authorizationEndpoint === undefined ? 'provider_metadata' : 'provider_endpoints')]
}

const BY_KEY: Readonly<Record<string, FindingCode>> = {
  issuer: 'provider_no_metadata',
  tenants: 'provider_no_metadata',
  pkce: 'provider_pkce',
}

function ofProblem(tell: Tell, { path, problem }: ConfigProblem): Finding {
  const [what = '', ...advice] = problem.split('; ')
  return tell(BY_KEY[String(path.at(-1))] ?? 'provider_metadata_refused', {
    found: sentence(`${path.join('.')}${/^is /.test(what) ? '' : ':'} ${what}`),
    advice:
      sentence(advice.join('; ')) || `Correct ${path.join('.')}, or have the provider correct its metadata.`,
  })
}

function ofClock(
  tell: Tell,
  { aheadSeconds }: ProviderExamination,
  { clockToleranceSeconds }: ResolvedProvider,
): Finding[] {
  if (aheadSeconds === undefined) return []
  const seconds = Math.round(Math.abs(aheadSeconds))
  const slots = { seconds: Math.max(1, seconds), direction: aheadSeconds > 0 ? 'ahead' : 'behind' }
  if (seconds <= CLOCK_SECONDS) return [tell('provider_clock', { slots })]
  return [tell(seconds > clockToleranceSeconds ? 'provider_clock_off' : 'provider_clock_differs', { slots })]
}

function ofKeys(tell: Tell, keys: ExaminedKeys): Finding {
  if ('failure' in keys) return tell('provider_keys_unreachable', { slots: { code: keys.failure } })
  if (keys.usable === 0) return tell('provider_keys_unusable')
  return tell('provider_keys', { slots: { count: keys.usable } })
}

function ofAuthorization(tell: Tell, authorization: ExaminedAuthorization, callback: string): Finding {
  const slots = { callback }
  switch (authorization.outcome) {
    case 'registered':
      return tell('provider_redirect_registered', { slots })
    case 'untold':
      return tell('provider_redirect_untold', { slots })
    case 'refused': {
      const { told, advice } = authorization
      const words = told === '' ? 'without a word that is known' : told
      return tell('provider_redirect_refused', { slots: { words }, advice: sentence(advice) })
    }
    case 'unreachable':
      return tell('provider_authorization_unreachable', { slots: { ...slots, code: authorization.failure } })
  }
}
