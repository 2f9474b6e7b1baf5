import { cards } from '../deck.ts'
import { lifetimes } from '../lifetimes.ts'
import type { Session } from './session.ts'

const DUPLICATE_MS = lifetimes.duplicateSeconds * 1000

/** What a user does next. */
export type Habit =
  | 'call'
  | 'refresh'
  | 'refresh twice at once'
  | 'lose the answer'
  | 'lose the answer, and come back late'
  | 'lose the connection'
  | 'sleep'
  | 'log out'
  | 'be logged out by the administrator'
  | 'forget'
  | 'use an older refresh token'
  | 'use the code twice'
  | 'use the code again'

/** So many of each: most of the time, people use their app. */
export const HABITS = cards<Habit>(
  [100, 'call'],
  [20, 'refresh'],
  [12, 'refresh twice at once'],
  [10, 'lose the answer'],
  [4, 'lose the answer, and come back late'],
  [8, 'lose the connection'],
  [4, 'use the code twice'],
  [1, 'sleep'],
  [1, 'log out'],
  [1, 'be logged out by the administrator'],
  [1, 'forget'],
  [1, 'use an older refresh token'],
  [1, 'use the code again'],
)

/** Whether it means something for a session as it is now. */
export function isPossible(habit: Habit, session: Session): boolean {
  if (session.refreshToken === undefined) return habit === 'call'
  // The one before the last is still good for a repetition.
  if (habit === 'use an older refresh token') return session.older.length > 1
  if (habit === 'use the code twice') return performance.now() - session.beganAt < DUPLICATE_MS / 2
  if (habit === 'use the code again') return performance.now() - session.answeredAt > DUPLICATE_MS * 2
  return true
}
