/**
 * The pictures of the README, light and dark: the way of a login, and two charts out of the tables of
 * docs/benchmarks.md. Drawn by hand-made SVG: three small pictures need no library, and their text stays text.
 */
import { readFileSync, writeFileSync } from 'node:fs'

const place = (path: string) => new URL(`../../${path}`, import.meta.url)

interface Palette {
  readonly ink: string
  readonly soft: string
  readonly line: string
  readonly own: string
  readonly other: string
  readonly box: string
}
const PALETTES: Readonly<Record<'light' | 'dark', Palette>> = {
  light: {
    ...{ ink: '#1f2328', soft: '#59636e', line: '#8c959f' },
    ...{ own: '#0969da', other: '#c3cad2', box: '#f6f8fa' },
  },
  dark: {
    ...{ ink: '#e6edf3', soft: '#9198a1', line: '#656c76' },
    ...{ own: '#4493f8', other: '#3d444d', box: '#151b23' },
  },
}
const WIDTH = 760
const FONT = 'system-ui, sans-serif'

/** All of them by path. The background is left out: it is the page's. */
export function readmeImages(): Record<string, string> {
  const pictures = { login: login, forwarded: forwarded, sessions: sessions }
  return Object.fromEntries(
    Object.entries(pictures).flatMap(([name, draw]) =>
      (['light', 'dark'] as const).map((theme) => [
        `docs/images/${name}-${theme}.svg`,
        draw(PALETTES[theme]),
      ]),
    ),
  )
}

const LANES = { app: 90, gateway: 310, provider: 530, api: 690 }
type Lane = keyof typeof LANES
const STEPS: readonly { from: Lane; to: Lane; says: string; note?: string }[] = [
  { from: 'app', to: 'gateway', says: 'authorize: code_challenge' },
  { from: 'gateway', to: 'provider', says: 'sign in: a challenge of its own' },
  { from: 'provider', to: 'gateway', says: "the provider's code", note: 'kept here, sealed' },
  { from: 'gateway', to: 'app', says: 'a code for one use' },
  { from: 'app', to: 'gateway', says: 'code and code_verifier', note: 'the verifier is proved' },
  { from: 'gateway', to: 'provider', says: 'only now: redeem' },
  { from: 'provider', to: 'gateway', says: "the provider's tokens", note: 'kept here, sealed' },
  { from: 'gateway', to: 'app', says: 'tokens of the gateway' },
  { from: 'app', to: 'gateway', says: 'GET /api/orders' },
  { from: 'gateway', to: 'api', says: "the user, and the provider's token" },
]

function login({ ink, soft, line, own, box }: Palette): string {
  const top = 44
  const names = { app: 'App + browser', gateway: 'fastify-pkce', provider: 'Provider', api: 'Your API' }
  let y = top + 26
  const arrows = STEPS.map(({ from, to, says, note }) => {
    const [x1, x2] = [LANES[from], LANES[to]]
    const head = x2 + (x2 > x1 ? -7 : 7)
    const drawn = [
      text({ x: (x1 + x2) / 2, y: y - 5, fill: ink, anchor: 'middle' }, says),
      `<path d="M${x1} ${y}H${head}" stroke="${own}" stroke-width="1.5"/>`,
      `<path d="M${x2} ${y}L${head} ${y - 4}V${y + 4}Z" fill="${own}"/>`,
    ]
    y += 16
    if (note) {
      const width = note.length * 6.4 + 14
      const x = LANES.gateway - width / 2
      drawn.push(
        `<rect x="${x}" y="${y - 10}" width="${width}" height="18" rx="4" fill="${box}" stroke="${line}"/>`,
        text({ x: LANES.gateway, y: y + 3, fill: soft, anchor: 'middle' }, note),
      )
      y += 24
    }
    y += 12
    return drawn.join('\n')
  })
  const height = y
  const lanes = (Object.keys(LANES) as Lane[]).map((lane) => {
    const x = LANES[lane]
    return [
      `<path d="M${x} ${top}V${height - 10}" stroke="${line}" stroke-dasharray="3 4"/>`,
      `<rect x="${x - 56}" y="${top - 30}" width="112" height="28" rx="6" fill="${box}" stroke="${lane === 'gateway' ? own : line}"/>`,
      text({ x, y: top - 12, fill: ink, anchor: 'middle', bold: lane === 'gateway' }, names[lane]),
    ].join('\n')
  })
  return svg({ height, title: 'The way of a login: the verifier is proved before the code is redeemed' }, [
    ...lanes,
    ...arrows,
  ])
}

