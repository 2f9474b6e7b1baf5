/**
 * A logo is text: the source of an SVG, or a PNG as a data: URL, so that it can come from a file of options. An SVG is
 * held to an allow-list, by a reader that knows less of XML than browsers do and refuses all the rest: what a page shows
 * in an `<img>` runs no script, but the same file may be opened by itself.
 */

const BYTES_MAX = 64 * 1024
const PIXELS_MAX = 4096
const PNG_URL = /^data:image\/png;base64,([A-Za-z0-9+/]+={0,2})$/
const PNG_SIGNATURE = '\x89PNG\r\n\x1a\n'

/** What draws. No script, no foreignObject, no image, no style sheet, no link, and nothing that moves. */
const ELEMENTS = new Set(
  (
    'svg g defs symbol use title desc path rect circle ellipse line polyline polygon text tspan ' +
    'linearGradient radialGradient stop clipPath mask pattern'
  ).split(' '),
)
const ATTRIBUTES = new Set(
  (
    'xmlns xmlns:xlink xml:space version baseProfile id class role aria-label aria-hidden aria-labelledby focusable ' +
    'viewBox preserveAspectRatio width height x y x1 y1 x2 y2 cx cy r rx ry fx fy fr dx dy d points pathLength ' +
    'transform opacity color display visibility overflow fill fill-opacity fill-rule clip-rule clip-path mask ' +
    'clipPathUnits maskUnits maskContentUnits mask-type patternUnits patternContentUnits patternTransform ' +
    'stroke stroke-width stroke-opacity stroke-linecap stroke-linejoin stroke-miterlimit stroke-dasharray ' +
    'stroke-dashoffset vector-effect paint-order shape-rendering text-rendering color-interpolation ' +
    'gradientUnits gradientTransform spreadMethod offset stop-color stop-opacity href xlink:href ' +
    'font-family font-size font-weight font-style letter-spacing word-spacing text-anchor dominant-baseline ' +
    'textLength lengthAdjust rotate'
  ).split(' '),
)
const NAMESPACES: Readonly<Record<string, string>> = {
  xmlns: 'http://www.w3.org/2000/svg',
  'xmlns:xlink': 'http://www.w3.org/1999/xlink',
}

/** One piece of an XML document; what is none of these is refused. */
const PIECE =
  /^\uFEFF?<\?xml [^<>?]*\?>|<!--(?:(?!--)[\s\S])*-->|<\/([A-Za-z][\w:-]*)\s*>|<([A-Za-z][\w:-]*)((?:\s+[A-Za-z][\w:-]*\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*(\/?)>|[^<]+/gy
const ATTRIBUTE = /([A-Za-z][\w:-]*)\s*=\s*(?:"([^"]*)"|'([^']*)')/g

/** The text of a logo that is there as bytes. */
export function logoText(bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const isPng = buffer.toString('latin1', 0, PNG_SIGNATURE.length) === PNG_SIGNATURE
  return isPng ? `data:image/png;base64,${buffer.toString('base64')}` : buffer.toString('utf8')
}

/** The address that an `<img>` has. @param logo one without a problem. */
export function logoUrl(logo: string): string {
  return isPng(logo) ? logo : `data:image/svg+xml;base64,${Buffer.from(logo).toString('base64')}`
}

/** Why the logo cannot be shown; undefined if it can. */
export function logoProblem(logo: string): string | undefined {
  const [, base64] = PNG_URL.exec(logo) ?? []
  const bytes = base64 === undefined ? Buffer.from(logo) : Buffer.from(base64, 'base64')
  if (bytes.length > BYTES_MAX) return `has ${bytes.length} bytes, and may have ${BYTES_MAX}`
  return base64 === undefined ? svgProblem(logo) : pngProblem(bytes)
}

function isPng(logo: string): boolean {
  return PNG_URL.test(logo)
}

function pngProblem(bytes: Buffer): string | undefined {
  const isWhole =
    bytes.length > 44 &&
    bytes.toString('latin1', 0, 8) === PNG_SIGNATURE &&
    bytes.toString('latin1', 12, 16) === 'IHDR' &&
    bytes.toString('latin1', bytes.length - 8, bytes.length - 4) === 'IEND'
  if (!isWhole) return 'is no whole PNG'
  const [width, height] = [bytes.readUInt32BE(16), bytes.readUInt32BE(20)]
  const isFit = width >= 1 && height >= 1 && width <= PIXELS_MAX && height <= PIXELS_MAX
  return isFit ? undefined : `has ${width} × ${height} pixels, and may have ${PIXELS_MAX} each way`
}

function svgProblem(svg: string): string | undefined {
  const open: string[] = []
  let roots = 0
  let read = 0
  for (const [piece, closed, name, attributes = '', isEmpty] of svg.matchAll(PIECE)) {
    read += piece.length
    const at = `line ${svg.slice(0, read).split('\n').length}`
    if (closed !== undefined) {
      if (open.pop() !== closed) return `${at}: </${closed}> closes nothing`
    } else if (name !== undefined) {
      const problem = elementProblem(name, attributes)
      if (problem) return `${at}: ${problem}`
      if (open.length === 0 && (name !== 'svg' || ++roots > 1)) return 'is neither an SVG nor a PNG'
      if (isEmpty === '') open.push(name)
    } else if (open.length === 0 && !/^(?:\s|\uFEFF|<)/.test(piece)) {
      return 'is neither an SVG nor a PNG'
    }
  }
  if (read < svg.length) {
    const line = svg.slice(0, read).split('\n').length
    return `line ${line}: is not plain XML; save it as a plain or optimised SVG: no DOCTYPE, CDATA or instructions`
  }
  return roots === 1 && open.length === 0 ? undefined : 'is neither an SVG nor a PNG'
}

function elementProblem(element: string, attributes: string): string | undefined {
  if (!ELEMENTS.has(element)) return `<${element}> is not allowed in a logo; save it as a plain SVG`
  for (const [, name, double, single] of attributes.matchAll(ATTRIBUTE)) {
    const value = double ?? single!
    if (!ATTRIBUTES.has(name!))
      return `the attribute ${name} is not allowed in a logo; save it as a plain SVG`
    if (name!.startsWith('xmlns') && value !== NAMESPACES[name!]) return `${name} is not that of SVG`
    const isReference = name === 'href' || name === 'xlink:href'
    if (isReference && !/^#[\w.:-]+$/.test(value)) return `${name} must stay in the file: #…`
    // An entity could spell anything.
    if (value.includes('&') || value.includes('\\')) return `${name} must be written without & and \\`
    const isOutside = /url\s*\(/i.test(value) && !/^url\(#[\w.:-]+\)$/.test(value)
    if (isOutside) return `${name} must stay in the file: url(#…)`
  }
  return undefined
}
