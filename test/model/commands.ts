/** What fast-check may do, to the model and to the real thing at once. */
import type fc from 'fast-check'
import type { Ask, Deployment, Seen } from './deployment.ts'
import { begin, firstStep, type Grant, isBusy } from './model.ts'
import { statesAfter } from './possible.ts'
import type { Request } from './requests.ts'

/** The model of one login: every state of its grant that explains what has been seen. */
interface ModelledLogin {
  readonly subject: string
  hasCode: boolean
  /** Generations of tokens that the app has got. */
  held: number
  states: readonly Grant[]
}
export interface Model {
  readonly logins: ModelledLogin[]
  /** What was done, for whoever must understand a failure. */
  readonly trace: string[]
}
export type Command = fc.AsyncCommand<Model, Deployment>

export interface Beginning {
  readonly instance: 0 | 1
  readonly subject: string
  readonly clientId: string
  /** How far it goes, without trouble. */
  readonly to: 'state' | 'code' | 'tokens'
}

export class Begin implements Command {
  readonly #how: Beginning

  constructor(how: Beginning) {
    this.#how = how
  }

  check(): boolean {
    return true
  }

  async run(model: Model, real: Deployment): Promise<void> {
    const { instance, subject, clientId, to } = this.#how
    model.trace.push(String(this))
    await real.begin(this.#how)
    const states = [begin(real.now, clientId === 'repeating')]
    const login = model.logins.push({ subject, hasCode: false, held: 0, states }) - 1
    const requests: Request[] = [
      { kind: 'callback', as: 'right' },
      { kind: 'redeem', proof: 'right', provider: 'well' },
    ]
    const count = { state: 0, code: 1, tokens: 2 }[to]
    for (const request of requests.slice(0, count)) await perform(model, real, [{ login, instance, request }])
  }

  toString(): string {
    const { instance, subject, clientId, to } = this.#how
    return `${'AB'[instance]}: ${subject} begins with ${clientId}, up to ${to}`
  }
}

/** What is asked depends on how far the login is, so that few commands are in vain. */
export interface Choice extends Omit<Ask, 'request'> {
  readonly beforeCode: Request
  readonly beforeTokens: Request
  readonly afterwards: Request
  /** Even of a login that is certainly over. */
  readonly stubborn: boolean
}

/** Requests at the same time; a list of one is the simplest case. Logins and generations count back from the last. */
export class Asks implements Command {
  readonly #choices: readonly Choice[]
  readonly #turns: readonly number[]

  constructor(choices: readonly Choice[], turns: readonly number[] = []) {
    this.#choices = choices
    this.#turns = turns
  }

  check({ logins }: Readonly<Model>): boolean {
    return this.#choices.every(({ login, stubborn }) => {
      const states = logins.at(-1 - login)?.states ?? []
      return states.some(({ status }) => stubborn || status !== 'ended')
    })
  }

  run(model: Model, real: Deployment): Promise<void> {
    const asks = this.#choices.map((choice) => choose(choice, model))
    return perform(model, real, asks, this.#turns)
  }

  toString(): string {
    const asks = this.#choices.map(({ beforeCode, beforeTokens, afterwards, ...ask }) => {
      const requests = [beforeCode, beforeTokens, afterwards]
      return requests.map((request) => describe({ ...ask, request })).join(' or ')
    })
    return asks.length === 1 ? asks[0]! : `{ ${asks.join(' | ')} } turns ${this.#turns.join(' ')}`
  }
}

function choose(choice: Choice, { logins }: Model): Ask {
  const { beforeCode, beforeTokens, afterwards, login: back, ...details } = choice
  const login = logins.length - 1 - back
  const { hasCode, held } = logins[login]!
  const request = held > 0 ? afterwards : hasCode ? beforeTokens : beforeCode
  const ask = { ...details, login }
  if (!('generation' in request)) return { ...ask, request }
  return { ...ask, request: { ...request, generation: Math.max(0, held - 1 - request.generation) } }
}

