/** docs/events.md against the code: names, levels, what each event always tells, and why a session ends (J-04). */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { watch } from '../../examples/events.ts'
import { startGatewayStack } from '../support/gateway-stack.ts'
import { NativeApp } from '../support/native-app.ts'

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
const page = read('docs/events.md')
const vocabulary = read('plugin/grant/audit-events.ts')

/** The cells of the table behind a mark. */
function tableBehind(mark: string): string[][] {
  const [, rows = ''] = new RegExp(`<!-- ${mark}: [^\\n]* -->\\n\\n(.*?)\\n\\n`, 's').exec(page) ?? []
  return rows
    .split('\n')
    .slice(2)
    .map((row) =>
      row
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim()),
    )
}

/** The words in code of a cell. */
const words = (cell = '') => [...cell.matchAll(/`([^`]+)`/g)].map(([, word]) => word!)

t.test('every audit event stands there once, with its level and what it always tells (J-04)', async (t) => {
  const [, facts = ''] = /export interface AuditFacts \{\n(.*?)\n\}/s.exec(vocabulary)!
  const events = [...facts.matchAll(/^ {2}'([\w.]+)': \{ (.*) \}$/gm)].map(([, name, members]) => ({
    name: name!,
    members: members!,
  }))
  t.equal(events.length, 19)
  const rows = new Map(tableBehind('events').map((cells) => [words(cells[0])[0]!, cells]))
  t.same(new Set(rows.keys()), new Set(events.map(({ name }) => name)))
  t.equal(tableBehind('events').length, events.length, 'once')

  const [, alarms = ''] = /const ALARMS = new Set<AuditEventName>\(\[(.*?)\]\)/s.exec(
    read('plugin/grant/audit.ts'),
  )!
  for (const { name, members } of events) {
    const [, level, when, always, known] = rows.get(name)!
    t.equal(level, alarms.includes(`'${name}'`) ? 'warn' : 'info', name)
    t.ok(when!.length > 20, `${name}: when it comes`)
    const told = [
      ...(/\bgrant: /.test(members) ? ['clientId', 'grant'] : []),
      ...(/\bgrant: AuditedSession/.test(members) ? ['subject'] : []),
      ...(/\breason: /.test(members) ? ['reason'] : []),
    ]
    t.same(new Set(words(always)), new Set(told), `${name}: always`)
    for (const [, member] of members.matchAll(/\b(reason|clientId)\?: /g))
      t.ok(words(known).includes(member!), `${name}: ${member}, where known`)
  }
})

t.test('every reason for an end stands there', async (t) => {
  const [, union = ''] = /export type EndReason =\n(.*?)\n\n/s.exec(vocabulary)!
  const ends = [...union.matchAll(/'(\w+)'/g)].map(([, reason]) => reason!)
  t.ok(ends.length > 10)
  const rows = tableBehind('end reasons')
  t.same(new Set(rows.flatMap(([reason]) => words(reason))), new Set(ends))
})

t.test('the example hears a wrong verifier (J-04)', async (t) => {
  const stack = await startGatewayStack(t)
  const heard: string[] = []
  watch(stack.app, (text) => heard.push(text))
  const app = new NativeApp(stack)
  const { status } = await app.redeem(await app.code(), { code_verifier: 'x'.repeat(43) })
  t.equal(status, 400)
  t.same(heard, ['code.verifier_mismatch: client com.example.app, from 127.0.0.1'])
})
