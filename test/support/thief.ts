import { createHash } from 'node:crypto'
import type { ActiveGrant, AuthorizedGrant } from '../../plugin/grant/grant.ts'
import { type Holder, Seals } from '../../plugin/grant/seals.ts'
import { Sealing } from '../../plugin/secrets/sealing.ts'

/** Everyone that something is sealed or a data key is wrapped for. */
const HOLDERS: Holder[] = ['code', 'access', 'refresh', 'predecessor']
const FOR_A_HOLDER = /^[A-Za-z0-9_-]{8}[.~]/

/**
 * A thief with a dump and the server secret, and no handle: tries everything in a row that could be mistaken for a
 * handle's secret, and what is derived from it in the obvious ways, on everything in the row that a handle opens.
 *
 * @param rows records as stored. @param stolen secrets of handles that he holds after all.
 * @returns how many guesses there were, and what they opened.
 */
export function tryToOpen(
  rows: readonly string[],
  serverSecret: Buffer,
  stolen: readonly Buffer[] = [],
): { tried: number; opened: string[] } {
  const seals = new Seals(new Sealing([serverSecret]))
  let tried = 0
  const opened: string[] = []
  for (const row of rows) {
    const record = JSON.parse(row) as ActiveGrant
    const all = [...new Set(textsIn(record))]
    const sealed = all.filter((text) => FOR_A_HOLDER.test(text))
    const guesses: Buffer[] = all.flatMap((text) => [
      Buffer.from(text),
      Buffer.from(text, 'base64url'),
      createHash('sha256').update(text).digest(),
    ])
    guesses.push(serverSecret, Buffer.alloc(0), Buffer.alloc(32), ...stolen)
    for (const guess of guesses) {
      tried += 1
      if (opensAll(seals, record, guess)) opened.push(`the data key of ${record.id}`)
    }
    for (const holder of HOLDERS) {
      for (const text of sealed) {
        for (const guess of guesses) {
          tried += 1
          if (opens(seals, record, holder, guess, text)) opened.push(`${holder} of ${record.id}`)
        }
      }
    }
  }
  return { tried, opened }
}

/** Sealed for the holder alone, or the way to what is sealed for several. */
function opens(seals: Seals, record: ActiveGrant, holder: Holder, secret: Buffer, text: string): boolean {
  if (seals.openFor(record, holder, secret, text) !== null) return true
  const dataKey = seals.unwrapDataKey(record, holder, secret, text)
  return dataKey !== null && opensAll(seals, record, dataKey)
}

/** As a data key. */
function opensAll(seals: Seals, record: ActiveGrant, dataKey: Buffer): boolean {
  if (dataKey.length !== 32 || !('sealed' in record)) return false
  const authorized = record as unknown as AuthorizedGrant
  return (
    (seals.openProviderSecrets(record, dataKey) ?? seals.openTokenExchangeSecrets(authorized, dataKey)) !==
    null
  )
}

function textsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value]
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsIn) : []
}
