import { setTimeout as pause } from 'node:timers/promises'
import { type Attempt, type NativeApp, send } from '../../support/native-app.ts'
import { lifetimes } from '../lifetimes.ts'
import type { ProviderGrant } from '../provider/grant.ts'
import { isStatus, patiently } from '../requests.ts'
import { Session } from './session.ts'
import type { World } from './world.ts'

const chance = (probability: number) => Math.random() < probability

/** From the authorization request to the tokens; null where it has to be begun again. */
export async function login(world: World, app: NativeApp, name: string): Promise<Session | null> {
  const { ledger, sessions } = world
  const begun = await authorize(world, app, name)
  if (begun === null) return null
  // Some apps handle the redirect twice: the request goes to three instances at once.
  const copies = chance(0.1) ? 3 : 1
  let isUsedUp = copies > 1
  const beganAt = performance.now()
  let lost: { readonly refreshToken: unknown; readonly at: number } | undefined
  for (;;) {
    const from = performance.now()
    const results = await Promise.all(
      Array.from({ length: copies }, () => patiently(() => app.redeem(begun))),
    )
    const again = results.map((result) => ledger.judge('token', result, from, isUsedUp ? [200, 400] : [200]))
    const won = results.filter((result) => isStatus(result, 200))
    const refreshTokens = new Set(won.map(({ json }) => json.refresh_token))
    if (lost) refreshTokens.add(lost.refreshToken)
    if (refreshTokens.size > 1) ledger.violate('one code, two sessions')
    if (won[0] && !lost && chance(0.1)) {
      // The same answer comes again, within the time for duplicates (C-25).
      lost = { refreshToken: won[0].json.refresh_token, at: from }
      ledger.count('the answer to a code is lost')
      await pause(100)
      continue
    }
    if (won[0]) return sessions.begin(new Session(begun, won[0], { beganAt, from }))
    if (!again.some(Boolean)) {
      const isSoon = lost && performance.now() - lost.at < lifetimes.duplicateSeconds * 1000
      if (isSoon) ledger.violate('an answer that was lost has not come again (C-25)')
      return null
    }
    // Perhaps: nobody has told.
    isUsedUp = true
    await pause(200)
  }
}

/** Until the code is at the app. */
async function authorize(
  { stack, provider, ledger }: World,
  app: NativeApp,
  name: string,
): Promise<(Attempt & { code: string; grant: ProviderGrant }) | null> {
  const attempt = app.begin()
  ledger.logins += 1
  const from = performance.now()
  if (chance(0.05)) {
    const result = await patiently(() => send(attempt.url))
    ledger.judge('authorize, and never come back', result, from, [302])
    return null
  }
  try {
    const { redirect, grant } = await provider.signIn(stack.publicUrl, attempt.url, name)
    ledger.count('login at the provider')
    return { ...attempt, code: redirect.searchParams.get('code') ?? '', grant }
  } catch (error) {
    const fault = ledger.explanation(from, 'token')
    ledger.count(`login at the provider failed (${fault ?? 'UNEXPLAINED'})`)
    if (fault === undefined) ledger.violate(`login: ${(error as Error).message}`)
    return null
  }
}
