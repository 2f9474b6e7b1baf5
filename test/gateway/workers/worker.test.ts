/** One worker as the primary sees it: when it counts as hung, by what it answers and not by a clock. */
import cluster from 'node:cluster'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { mock } from 'node:test'
import t, { type Test } from 'tap'
import type { GatewayConfig } from '../../../gateway/config/schemas/gateway.ts'
import { GatewayWorker } from '../../../gateway/workers/worker.ts'

/** More than the questions to a worker that loads. */
const A_MINUTE_AND_MORE = 61
/** More than those to one that listens. */
const ELEVEN_SECONDS = 11

/** A process that runs `code`, on which time passes for its primary only as the test says. */
function worker(t: Test, code: string): GatewayWorker {
  const folder = mkdtempSync(join(tmpdir(), 'pkce-worker-'))
  const exec = join(folder, 'worker.cjs')
  writeFileSync(exec, code)
  cluster.setupPrimary({ exec, args: [], execArgv: [] })
  mock.timers.enable({ apis: ['setInterval'] })
  const one = new GatewayWorker({} as GatewayConfig)
  t.teardown(async () => {
    mock.timers.reset()
    one.kill()
    await one.ended
    rmSync(folder, { recursive: true })
  })
  return one
}

function passSeconds(seconds: number): void {
  for (let second = 0; second < seconds; second++) mock.timers.tick(1000)
}

/** Says that it listens, and `rest`. */
const listens = (rest = '') => `
  process.on('message', (message) => { ${rest} })
  process.send({ type: 'loaded' })
  process.send({ type: 'listening', address: 'here' })`

t.test('a worker that does not answer is ended, with the reason (K-07)', async (t) => {
  const one = worker(t, listens())
  t.equal(await one.listening, 'here')
  passSeconds(ELEVEN_SECONDS - 1)
  t.ok(one.listens, 'ten questions may be on their way')
  passSeconds(1)
  t.same(await one.ended, { code: null, signal: 'SIGKILL', reason: 'it hangs: no answer for 10 s' })
  t.notOk(one.listens)
})

t.test('one answer to many questions is enough, however long it has taken', async (t) => {
  const one = worker(
    t,
    `let asked = 0
    ${listens(`
      if (message.type === 'ping' && ++asked % 10 === 0) process.send({ type: 'pong' })
      if (message.type === 'readiness') process.send({ type: 'readiness', readiness: {} })`)}`,
  )
  await one.listening
  for (let round = 0; round < 5; round++) {
    passSeconds(ELEVEN_SECONDS - 1)
    // Behind the answer to the last question.
    await one.readiness()
  }
  t.ok(one.listens)
})

t.test('a worker that hangs while it loads is given a minute', async (t) => {
  const one = worker(t, 'for (;;);')
  passSeconds(A_MINUTE_AND_MORE - 1)
  passSeconds(1)
  t.match(await one.ended, { signal: 'SIGKILL', reason: 'it hangs: no answer for 60 s' })
  await t.rejects(one.listening, {
    message: 'a worker ended before it listened: it hangs: no answer for 60 s',
  })
})

t.test('the end of a worker is known by its exit, though something still holds its channel', async (t) => {
  const one = worker(
    t,
    `require('node:child_process').spawn('sleep', ['5'], { stdio: ['ignore', 'ignore', 'ignore', 3] })
    ${listens()}
    setTimeout(() => process.exit(7), 200)`,
  )
  await one.listening
  const from = performance.now()
  t.same(await one.ended, { code: 7, signal: null })
  t.ok(performance.now() - from < 4000)
})
