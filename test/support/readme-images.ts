/**
 * The pictures of the README, light and dark: the way of a login, and two charts out of the tables of the benchmarks.
 * Drawn by hand-made SVG: three small pictures need no library, and their text stays text.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { forwarders } from '../../benchmarks/peers/index.ts'
import { KINDS, type Kind, PALETTES, type Palette } from '../../benchmarks/report/chart.ts'

const place = (path: string) => new URL(`../../${path}`, import.meta.url)

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

function login({ ink, soft, line, gateway: own, box }: Palette): string {
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
  readonly kind: Kind
}

/** What the README shows of a long table, by the names of the benchmarks. */
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
  const { rows, measured } = caseOf('forward-get')
  // Not every machine has all of them.
  const bars = Object.entries(FORWARDED).flatMap(([server, name]): Bar[] => {
    const value = rows.get(server)?.ratio
    return value === undefined ? [] : [{ name, value, label: value.toFixed(2), kind: kindOf(server) }]
  })
  const caption = `Ratio of requests per second on one core, for a token that is in the cache; more is better. ${measured}`
  return chart(palette, { title: 'Forwarded requests; node:http + undici is 1', caption, bars })
}

function sessions(palette: Palette): string {
  const { rows, measured } = caseOf('sessions')
  const bars = [...rows].map(
    ([server, { rate }]): Bar => ({
      name: server.replace('the gateway with ', ''),
      value: rate,
      label: rate.toLocaleString('en-US'),
      kind: 'gateway',
    }),
  )
  const caption = `Requests per second on one core; more is better. ${measured}`
  return chart(palette, {
    title: 'Forwarded requests by sessions in memory, 1,000 of them active',
    caption,
    bars,
  })
}

function kindOf(server: string): Kind {
  const peer = forwarders.find(({ title }) => title === server)
  return peer?.name === 'gateway' ? 'gateway' : peer?.authenticates ? 'authenticates' : 'open'
}

/**
 * The rows of a case, of the newest Node that it was measured on, and on which one that was and when.
 *
 * @throws TypeError if it was measured on none.
 */
function caseOf(name: string): { rows: Map<string, { ratio: number; rate: number }>; measured: string } {
  const numberOf = (file: string) => Number(/^node-(\d+)\.md$/.exec(file)?.[1] ?? 0)
  const ofNodes = readdirSync(place('docs/benchmarks'))
    .filter((file) => numberOf(file) > 0)
    .toSorted((a, b) => numberOf(b) - numberOf(a))
    .map((file) => `docs/benchmarks/${file}`)
  // A page of before has one Node, and all of its figures.
  const pages = [...ofNodes, 'docs/benchmarks.md'].map((path) => readFileSync(place(path), 'utf8'))
  const page = pages.find((text) => text.includes(`\n## ${name}\n`))!
  const [section = ''] = page.split(`\n## ${name}\n`)[1]!.split('\n## ')
  const rows = section.matchAll(/^\| ([^|]+) \| ([\d.]+)[^|]*\|[^|]*\| ([\d,]+) \|/gm)
  const fact = (what: string) => new RegExp(`^- ${what}: (.*)$`, 'm').exec(page)![1]!
  return {
    rows: new Map(
      [...rows].map(([, server, ratio, rate]) => [
        server!,
        { ratio: Number(ratio), rate: Number(rate!.replaceAll(',', '')) },
      ]),
    ),
    measured: `Node ${fact('node')}, ${fact('date').slice(0, 10)}`,
  }
}

interface Chart {
  readonly title: string
  readonly caption: string
  readonly bars: readonly Bar[]
}

function chart(palette: Palette, { title, caption, bars }: Chart): string {
  const [left, right, step, top] = [270, 60, 24, 58]
  const { ink, soft } = palette
  const longest = Math.max(...bars.map(({ value }) => value))
  const rows = bars.flatMap(({ name, value, label, kind }, index) => {
    const y = top + index * step
    const width = (value / longest) * (WIDTH - left - right)
    const bold = kind === 'gateway'
    return [
      text({ x: left - 8, y: y + 13, fill: bold ? ink : soft, anchor: 'end', bold }, name),
      `<rect x="${left}" y="${y}" width="${width.toFixed(1)}" height="17" rx="2" fill="${palette[kind]}"/>`,
      text({ x: left + width + 6, y: y + 13, fill: ink, anchor: 'start', bold }, label),
    ]
  })
  const kinds = (Object.keys(KINDS) as Kind[]).filter((kind) => bars.some((bar) => bar.kind === kind))
  const bottom = top + bars.length * step + 6
  const legend = kinds.flatMap((kind, index) => {
    const x = left + index * 150
    return [
      `<rect x="${x}" y="${bottom}" width="12" height="12" rx="2" fill="${palette[kind]}"/>`,
      text({ x: x + 18, y: bottom + 10, fill: soft, anchor: 'start' }, KINDS[kind]),
    ]
  })
  const hasLegend = kinds.length > 1
  return svg({ height: bottom + (hasLegend ? 22 : 0), title: `${title}. ${caption}` }, [
    text({ x: 8, y: 22, fill: ink, anchor: 'start', bold: true }, title),
    text({ x: 8, y: 40, fill: soft, anchor: 'start' }, caption),
    ...rows,
    ...(hasLegend ? legend : []),
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