interface Bar {
  readonly name: string
  readonly value: number
  readonly label: string
  readonly own: boolean
}

/** What the README shows of a long table, by the names of docs/benchmarks.md. */
const FORWARDED: Readonly<Record<string, string>> = {
  'nginx, no authentication': 'nginx, no authentication',
  'haproxy verifying a JWT, HS256': 'haproxy, JWT HS256',
  'nginx + auth_request to a small Node service on the same core': 'nginx + auth_request to a Node service',
  'node:http + undici dispatch, no authentication: the limit': 'node:http + undici, no authentication',
  'the gateway, default options, memory store': 'this gateway',
  'Apache mod_auth_openidc, introspection cached': 'Apache mod_auth_openidc, cached',
  'Caddy reverse_proxy, no authentication': 'Caddy, no authentication',
  '@fastify/http-proxy, no authentication': '@fastify/http-proxy, no authentication',
  '@fastify/jwt RS256 + @fastify/http-proxy': '@fastify/jwt RS256 + http-proxy',
  'express-oauth2-jwt-bearer RS256 + http-proxy-middleware': 'express-oauth2-jwt-bearer + http-proxy',
}

function forwarded(palette: Palette): string {
  const measured = ratios('forward-get')
  const bars = Object.entries(FORWARDED).map(([server, name]) => {
    const value = measured.get(server)!.ratio
    return { name, value, label: value.toFixed(2), own: name === 'this gateway' }
  })
  return chart(palette, 'Forwarded requests per second; node:http + undici is 1', bars)
}

function sessions(palette: Palette): string {
  const bars = [...ratios('sessions')].map(([server, { rate }]) => ({
    name: server.replace('the gateway with ', ''),
    value: rate,
    label: rate.toLocaleString('en-US'),
    own: true,
  }))
  return chart(palette, 'Forwarded requests per second by sessions in memory, one core', bars)
}

/** The rows of a case in docs/benchmarks.md. @throws TypeError later, for a server that is not there. */
function ratios(name: string): Map<string, { ratio: number; rate: number }> {
  const page = readFileSync(place('docs/benchmarks.md'), 'utf8')
  const [, section = ''] = new RegExp(`^## ${name}\n(.*?)(?=^## )`, 'ms').exec(page) ?? []
  const rows = section.matchAll(/^\| ([^|]+) \| ([\d.]+)[^|]*\|[^|]*\| ([\d,]+) \|/gm)
  return new Map(
    [...rows].map(([, server, ratio, rate]) => [
      server!,
      { ratio: Number(ratio), rate: Number(rate!.replaceAll(',', '')) },
    ]),
  )
}

function chart({ ink, soft, own, other }: Palette, title: string, bars: readonly Bar[]): string {
  const [left, right, step, top] = [270, 60, 24, 40]
  const longest = Math.max(...bars.map(({ value }) => value))
  const rows = bars.flatMap((bar, index) => {
    const y = top + index * step
    const width = (bar.value / longest) * (WIDTH - left - right)
    return [
      text({ x: left - 8, y: y + 13, fill: bar.own ? ink : soft, anchor: 'end', bold: bar.own }, bar.name),
      `<rect x="${left}" y="${y}" width="${width.toFixed(1)}" height="17" rx="2" fill="${bar.own ? own : other}"/>`,
      text({ x: left + width + 6, y: y + 13, fill: ink, anchor: 'start', bold: bar.own }, bar.label),
    ]
  })
  return svg({ height: top + bars.length * step + 6, title }, [
    text({ x: 8, y: 22, fill: ink, anchor: 'start', bold: true }, title),
    ...rows,
  ])
}

interface Text {
  readonly x: number
  readonly y: number
  readonly fill: string
  readonly anchor: 'start' | 'middle' | 'end'
  readonly bold?: boolean
}

function text({ x, y, fill, anchor, bold = false }: Text, content: string): string {
  const weight = bold ? ' font-weight="600"' : ''
  return `<text x="${Number(x.toFixed(1))}" y="${y}" fill="${fill}" text-anchor="${anchor}"${weight}>${content}</text>`
}

function svg({ height, title }: { height: number; title: string }, parts: readonly string[]): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-labelledby="t" font-family="${FONT}" font-size="12">
<title id="t">${title}</title>
${parts.join('\n')}
</svg>
`
}

if (process.argv[2] === '--write')
  for (const [path, picture] of Object.entries(readmeImages())) writeFileSync(place(path), picture)
