/** One user with an app, who logs in, calls, refreshes, loses answers, sleeps, logs out, and tries tricks. */

import { setTimeout as pause } from 'node:timers/promises'
import { type Answer, NativeApp } from '../../support/native-app.ts'
import { LEASE_MS, lifetimes } from '../lifetimes.ts'
import { isStatus, patiently } from '../requests.ts'
import { type Habit, isPossible } from './habits.ts'
import { login } from './login.ts'
import type { Session } from './session.ts'
import type { World } from './world.ts'

/** How long an instance may serve a session after its end: the age of the session cache (G-17). */
const CACHE_MS = 5000
/** The same where no fault is near: the notification's way. */
const NOTIFIED_MS = 1000
const GRACE_MS = lifetimes.refreshGraceSeconds * 1000

const chance = (probability: number) => Math.random() < probability

export class User {
  readonly #world: World
  readonly #app: NativeApp
  readonly #name: string

  constructor(world: World, name: string) {
    this.#world = world
    this.#app = new NativeApp(world.stack)
    this.#name = name
  }

  /** Lives until the world ends. */
  async live(): Promise<void> {
    while (!this.#world.ended.aborted) {
      const session = await login(this.#world, this.#app, this.#name)
      if (session) await this.#use(session)
      else await this.#pause(1000)
    }
  }

  /** Shorter when the world ends meanwhile. */
  async #pause(ms: number): Promise<void> {
    await pause(ms, undefined, { signal: this.#world.ended }).catch(() => {})
  }

  /** Until the session is over, or nobody has it any more. */
  async #use(session: Session): Promise<void> {
    const { habits, sessions, ended } = this.#world
    let goesOn = true
    while (goesOn) {
      await this.#pause(50 + Math.random() * 250)
      if (ended.aborted) {
        // The last thing to be seen is that it is as it should be.
        if (await this.#refresh(session)) sessions.stays(session)
        return
      }
      const isShort = session.accessEndsAt - performance.now() < 300
      const habit = habits.draw((card) => isPossible(card, session))
      goesOn = habit === 'call' && isShort ? await this.#refresh(session) : await this.#follow(habit, session)
    }
  }

  /** @returns false when the session is over. */
  async #follow(habit: Habit, session: Session): Promise<boolean> {
    const { administrator, ledger, sessions } = this.#world
    if (habit !== 'call') ledger.count(`habit: ${habit}`)
    switch (habit) {
      case 'call':
        return this.#call(session)
      case 'refresh':
        return this.#refresh(session)
      case 'refresh twice at once':
        return this.#refresh(session, 2)
      case 'lose the answer':
        await this.#lose(session)
        await pause(100)
        return this.#refresh(session)
      case 'lose the answer, and come back late':
        await this.#lose(session)
        await this.#pause(GRACE_MS * (1 + Math.random()) + 200)
        return this.#refresh(session)
      case 'lose the connection':
        await this.#lose(session, Math.floor(Math.random() * 30))
        await pause(100)
        return this.#refresh(session)
      case 'sleep':
        // For too long, or so that there is time enough for a provider that does not answer at first.
        await this.#pause(
          lifetimes.refreshIdleSeconds * 1000 * (chance(0.5) ? 1.02 : 0.2 + Math.random() / 4),
        )
        return this.#refresh(session)
      case 'forget':
        sessions.forget(session)
        return false
      case 'log out':
        session.ending = 'logout'
        return this.#end(session, 'revoke', 200, () => this.#app.revoke(session.refreshToken!))
      case 'be logged out by the administrator':
        session.ending = 'administrator'
        session.note('the administrator ends it')
        await administrator.end(this.#name)
        return this.#isOver(session)
      case 'use an older refresh token':
        session.ending = 'reuse of a refresh token'
        return this.#end(session, habit, 400, () => this.#app.refresh(session.older[0]!))
      case 'use the code twice':
        return this.#repeatCode(session)
      case 'use the code again':
        session.ending = 'replay of the code'
        return this.#end(session, habit, 400, () => this.#app.redeem(session.code))
    }
  }

  async #call(session: Session): Promise<boolean> {
    const { ledger } = this.#world
    const from = performance.now()
    const result = await patiently(() => this.#app.call(session.accessToken))
    ledger.judge('forward', result, from, [200, 401])
    if (!isStatus(result, 401)) return true
    const isEarly = performance.now() < session.accessEndsAt
    session.noteResult(
      `a call, with an access token for ${Math.round(session.accessEndsAt - from)} ms`,
      result,
    )
    const isAlive = await this.#refresh(session)
    if (isAlive && isEarly) {
      this.#violate(session, 'an access token was refused before its end, its session alive')
    }
    return isAlive
  }

  /** Within a moment that is the app itself: it gets what it has, or nothing, and nothing ends (C-14, C-25). */
  async #repeatCode(session: Session): Promise<true> {
    const { ledger } = this.#world
    const from = performance.now()
    const result = await patiently(() => this.#app.redeem(session.code))
    session.noteResult('the code for a second time', result)
    ledger.judge('use the code twice', result, from, [200, 400])
    if (isStatus(result, 200) && result.json.access_token !== session.accessToken) {
      ledger.violate('one code, two access tokens')
    }
    return true
  }

  /** Sends the refresh token, and the answer never comes to the app: neither to its end, nor `afterMs`. */
  async #lose(session: Session, afterMs?: number): Promise<void> {
    const { sessions } = this.#world
    const token = session.refreshToken!
    session.present()
    const request = afterMs === undefined ? {} : { signal: AbortSignal.timeout(afterMs) }
    const result = await patiently(() => this.#app.refresh(token, {}, request))
    session.noteResult('a refresh whose answer is lost', result)
    if (result === 'broken off') session.abandon()
    if (isStatus(result, 200)) sessions.succeed(token, result)
  }

  /** Alone, or several at once; again as long as the outcome is unknown. @returns false when the session is over. */
  async #refresh(session: Session, copies = 1): Promise<boolean> {
    const { ledger, sessions } = this.#world
    const token = session.refreshToken
    if (token === undefined) return this.#awaitEnd(session)
    const beganAt = performance.now()
    for (;;) {
      const from = performance.now()
      session.present()
      const results = await Promise.all(
        Array.from({ length: copies }, () => patiently(() => this.#app.refresh(token))),
      )
      for (const result of results) {
        ledger.judge('refresh', result, from, [200, 400], LEASE_MS)
        session.noteResult('a refresh', result)
        if (isStatus(result, 200)) sessions.succeed(token, result)
      }
      ledger.slowestRefreshMs = Math.max(ledger.slowestRefreshMs, performance.now() - beganAt)
      const renewed = results.find((result) => isStatus(result, 200))
      if (renewed) {
        const isOneRefused = results.some((result) => isStatus(result, 400))
        // Of two at the end of its life, the second may be too late.
        if (isOneRefused && session.reasonOfEnd(ledger) === undefined) {
          this.#violate(session, 'of two equal refreshes, one was refused')
        }
        session.renew(renewed, from)
        return true
      }
      if (results.some((result) => isStatus(result, 400))) {
        return this.#isOver(session)
      }
      await pause(200)
    }
  }

  /** There is no refresh token any more: the access token ends with the session. */
  async #awaitEnd(session: Session): Promise<false> {
    // It is told in whole seconds, rounded down.
    await pause(Math.max(0, session.accessEndsAt - performance.now()) + 1500)
    const from = performance.now()
    const result = await patiently(() => this.#app.call(session.accessToken))
    this.#world.ledger.judge('forward after the end', result, from, [401])
    return this.#isOver(session)
  }

  /** Does what ends the session, until it is done. @returns false: it is over. */
  async #end(session: Session, what: string, status: number, request: () => Promise<Answer>): Promise<false> {
    for (;;) {
      const from = performance.now()
      const result = await patiently(request)
      session.noteResult(what, result)
      if (!this.#world.ledger.judge(what, result, from, [status])) return this.#isOver(session)
      await pause(200)
    }
  }

  /** On every instance, as soon as its notification has come; and for good. What has expired tells nobody. */
  async #isOver(session: Session): Promise<false> {
    const { stack, ledger, sessions } = this.#world
    const reason = sessions.end(session)
    if (reason?.includes('expiry')) return false
    const endedAt = performance.now()
    for (let refused = 0; refused < stack.instances.length; ) {
      const from = performance.now()
      const result = await patiently(() => this.#app.call(session.accessToken))
      ledger.judge('forward after the end', result, from, [200, 401])
      if (result === 'broken off' || result.status === 503) await pause(200)
      else if (result.status === 401) refused += 1
      else {
        const lateMs = performance.now() - endedAt
        const allowedMs = ledger.explanation(endedAt) === undefined ? NOTIFIED_MS : CACHE_MS
        if (lateMs > allowedMs) {
          this.#violate(session, `served ${Math.round(lateMs)} ms after the end`)
          return false
        }
        refused = 0
      }
    }
    const from = performance.now()
    const result = await patiently(() => this.#app.refresh(session.refreshToken!))
    session.noteResult('a refresh after the end', result)
    if (isStatus(result, 200)) this.#violate(session, `refreshed after its end by ${reason}`)
    else ledger.judge('refresh after the end', result, from, [400])
    return false
  }

  #violate(session: Session, what: string): void {
    const { ledger } = this.#world
    ledger.violate(`${what}: ${session.story(ledger).join('\n  ')}`)
  }
}
