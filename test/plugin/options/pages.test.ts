import { deflateSync } from 'node:zlib'
import t from 'tap'
import { resolveOptions } from '../../../plugin/index.ts'
import { accentProblem, contrast, textOn } from '../../../plugin/options/pages/contrast.ts'
import { logoProblem } from '../../../plugin/options/pages/logo.ts'
import { LOGO } from '../../support/login-pages.ts'
import { least, oneProblem } from '../../support/plugin-options.ts'

const svg = (inside: string, attributes = '') =>
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"${attributes}>${inside}</svg>`

/** The least PNG that there is, its sums of check left out: nobody here looks at them. */
function png(width: number, height: number): Buffer {
  const chunk = (type: string, data: Buffer) => {
    const length = Buffer.alloc(4)
    length.writeUInt32BE(data.length)
    return Buffer.concat([length, Buffer.from(type), data, Buffer.alloc(4)])
  }
  const head = Buffer.alloc(13)
  head.writeUInt32BE(width, 0)
  head.writeUInt32BE(height, 4)
  head[8] = 8
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', head),
    chunk('IDAT', deflateSync(Buffer.alloc(2))),
    chunk('IEND', Buffer.alloc(0)),
  ])
}

t.test('the contrast of colours (WCAG 2.2)', async (t) => {
  t.equal(contrast('#000000', '#ffffff'), 21)
  t.equal(contrast('#ffffff', '#000000'), 21)
  t.equal(contrast('#777777', '#ffffff').toFixed(2), '4.48')
  t.equal(textOn('#2563eb'), '#ffffff')
  t.equal(textOn('#d97706'), '#000000')
})

