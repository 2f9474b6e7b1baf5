/**
 * Load from a thread of its own, at a pace that no answer changes: what a busy event loop makes of its clients is seen
 * from outside. For `worker_threads`; `flood.ts` starts it. (Plain JavaScript: a thread has no loader.)
 */
import { Agent, get } from 'node:http'
import { setTimeout } from 'node:timers/promises'
import { parentPort, workerData } from 'node:worker_threads'

const { port, path, headers, everyMs, count } = workerData
const agent = new Agent({ keepAlive: true })

// Connections first: Node accepts one in each turn of its event loop, and what waits for that is not being served yet.
await Promise.all(Array.from({ length: count }, () => ask('/nowhere')))
const answers = []
for (let i = 0; i < count; i++) {
  answers.push(ask(path))
  await setTimeout(everyMs)
}
parentPort.postMessage(await Promise.all(answers))
agent.destroy()

function ask(path) {
  const from = performance.now()
  return new Promise((resolve) => {
    const done = (status, retryAfter) => resolve({ status, retryAfter, ms: performance.now() - from })
    get({ host: '127.0.0.1', port, path, headers, agent }, (response) => {
      response.resume()
      response.on('end', () => done(response.statusCode, response.headers['retry-after']))
    }).on('error', () => done(0))
  })
}
