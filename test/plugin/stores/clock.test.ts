import t from 'tap'
import { ServerClock } from '../../../plugin/stores/clock.ts'

t.test("the server's clock is followed within the bounds of each answer (G-06)", async (t) => {
  let monotonic = 1000
  const clock = new ServerClock(
    () => monotonic,
    () => 500_000,
  )
  t.equal(clock.now(), 500_000, "the host's, until the first answer")
  const startedAt = clock.start()
  monotonic += 10
  clock.observe(700_000, startedAt)
  t.ok(clock.now() >= 700_000 && clock.now() <= 700_010)
  const before = clock.now()
  const slow = clock.start()
  monotonic += 5000
  clock.observe(702_000, slow)
  t.equal(clock.now(), before + 5000, 'an answer that took long says little, and changes nothing')
  monotonic += 1000
  clock.observe(Number.NaN, clock.start())
  t.equal(clock.now(), before + 6000)
})
