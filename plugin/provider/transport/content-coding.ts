import { brotliDecompressSync, gunzipSync, inflateRawSync, inflateSync, type ZlibOptions } from 'node:zlib'

type Decode = (body: Buffer, options: ZlibOptions) => Buffer

/** Some send `deflate` without its zlib wrapper, although RFC 9110 §8.4.1.2 asks for it; then a second look helps. */
const inflate: Decode = (body, options) => {
  const isWrapped = (body[0]! & 0x0f) === 8 && body.readUInt16BE(0) % 31 === 0
  return isWrapped ? inflateSync(body, options) : inflateRawSync(body, options)
}

const DECODERS: Readonly<Record<string, Decode>> = {
  gzip: gunzipSync,
  'x-gzip': gunzipSync,
  deflate: inflate,
  br: brotliDecompressSync,
}

/** True for a `Content-Encoding` that `decodeContent` can read: none, or one of gzip, deflate and br. */
export function isReadableCoding(coding: string): boolean {
  return isIdentity(coding) || Object.hasOwn(DECODERS, coding)
}

/**
 * Undoes a content coding that came although `identity` was asked for (F-09, RFC 9110 §8.4). Bodies are small, so
 * this is done at once.
 *
 * @param maxBytes of the result: a body that unfolds to more is given up at that size.
 * @throws the error of `node:zlib`; its code is `ERR_BUFFER_TOO_LARGE` for a result that is too large.
 */
export function decodeContent(body: Buffer, coding: string, maxBytes: number): Buffer {
  if (isIdentity(coding) || body.length < 2) return body
  return DECODERS[coding]!(body, { maxOutputLength: maxBytes })
}

function isIdentity(coding: string): boolean {
  return coding === '' || coding === 'identity'
}