function describe({ login, instance, request, crash, lost }: Ask): string {
  const { kind, ...details } = request
  const words = Object.values(details).filter((word) => word !== 'right' && word !== 'well')
  return [
    `${'AB'[instance]}: ${kind}`,
    ...words.map(String),
    `(login ${login})`,
    ...(lost ? ['(answer lost)'] : []),
    ...(crash ? [`(crash ${crash.made ? 'after' : 'instead of'} operation ${crash.at})`] : []),
  ].join(' ')
}

export class Wait implements Command {
  readonly #seconds: number

  constructor(seconds: number) {
    this.#seconds = seconds
  }

  check(): boolean {
    return true
  }

  async run(model: Model, real: Deployment): Promise<void> {
    model.trace.push(String(this))
    real.pass(this.#seconds)
  }

  toString(): string {
    return `${this.#seconds} s pass`
  }
}

export class Restart implements Command {
  readonly #instance: 0 | 1

  constructor(instance: 0 | 1) {
    this.#instance = instance
  }

  check(): boolean {
    return true
  }

  run(model: Model, real: Deployment): Promise<void> {
    model.trace.push(String(this))
    return real.restart(this.#instance)
  }

  toString(): string {
    return `${'AB'[this.#instance]} restarts`
  }
}

export class RotateKey implements Command {
  check(): boolean {
    return true
  }

  run(model: Model, real: Deployment): Promise<void> {
    model.trace.push(String(this))
    return real.rotateKey()
  }

  toString(): string {
    return 'the provider signs with a new key'
  }
}

/** Does it, and keeps the states that explain the answers. @throws Error when none is left. */
async function perform(
  model: Model,
  real: Deployment,
  asks: readonly Ask[],
  turns: readonly number[] = [],
): Promise<void> {
  const { now } = real
  const before = model.logins.map(({ states }) => states)
  const felt = asks.map((ask) => ({ ...ask, request: real.feel(ask) }))
  const mayWait = before.some((states) => states.some((grant) => isBusy(grant, now)))
  const seen = await real.ask(asks, { mayWait, turns })
  model.trace.push(felt.map((ask, n) => `${describe(ask)} -> ${told(seen[n]!)}`).join(' | '))
  for (const [n, login] of model.logins.entries()) {
    const { hasCode, held } = real.holds(n)
    Object.assign(login, { hasCode, held })
    const running = felt.flatMap(({ login: asked, request }, m) => {
      const isMeant = asked === n || (isOfSubject(request) && model.logins[asked]!.subject === login.subject)
      return isMeant ? [{ step: firstStep(request, now), ...seen[m]! }] : []
    })
    if (running.length === 0) continue
    login.states = statesAfter(login.states, running)
    if (login.states.length > 0) continue
    throw new Error(
      `${explain(model)}\nno state explains this for login ${n} at ${now} s; before:\n${states(before[n]!)}`,
    )
  }
  const [violation] = real.violations
  if (violation !== undefined) throw new Error(`${explain(model)}\n${violation}`)
}

function told({ answer, crashed }: Seen): string {
  return `${answer ?? 'no answer'}${crashed ? ' (crashed)' : ''}`
}

function explain({ trace }: Model): string {
  return ['what was done:', ...trace.map((line) => `  ${line}`)].join('\n')
}

function states(grants: readonly Grant[]): string {
  return grants.map((grant) => `  ${JSON.stringify(grant)}`).join('\n')
}

function isOfSubject(request: Request): boolean {
  return request.kind === 'logout' && request.by === 'subject'
}

/** At the end, what lives and what does not: every access token on both instances, then the last refresh token. */
export async function sweep(model: Model, real: Deployment): Promise<void> {
  for (const [login, { held }] of model.logins.entries()) {
    for (let generation = 0; generation < held; generation++) {
      for (const instance of [0, 1] as const) {
        await perform(model, real, [
          { login, instance, request: { kind: 'call', generation, at: 'introspection' } },
        ])
      }
    }
    if (held === 0) continue
    const request = { kind: 'refresh', generation: held - 1, proof: 'right', provider: 'well' } as const
    await perform(model, real, [{ login, instance: 0, request }])
  }
}
