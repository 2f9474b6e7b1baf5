import type { IncomingMessage, ServerResponse } from 'node:http'

/**
 * Passes on what an upstream says before its answer: 102, and the links of a 103. 100 is ours to say.
 *
 * @param raw names and values in turn. Source: RFC 9110 §15.2, RFC 8297.
 */
export function writeInformational(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  raw: readonly Buffer[],
): void {
  if (request.httpVersion === '1.0') return
  if (status === 102) response.writeProcessing()
  if (status !== 103) return
  const link: string[] = []
  for (let i = 0; i < raw.length; i += 2) {
    if (raw[i]!.toString('latin1').toLowerCase() === 'link') link.push(raw[i + 1]!.toString('latin1'))
  }
  try {
    response.writeEarlyHints({ link })
  } catch {
    // A hint that Node finds malformed is no reason to lose the answer.
  }
}
