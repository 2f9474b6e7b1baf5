/**
 * The reference model: what may happen to one grant, as steps that nothing can come between. A request is a chain of
 * them. An instance may die between two, other requests may come between two, and a step may have more than one
 * outcome: so a run keeps every state that explains what was seen, and fails when none is left (`possible.ts`).
 */
import type { CallRequest, Mood, RedeemRequest, RefreshRequest, Request, RevokeRequest } from './requests.ts'
import { LIFETIMES, PROVIDER_SECONDS } from './requests.ts'

/** What is left of the provider's access token when a refresh begins to ask the provider (D-17). */
const PROVIDER_NEAR_END = Math.min(Math.max(30, LIFETIMES.accessTokenSeconds / 2), PROVIDER_SECONDS / 2)
/** The provider's deadline, and five seconds (D-06). */
const LEASE_SECONDS = 15

/** A grant as the model knows it. Generation 0 are the tokens of the exchange, each refresh makes the next. */
export interface Grant {
  readonly status: 'authorizing' | 'authorized' | 'redeeming' | 'active' | 'ended'
  /** Of the state, then of the code. */
  readonly until: number
  /** Of the client: `repeatableExchange` (C-25). */
  readonly repeatable: boolean
  readonly activatedAt: number
  readonly rotatedAt: number
  readonly generation: number
  /** Which tokens of the current generation have been presented (D-05). */
  readonly presented: 'none' | 'access' | 'refresh'
  readonly access: readonly { readonly generation: number; readonly until: number }[]
  readonly providerUntil: number
  /** The provider has forgotten the refresh token that the grant lives on. */
  readonly orphaned: boolean
  readonly leaseUntil: number
}

/** `answer` if this step answers the request, `rest` if there is more to do. */
export interface Outcome {
  readonly next: Grant
  readonly answer?: string
  readonly rest?: Step
}
export type Step = (grant: Grant) => readonly Outcome[]

const REFUSED = '400 invalid_grant'
const UNAVAILABLE = '503 temporarily_unavailable'
const MISTAKEN = '502 server_error'
/** Where a code is lost. A key that cannot be fetched just then is not believed (F-13). */
const BURNING: Partial<Record<Mood, readonly string[]>> = {
  failing: [UNAVAILABLE],
  cut: [UNAVAILABLE],
  refusing: [REFUSED],
  'at odds': [MISTAKEN],
  'unknown key': [UNAVAILABLE, MISTAKEN],
  'new key': [UNAVAILABLE],
}
export const tokens = (generation: number) => `200 tokens ${generation}`
const one = (next: Grant, answer: string): Outcome[] => [{ next, answer }]
const end = (grant: Grant): Grant => ({ ...grant, status: 'ended' })
/** Somebody is at work on it, or has died over it: others wait. */
export const isBusy = ({ status, leaseUntil }: Grant, now: number) =>
  status === 'redeeming' || leaseUntil > now
const endsAt = ({ activatedAt }: Grant) => activatedAt + LIFETIMES.sessionSeconds

export function begin(now: number, repeatable: boolean): Grant {
  const until = now + LIFETIMES.transactionSeconds
  const times = { activatedAt: 0, rotatedAt: 0, providerUntil: 0, leaseUntil: 0 }
  const nothing = { generation: 0, presented: 'none', access: [], orphaned: false } as const
  return { status: 'authorizing', until, repeatable, ...times, ...nothing }
}

/** The first step of a request at the time `now`. */
export function firstStep(request: Request, now: number): Step {
  switch (request.kind) {
    case 'callback':
      return (grant) => {
        if (grant.status !== 'authorizing' || grant.until <= now) return one(grant, '400')
        if (request.as === 'other browser') return one(end(grant), '400')
        if (request.as === 'denied') return one(end(grant), '302 access_denied')
        return one({ ...grant, status: 'authorized', until: now + LIFETIMES.codeSeconds }, '302 code')
      }
    case 'redeem':
      return (grant) => redeem(grant, request, now)
    case 'refresh':
      return (grant) => refresh(grant, request, now)
    case 'call':
      return (grant) => call(grant, request, now)
    case 'revoke':
      return (grant) => revoke(grant, request, now)
    case 'logout':
      return (grant) => {
        if (grant.status === 'active' || request.by === 'grant') return one(end(grant), 'done')
        // While the exchange runs, the end may come before it is known whose grant that is (G-10).
        return [...one(grant, 'done'), ...(grant.status === 'redeeming' ? one(end(grant), 'done') : [])]
      }
  }
}

function redeem(grant: Grant, { proof, provider }: RedeemRequest, now: number): Outcome[] {
  if (proof === 'wrong secret') return one(grant, REFUSED)
  if (grant.status === 'active') {
    const age = now - grant.activatedAt
    // An unproved replay must not be a way to log others out (C-14).
    if (proof !== 'right' || age >= LIFETIMES.tombstoneSeconds) return one(grant, REFUSED)
    if (age >= LIFETIMES.duplicateSeconds) return one(end(grant), REFUSED)
    const isFirst = grant.generation === 0 && grant.presented === 'none'
    return one(grant, grant.repeatable && isFirst ? tokens(0) : REFUSED)
  }
  // Whoever may repeat waits for the first answer, and in vain if its instance has died (C-25).
  if (grant.status === 'redeeming' && grant.repeatable && proof === 'right')
    return inVain(grant, grant.until, now)
  if (grant.status !== 'authorized') return one(grant, REFUSED)
  if (proof !== 'right' || grant.until <= now) return one(end(grant), REFUSED)
  const claim = { ...grant, status: 'redeeming', until: now + LIFETIMES.tombstoneSeconds } as const
  return [{ next: claim, rest: (claimed) => exchange(claimed, provider, grant.until, now) }]
}

