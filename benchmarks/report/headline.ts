import { nodeName, type Report } from './report.ts'
import { isBusy, isDisturbed, type Summary } from './summary.ts'
import { ratioBetween } from './targets.ts'

/** A ratio of the first line. Of several servers, the least and the most. */
interface Figure {
  readonly caseName: string
  readonly against: RegExp
  readonly words: string
}

const FORWARD = 'forward-get'
const EXCHANGE = 'token-exchange'
const figures: readonly Figure[] = [
  { caseName: FORWARD, against: /^bare$/, words: 'a bare forwarder (node:http and undici)' },
  { caseName: FORWARD, against: /^http-proxy$/, words: '@fastify/http-proxy without authentication' },
  { caseName: FORWARD, against: /^jwt-http-proxy-/, words: '@fastify/http-proxy with @fastify/jwt' },
  { caseName: EXCHANGE, against: /^minimal$/, words: 'the least that can be called a login (`minimal`)' },
  {
    caseName: EXCHANGE,
    against: /^node-oauth$/,
    words: '@node-oauth/oauth2-server with the same call to the provider',
  },
  { caseName: EXCHANGE, against: /^oidc-provider$/, words: 'oidc-provider, which calls no provider' },
]

/** Cases that send the same tokens over and over: their sessions are in the cache. */
const warm = [
  FORWARD,
  ...['forward-post-1k', 'forward-down-64k', 'forward-up-64k', 'forward-down-10m', 'forward-up-10m'],
  ...['slow-readers', 'connections-1', 'connections-1000', 'latency', 'sessions'],
]
/** Cases that tell what it costs where they are not. */
const cold = ['forward-first-use', 'many-sessions', 'forward-session']

/** The traffic for which the figures of a case hold, or undefined if its title has it all. */
export function trafficOf(caseName: string): string | undefined {
  return warm.includes(caseName) ? 'a token that is in the cache' : undefined
}

/** The result in a line: what the gateway forwards and exchanges in relation to others, and for which traffic. */
export function headline(reports: readonly Report[]): string {
  const told = [busy(reports), forward(reports), exchange(reports)].filter((sentence) => sentence !== '')
  return told.length > 0 ? told.join(' ') : `Neither ${FORWARD} nor ${EXCHANGE} was measured.`
}

function busy(reports: readonly Report[]): string {
  const names = reports.filter(({ summaries }) => isBusy(summaries)).map(nodeName)
  const where = names.length > 0 && reports.length > 1 ? ` (${names.join(', ')})` : ''
  return names.length === 0
    ? ''
    : `**Something else was running on this machine${where}: these numbers are not to be quoted.**`
}

function forward(reports: readonly Report[]): string {
  const parts = ratios(reports, FORWARD, ['the requests per second of', 'those of'])
  if (parts === '') return ''
  const measured = cold.filter((name) => reports.some(({ summaries }) => caseOf(summaries, name)))
  const where = measured.length > 0 ? ` (${measured.map((name) => `\`${name}\``).join(', ')})` : ''
  return `On ${nodes(reports)}, the gateway forwards ${parts}. That holds for ${trafficOf(FORWARD)}, as it was used there a moment before; one that is not costs more${where}.`
}

function exchange(reports: readonly Report[]): string {
  const parts = ratios(reports, EXCHANGE, ['the rate of', 'that of'])
  return parts === '' ? '' : `A token exchange has ${parts}.`
}

/** e.g. `0.98 / 0.82 times the rate of this and 1.81 / 1.75 times that of another`; `first` and `next` are the units. */
function ratios(reports: readonly Report[], caseName: string, [first, next]: [string, string]): string {
  const parts = figures
    .filter((figure) => figure.caseName === caseName)
    .flatMap((figure) => {
      const values = reports.map((report) => range(report, figure))
      const text = values.map((value) => value ?? '–').join(' / ')
      return values.some((value) => value !== undefined) ? [{ text, words: figure.words }] : []
    })
  const each = parts.map(({ text, words }, i) => `${text} times ${i === 0 ? first : next} ${words}`)
  return [each.slice(0, -1).join(', '), each.at(-1) ?? ''].filter((text) => text !== '').join(' and ')
}

function range({ summaries }: Report, { caseName, against }: Figure): string | undefined {
  const summary = caseOf(summaries, caseName)
  if (summary === undefined) return undefined
  const names = summary.rows.map(({ name }) => name).filter((name) => against.test(name))
  const measured = names.flatMap((name) => {
    const ratio = ratioBetween(summary, 'gateway', name)
    return ratio === undefined ? [] : [{ name, ratio }]
  })
  if (measured.length === 0) return undefined
  const values = measured.map(({ ratio }) => ratio)
  const ends = [...new Set([Math.min(...values).toFixed(2), Math.max(...values).toFixed(2)])]
  // Where all is disturbed, that was said before.
  const disturbed =
    !isBusy(summaries) && isDisturbed(summary, ['gateway', ...measured.map(({ name }) => name)])
  return `${ends.join(' to ')}${disturbed ? ' (disturbed)' : ''}`
}

/** e.g. `Node 20 / 22 / 24`, in the order of the figures. */
function nodes(reports: readonly Report[]): string {
  return reports.map((report, i) => (i === 0 ? nodeName(report) : nodeName(report).slice(5))).join(' / ')
}

function caseOf(summaries: readonly Summary[], name: string): Summary | undefined {
  return summaries.find((summary) => summary.name === name)
}
