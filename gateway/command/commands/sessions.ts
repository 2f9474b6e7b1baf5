import { type Admin, type AdminAnswer, adminOf, askAdmin } from '../admin-client.ts'
import { ADMIN_FLAGS, type Call, type Command, CommandError, textOf, UsageError } from '../definition.ts'

export const sessions: Command = {
  summary: 'list or end the sessions of a running gateway',
  usage: [
    'sessions list --subject S [--issuer I] [--json]',
    'sessions list --grant DIGITS',
    'sessions end  --subject S [--issuer I]',
    'sessions end  --grant DIGITS | GRANT_ID',
  ],
  about: `Lists the sessions of a person, or ends them: every instance refuses the next request, and
streams close within a second. The running gateway is asked, by its admin listener; its
token is read from admin.tokenFile. Nothing is asked of you: what ends has ended.`,
  flags: {
    subject: { value: 'S', help: "the provider's name for the person: sub" },
    issuer: { value: 'URL', help: 'at which provider; needed where there are several' },
    grant: { value: 'DIGITS', help: 'the session that log lines call so (8 hexadecimal digits)' },
    ...ADMIN_FLAGS,
    'token-file': { value: 'FILE', help: 'the token, instead of admin.tokenFile' },
    json: { help: 'print JSON' },
  },
  words: 2,
  async run(call) {
    const [action = 'list', grantId] = call.words
    const query = queryOf(call)
    if (action === 'list' && grantId === undefined && query !== '') return list(call, query)
    if (action === 'end' && (grantId === undefined) !== (query === '')) return end(call, grantId, query)
    throw new UsageError(
      action === 'list' || action === 'end'
        ? `sessions ${action} takes --subject or --grant${action === 'end' ? ', or one id' : ''}`
        : `sessions ${JSON.stringify(action)} is not known: it is list or end`,
    )
  },
}

/** As the API lists it. */
interface Listed {
  readonly grantId: string
  readonly grant: string
  readonly clientId: string
  readonly scope: readonly string[]
  readonly createdAt: string
  readonly expiresAt: string
}

function queryOf(call: Call): string {
  const query = new URLSearchParams()
  for (const name of ['subject', 'issuer', 'grant']) {
    const value = textOf(call, name)
    if (value !== undefined) query.set(name, value)
  }
  return query.toString()
}

async function list(call: Call, query: string): Promise<number> {
  const admin = await adminOf(call, { needsToken: true })
  const found: Listed[] = []
  let cursor: string | undefined
  do {
    const page = await answered<{ sessions: Listed[]; next?: string }>(admin, {
      path: `/sessions?${query}&limit=1000${cursor === undefined ? '' : `&cursor=${cursor}`}`,
    })
    found.push(...page.sessions)
    cursor = page.next
  } while (cursor !== undefined)
  found.sort((a, b) => (a.createdAt < b.createdAt ? 1 : -1))
  if (call.flags.json) return call.print(`${JSON.stringify({ sessions: found }, null, 2)}\n`)
  return call.print(found.length === 0 ? 'no sessions\n' : table(found))
}

async function end(call: Call, grantId: string | undefined, query: string): Promise<number> {
  const admin = await adminOf(call, { needsToken: true })
  const path = grantId === undefined ? `/sessions?${query}` : `/sessions/${encodeURIComponent(grantId)}`
  const outcome = await answered<{ ended: number }>(admin, { method: 'DELETE', path })
  if (call.flags.json) return call.print(`${JSON.stringify(outcome)}\n`)
  return call.print(`${outcome.ended} ${outcome.ended === 1 ? 'session' : 'sessions'} ended\n`)
}

/** @throws CommandError with what the gateway says, where it is not 200. */
async function answered<T>(admin: Admin, request: { method?: string; path: string }): Promise<T> {
  const answer = await askAdmin(admin, request)
  const body = bodyOf(answer)
  if (answer.status !== 200)
    throw new CommandError(String(body.message ?? `the gateway says ${answer.status}`))
  return body as T
}

function bodyOf({ status, body }: AdminAnswer): { message?: unknown } {
  try {
    return JSON.parse(body)
  } catch {
    throw new CommandError(`this is no admin listener: it answers ${status}, and no JSON`)
  }
}

function table(found: readonly Listed[]): string {
  const head = ['GRANT', 'ID', 'CLIENT', 'CREATED', 'EXPIRES', 'SCOPE']
  const rows = found.map(({ grant, grantId, clientId, createdAt, expiresAt, scope }) => [
    ...[grant, grantId, clientId, createdAt, expiresAt],
    scope.join(' '),
  ])
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => row[column]!.length)))
  const line = (row: readonly string[]) => row.map((cell, column) => cell.padEnd(widths[column]!)).join('  ')
  return `${[head, ...rows].map((row) => line(row).trimEnd()).join('\n')}\n`
}
