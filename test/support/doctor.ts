/** What `doctor` finds of a configuration, part by part. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { stringify } from 'yaml'
import { loadConfig } from '../../gateway/config/load.ts'
import type { GatewayInput } from '../../gateway/config/schemas/gateway.ts'
import { CATALOGUE, type FindingCode } from '../../gateway/operations/doctor/catalogue.ts'
import type { Finding } from '../../gateway/operations/doctor/finding.ts'
import { type Subject, subjectHere } from '../../gateway/operations/doctor/subject.ts'
import { minimal, type OneProvider } from './gateway-config.ts'

/** A configuration that was read from a file, and a process without variables. */
export function subjectOf(
  t: Test,
  input: Partial<GatewayInput> | Partial<OneProvider> = {},
  change: Partial<Subject> = {},
): Subject {
  // A folder beside those of the test itself.
  const folder = mkdtempSync(join(tmpdir(), 'doctor-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'gateway.yaml')
  writeFileSync(file, stringify({ ...minimal(), ...input }))
  const loaded = loadConfig({ file })
  return { ...subjectHere(loaded, {}), ...change }
}

/** The codes alone. */
export function codes(findings: readonly Finding[]): FindingCode[] {
  return findings.map(({ code }) => code)
}

/** Exactly one finding has this code, with its status, and its sentences match. */
export function told(
  t: Test,
  findings: readonly Finding[],
  code: FindingCode,
  { found, advice }: { readonly found: RegExp; readonly advice?: RegExp },
): void {
  const named = findings.filter((one) => one.code === code)
  t.equal(named.length, 1, `${code} among ${JSON.stringify(findings)}`)
  const [first] = named
  if (first === undefined) return
  t.equal(first.status, CATALOGUE[code].status)
  t.match(first.found, found)
  if (advice) t.match(first.advice, advice)
  else t.equal(first.advice, undefined)
  for (const text of [first.found, first.advice ?? 'None.']) {
    t.match(text, /^[^a-z{}][^{}]*[.!?]$|^[a-z]\S*[.:\d[{A-Z]\S* [^{}]*[.!?]$/, 'a sentence, without a slot')
  }
}
