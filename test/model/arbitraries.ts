/** Which commands there are, and how often each comes. */
import fc from 'fast-check'
import { Asks, Begin, type Choice, type Command, Restart, RotateKey, Wait } from './commands.ts'
import { LIFETIMES, type Mood, type Request } from './requests.ts'

const instance = fc.constantFrom(0 as const, 1 as const)
/** Of a generation of tokens, from the last one. */
const back = rarely(fc.constant(0), fc.nat(3), 5)
const proof = rarely(
  fc.constant('right' as const),
  fc.constantFrom('wrong secret' as const, 'other client' as const),
  9,
)
const moods: readonly Mood[] = [
  'absent',
  'failing',
  'cut',
  'refusing',
  'at odds',
  'unknown key',
  'other subject',
]
const mood = rarely(fc.constant('well' as const), fc.constantFrom(...moods), 4)
const redeem = fc.record({
  kind: fc.constant('redeem' as const),
  proof: rarely(proof, fc.constantFrom('wrong verifier' as const, 'wrong uri' as const), 7),
  provider: mood,
})
const refresh = fc.record({ kind: fc.constant('refresh' as const), generation: back, proof, provider: mood })
const call = fc.record({
  kind: fc.constant('call' as const),
  generation: back,
  at: fc.constantFrom('route' as const, 'userinfo' as const, 'introspection' as const),
})
const logout = fc.record({
  kind: fc.constant('logout' as const),
  by: fc.constantFrom('grant' as const, 'subject' as const),
})
const ending: fc.Arbitrary<Request> = fc.oneof(
  logout,
  fc.record({
    kind: fc.constant('revoke' as const),
    token: fc.constantFrom('access' as const, 'refresh' as const),
    generation: back,
    proof: fc.constantFrom('right' as const, 'other client' as const),
  }),
)
const callback = fc.record({
  kind: fc.constant('callback' as const),
  as: rarely(fc.constant('right' as const), fc.constantFrom('denied' as const, 'other browser' as const), 7),
})
const afterwards: fc.Arbitrary<Request> = fc.oneof(
  { weight: 20, arbitrary: refresh },
  { weight: 10, arbitrary: call },
  { weight: 4, arbitrary: redeem },
  { weight: 1, arbitrary: callback },
  { weight: 1, arbitrary: ending },
)
const choice = {
  instance,
  beforeCode: rarely<Request, Request>(callback, logout, 9),
  beforeTokens: rarely<Request, Request>(redeem, fc.oneof(callback, logout), 9),
  afterwards,
  stubborn: rarely(fc.constant(false), fc.constant(true), 4),
}
const crash = fc.record({
  at: fc.integer({ min: 1, max: 4 }),
  made: fc.boolean(),
  fresh: rarely(fc.constant(false), fc.constant(true), 3),
})
const ask: fc.Arbitrary<Choice> = fc.record({
  ...choice,
  login: rarely(fc.constant(0), fc.nat(2), 5),
  crash: rarely(fc.constant(undefined), crash, 7),
  lost: rarely(fc.constant(false), fc.constant(true), 7),
})

/** Requests at the same time meet one mood of the provider. */
const together = fc
  .record({
    choices: fc.array(fc.record({ ...choice, login: fc.constant(0) }), { minLength: 2, maxLength: 3 }),
    provider: mood,
    turns: fc.array(fc.nat(4), { minLength: 1, maxLength: 6 }),
  })
  .map(({ choices, provider, turns }) => {
    const feel = (request: Request): Request => ('provider' in request ? { ...request, provider } : request)
    const felt = choices.map((one) => ({
      ...one,
      beforeTokens: feel(one.beforeTokens),
      afterwards: feel(one.afterwards),
    }))
    return new Asks(felt, turns)
  })

const begin = fc
  .record({
    instance,
    subject: fc.constantFrom('alice', 'bob'),
    clientId: fc.constantFrom('app', 'repeating'),
    to: fc.constantFrom('tokens' as const, 'code' as const, 'state' as const),
  })
  .map((how) => new Begin(how))

const { duplicateSeconds, codeSeconds, accessTokenSeconds } = LIFETIMES
/** On both sides of every boundary, and on it; 90 s bring the provider's token near its end. */
const shortTimes = [1, duplicateSeconds - 1, duplicateSeconds, codeSeconds, 90, 90, accessTokenSeconds]
const longTimes = [600, LIFETIMES.tombstoneSeconds, LIFETIMES.refreshIdleSeconds - 1, 5001]
const wait = rarely(fc.constantFrom(...shortTimes), fc.constantFrom(...longTimes), 8).map(
  (seconds) => new Wait(seconds),
)

const operation = fc.oneof(
  { weight: 3, arbitrary: instance.map((one) => new Restart(one)) },
  { weight: 1, arbitrary: fc.constant(new RotateKey()) },
)

/** The first command, and the others. */
export const beginning = begin
export const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 9, arbitrary: begin },
  { weight: 40, arbitrary: ask.map((one) => new Asks([one])) },
  { weight: 12, arbitrary: together },
  { weight: 14, arbitrary: wait },
  { weight: 1, arbitrary: operation },
)

/** `usual`, or one time in `odds` something else. It shrinks to the usual. */
function rarely<T, U>(usual: fc.Arbitrary<T>, other: fc.Arbitrary<U>, odds: number): fc.Arbitrary<T | U> {
  return fc.oneof({ weight: odds - 1, arbitrary: usual }, { weight: 1, arbitrary: other })
}