t.test('every accent colour that is taken has a button that can be seen and read (WCAG 2.2)', async (t) => {
  let taken = 0
  for (let value = 0; value < 0x1000000; value += 40_009) {
    const colour = `#${value.toString(16).padStart(6, '0')}`
    const problem = accentProblem(colour)
    if (problem !== undefined) {
      const [, nearest = ''] = /; (#[0-9a-f]{6}) would do$/.exec(problem) ?? []
      t.equal(accentProblem(nearest), undefined, `${colour}: ${nearest}`)
      continue
    }
    taken++
    const edges = [contrast(colour, '#ffffff'), contrast(colour, '#14171c')]
    const text = contrast(colour, textOn(colour))
    if (Math.min(...edges) < 3 || text < 4.5) t.fail(`${colour}: ${edges}, ${text}`)
  }
  t.ok(taken > 50, `${taken} taken`)
})

t.test(
  'an accent colour that is hard to see is refused, with its number and one that would do',
  async (t) => {
    for (const [accentColor, words] of [
      [
        '#ffe500',
        'has a contrast of 1.28 with the light background #ffffff, and needs 3 (WCAG 2.2 §1.4.11); #',
      ],
      [
        '#0b1f3a',
        'has a contrast of 1.09 with the dark background #14171c, and needs 3 (WCAG 2.2 §1.4.11); #',
      ],
    ] as const) {
      oneProblem(t, { ...least(), pages: { accentColor } }, 'pages.accentColor', words, accentColor)
    }
    for (const accentColor of ['red', '#fff', '#2563eb;}', 'url(x)']) {
      const options = { ...least(), pages: { accentColor } }
      oneProblem(t, options, 'pages.accentColor', 'must be a colour as #rrggbb', accentColor)
    }
  },
)

t.test('a logo is embedded: SVG as text or bytes, PNG as bytes or data:', async (t) => {
  const logo = (given: string | Uint8Array) =>
    resolveOptions({ ...least(), pages: { logo: given } }).pages.logo
  const svgUrl = `data:image/svg+xml;base64,${Buffer.from(LOGO).toString('base64')}`
  t.equal(logo(LOGO), svgUrl)
  t.equal(logo(new Uint8Array(Buffer.from(LOGO))), svgUrl)
  const pngUrl = `data:image/png;base64,${png(2, 2).toString('base64')}`
  t.equal(logo(png(2, 2)), pngUrl)
  t.equal(logo(pngUrl), pngUrl)
})

t.test('an SVG may draw', async (t) => {
  for (const logo of [
    LOGO,
    `\uFEFF<?xml version="1.0" encoding="UTF-8"?>\n<!-- made by hand -->\n${svg('<g><title>A &amp; B</title></g>')}\n`,
    svg(
      "<defs><linearGradient id='a'><stop offset='0' stop-color='#fff'/></linearGradient></defs><path fill='url(#a)' d='M0 0'/>",
    ),
    svg('<use xlink:href="#a"/>', ' xmlns:xlink="http://www.w3.org/1999/xlink"'),
  ]) {
    t.equal(logoProblem(logo), undefined, logo)
  }
})

t.test('an SVG that does more than draw is refused', async (t) => {
  for (const [logo, problem] of [
    [svg('<script>alert(1)</script>'), 'line 1: <script> is not allowed'],
    [svg('<SCRIPT>alert(1)</SCRIPT>'), '<SCRIPT> is not allowed'],
    [svg('<svg:script>alert(1)</svg:script>'), '<svg:script> is not allowed'],
    [svg('\n<path onload="alert(1)"/>'), 'line 2: the attribute onload is not allowed'],
    [svg('', ' onload="alert(1)"'), 'the attribute onload is not allowed'],
    [svg('<foreignObject/>'), '<foreignObject> is not allowed'],
    [svg('<image href="https://evil.example/x.png"/>'), '<image> is not allowed'],
    [svg('<a href="javascript:alert(1)"><path/></a>'), '<a> is not allowed'],
    [svg('<animate attributeName="href" to="x"/>'), '<animate> is not allowed'],
    [svg('<set attributeName="onmouseover" to="alert(1)"/>'), '<set> is not allowed'],
    [svg('<style>@import "https://evil.example"</style>'), '<style> is not allowed'],
    [svg('<path style="fill:url(https://evil.example)"/>'), 'the attribute style is not allowed'],
    [svg('<use href="https://evil.example/x.svg#a"/>'), 'href must stay in the file'],
    [svg('<use href="data:image/svg+xml,x"/>'), 'href must stay in the file'],
    [svg('<path fill="url(https://evil.example)"/>'), 'fill must stay in the file'],
    [svg('<path fill="URL (https://evil.example)"/>'), 'fill must stay in the file'],
    [svg('<path fill="u&#114;l(https://evil.example)"/>'), 'fill must be written without &'],
    [svg('<path fill="u\\72l(https://evil.example)"/>'), 'fill must be written without &'],
    [`<!DOCTYPE svg [<!ENTITY a "b">]>${svg('')}`, 'line 1: is not plain XML'],
    [`<?xml-stylesheet href="https://evil.example"?>${svg('')}`, 'is not plain XML'],
    [svg('<![CDATA[<script>]]>'), 'is not plain XML'],
    [svg('<path d="M0 0" / >'), 'is not plain XML'],
    [svg('<path d=M0/>'), 'is not plain XML'],
    [svg('<g></path></g>'), '</path> closes nothing'],
    ['<svg xmlns="http://www.w3.org/1999/xhtml"></svg>', 'xmlns is not that of SVG'],
    [svg('').repeat(2), 'is neither an SVG nor a PNG'],
    ['<svg>', 'is neither an SVG nor a PNG'],
    ['<path/>', 'is neither an SVG nor a PNG'],
    ['https://example.com/logo.svg', 'is neither an SVG nor a PNG'],
    ['data:image/png;base64,AAAA', 'is no whole PNG'],
    ['data:image/gif;base64,AAAA', 'is neither an SVG nor a PNG'],
    [`data:image/png;base64,${png(5000, 5000).toString('base64')}`, 'has 5000 × 5000 pixels'],
    [svg(`<path d="${'M0 0'.repeat(16_384)}"/>`), 'has 65612 bytes, and may have 65536'],
  ] as const) {
    t.match(logoProblem(logo) ?? 'no problem', problem, logo.slice(0, 100))
  }
})

t.test('a reader of logos is not held up by a long one (CWE-1333)', async (t) => {
  for (const logo of [
    svg(`<path ${'a '.repeat(30_000)}/>`),
    svg(`<path ${'d="" '.repeat(12_000)}`),
    `<!--${'-'.repeat(60_000)}`,
    '<'.repeat(60_000),
    `<svg${' '.repeat(60_000)}`,
  ]) {
    const start = performance.now()
    t.type(logoProblem(logo), 'string')
    t.ok(performance.now() - start < 1000, 'in no time')
  }
})

t.test('where people get help: https or mailto alone', async (t) => {
  for (const supportUrl of ['https://example.com/help?a=b', 'mailto:help@example.com']) {
    t.equal(resolveOptions({ ...least(), pages: { supportUrl } }).pages.supportUrl, supportUrl)
  }
  for (const supportUrl of [
    'http://example.com',
    'javascript:alert(1)',
    'data:text/html,x',
    '/help',
    'mailto:',
    'https://user:secret@example.com',
    'https://example.com/a b',
  ]) {
    oneProblem(t, { ...least(), pages: { supportUrl } }, 'pages.supportUrl', 'must be an https', supportUrl)
  }
})

t.test('a name is text that can be read', async (t) => {
  t.equal(resolveOptions({ ...least(), pages: { name: ' Müller & Söhne ' } }).pages.name, 'Müller & Söhne')
  for (const name of [' ', 'a\u202eb', 'a\nb']) {
    oneProblem(t, { ...least(), pages: { name } }, 'pages.name', 'must be text that can be read', name)
  }
  oneProblem(t, { ...least(), pages: { name: 'x'.repeat(65) } }, 'pages.name', 'must', 'too long')
})