function exchange(grant: Grant, provider: Mood, codeUntil: number, now: number): Outcome[] {
  if (grant.status !== 'redeeming') return one(grant, REFUSED)
  // It was never asked, so the code is still good (C-17).
  if (provider === 'absent') return one({ ...grant, status: 'authorized', until: codeUntil }, UNAVAILABLE)
  const burnt = (BURNING[provider] ?? []).flatMap((answer) => one(end(grant), answer))
  if (burnt.length > 0 && provider !== 'new key') return burnt
  const activated = {
    ...grant,
    status: 'active',
    activatedAt: now,
    providerUntil: now + PROVIDER_SECONDS,
  } as const
  return [...burnt, ...one(issue(activated, 0, now), tokens(0))]
}

function refresh(grant: Grant, request: RefreshRequest, now: number): Outcome[] {
  const { generation, proof, provider } = request
  const until = Math.min(grant.rotatedAt + LIFETIMES.refreshIdleSeconds, endsAt(grant))
  if (grant.status !== 'active' || proof !== 'right' || until <= now) return one(grant, REFUSED)
  if (generation < grant.generation) {
    const isGraced = grant.presented === 'access' && now < grant.rotatedAt + LIFETIMES.refreshGraceSeconds
    const mayRepeat = generation === grant.generation - 1 && (grant.presented === 'none' || isGraced)
    return mayRepeat ? one(grant, tokens(grant.generation)) : one(end(grant), REFUSED)
  }
  if (grant.providerUntil - now >= PROVIDER_NEAR_END) {
    return one(issue(grant, generation + 1, now), tokens(generation + 1))
  }
  if (grant.leaseUntil > now) return inVain(grant, until, now)
  const leased = { ...grant, presented: 'refresh', leaseUntil: now + LEASE_SECONDS } as const
  return [{ next: leased, rest: (current) => renew(current, generation, provider, now) }]
}

/** The provider's part; the second step is the commit, before which the instance may die (D-11). */
function renew(grant: Grant, generation: number, provider: Mood, now: number): Outcome[] {
  if (grant.status !== 'active') return one(grant, REFUSED)
  const kept = { ...grant, leaseUntil: 0 }
  if (provider === 'absent' || provider === 'failing') return one(kept, UNAVAILABLE)
  if (provider === 'at odds') return one(kept, MISTAKEN)
  if (provider === 'refusing' || grant.orphaned) return one(end(grant), REFUSED)
  if (provider === 'cut') return one({ ...kept, orphaned: true }, UNAVAILABLE)
  const commit: Step = (current) => {
    if (current.status !== 'active' || provider === 'other subject') return one(end(current), REFUSED)
    const renewed = { ...current, providerUntil: now + PROVIDER_SECONDS, orphaned: false, leaseUntil: 0 }
    return one(issue(renewed, generation + 1, now), tokens(generation + 1))
  }
  return [{ next: { ...grant, orphaned: true }, rest: commit }]
}

function call(grant: Grant, { generation }: CallRequest, now: number): Outcome[] {
  const token = grant.access.find((candidate) => candidate.generation === generation)
  if (grant.status !== 'active' || !token) return one(grant, '401')
  const note = (current: Grant): Grant => {
    const isFirst = current.generation === generation && current.presented === 'none'
    return isFirst ? { ...current, presented: 'access' } : current
  }
  // Whether one that has run out counts as presented is nobody's concern.
  if (token.until <= now) return [...one(grant, '401'), ...one(note(grant), '401')]
  return [{ next: grant, answer: '200', rest: (current) => [{ next: note(current) }] }]
}

function revoke(grant: Grant, { token, generation, proof }: RevokeRequest, now: number): Outcome[] {
  if (grant.status !== 'active' || proof !== 'right') return one(grant, '200')
  const access = grant.access.find((candidate) => candidate.generation === generation)
  if (token === 'refresh' || (access && access.until > now)) return one(end(grant), '200')
  // It may have run out, and is remembered for a while.
  return access ? [...one(end(grant), '200'), ...one(grant, '200')] : one(grant, '200')
}

/** Somebody waits for whoever has died over the grant, until his patience or the grant itself is over. */
function inVain(grant: Grant, until: number, now: number): Outcome[] {
  return [until > now && UNAVAILABLE, until <= now + 5 && REFUSED].flatMap((told) =>
    told ? one(grant, told) : [],
  )
}

function issue(grant: Grant, generation: number, now: number): Grant {
  const until = Math.min(now + LIFETIMES.accessTokenSeconds, grant.providerUntil, endsAt(grant))
  const alive = grant.access.filter((token) => token.until > now)
  // At most eight are alive at once.
  const access = [...alive, { generation, until }].slice(-8)
  return { ...grant, generation, rotatedAt: now, presented: 'none', access }
}
