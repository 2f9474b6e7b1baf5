import { createHash } from 'node:crypto'
import { Sealing } from '../../plugin/sealing.ts'

/** Every purpose that a data key is wrapped for. */
const HOLDERS = ['state', 'code', 'used-code', 'access', 'refresh', 'predecessor']
const WRAPPED_KEY = /^[A-Za-z0-9_-]{8}\./

/**
 * A thief with a dump and the server secret, and no handle: tries everything in a row that could be mistaken for a
 * handle's secret, and what is derived from it in the obvious ways, on every wrapped key of the row.
 *
 * @param rows records as stored. @returns how many guesses there were, and what they opened.
 */
export function tryToOpen(
  rows: readonly string[],
  serverSecret: Buffer,
): { tried: number; opened: string[] } {
  const sealing = new Sealing([serverSecret])
  let tried = 0
  const opened: string[] = []
  for (const row of rows) {
    const record = JSON.parse(row) as { id: string; clientId: string }
    const all = [...new Set(textsIn(record))]
    const keys = all.filter((text) => WRAPPED_KEY.test(text))
    const guesses: Buffer[] = all.flatMap((text) => [
      Buffer.from(text),
      Buffer.from(text, 'base64url'),
      createHash('sha256').update(text).digest(),
    ])
    guesses.push(serverSecret, Buffer.alloc(0), Buffer.alloc(32))
    for (const holder of HOLDERS) {
      const context = JSON.stringify([1, holder, record.id, record.clientId])
      for (const key of keys) {
        for (const guess of guesses) {
          tried += 1
          if (sealing.unwrap(key, guess, context) !== null) opened.push(`${holder} of ${record.id}`)
        }
      }
    }
  }
  return { tried, opened }
}

function textsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value]
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsIn) : []
}
