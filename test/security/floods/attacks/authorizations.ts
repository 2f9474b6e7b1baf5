/** Logins that are begun and never ended, each from another address: what a limit for each address cannot see. */
import { createHash, randomBytes } from 'node:crypto'
import { Agent, request } from 'undici'
import { HOST } from '../../../support/forwarder.ts'
import { type Attack, count, pause, someAddress, type Tally } from './attack.ts'

/** In a minute, or in proportion. */
const PER_MINUTE = 50_000
const CONNECTIONS = 32
const TICK_MS = 50

export const authorizations: Attack = async ({ port, ca, seconds }, signal) => {
  const agent = new Agent({ connections: CONNECTIONS, connect: { ca, servername: HOST } })
  const tally: Tally = { begun: 0 }
  const total = Math.ceil((PER_MINUTE * seconds) / 60)
  const one = async () => {
    count(tally, 'begun')
    const challenge = createHash('sha256').update(randomBytes(32)).digest('base64url')
    const query = new URLSearchParams({
      response_type: 'code',
      client_id: 'com.example.app',
      redirect_uri: 'com.example.app:/callback',
      scope: 'orders.read',
      state: randomBytes(24).toString('base64url'),
      code_challenge: challenge,
      code_challenge_method: 'S256',
    })
    try {
      const { statusCode, body } = await request(`https://127.0.0.1:${port}/oauth2/authorize?${query}`, {
        dispatcher: agent,
        headers: { host: HOST, 'x-forwarded-for': someAddress() },
      })
      await body.dump()
      count(tally, `answered ${statusCode}`)
    } catch {
      count(tally, 'without an answer')
    }
  }
  let underWay = 0
  const startedAt = performance.now()
  while (!signal.aborted && (tally.begun ?? 0) < total) {
    const due = Math.min(total, (total * (performance.now() - startedAt)) / 1000 / seconds)
    while ((tally.begun ?? 0) < due && underWay < 4 * CONNECTIONS) {
      underWay++
      void one().then(() => underWay--)
    }
    await pause(TICK_MS)
  }
  while (underWay > 0) await pause(TICK_MS)
  await agent.close()
  return tally
}
