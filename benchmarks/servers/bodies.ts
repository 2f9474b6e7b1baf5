/** The bodies that go up and down. Fixed, so that every answer can be compared byte for byte. */

/** What a small GET answers: 200 bytes of JSON. */
export const smallAnswer = Buffer.from(JSON.stringify({ orders: orders(), next: null }).padEnd(200, ' '))

/** `length` bytes that do not repeat with the size of any buffer: a piece lost or doubled shows. */
export function body(length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length)
  for (let i = 0; i < length; i += 1) bytes[i] = 32 + ((i * 31 + Math.trunc(i / 251)) % 90)
  return bytes
}

/** An answer that is always the same: a length of `body()`, or the text itself. */
export function answerOf(answer: number | string | undefined): Buffer | undefined {
  return typeof answer === 'number' ? body(answer) : answer === undefined ? undefined : Buffer.from(answer)
}

/** What an upload of so many bytes answers. */
export function received(length: number): Buffer {
  return Buffer.from(`{"received":${length}}`)
}

function orders(): object[] {
  return [1, 2, 3].map((id) => ({ id, item: 'coffee', amount: 250 * id, currency: 'EUR' }))
}
