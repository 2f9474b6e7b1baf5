/** A gateway process with clients of all kinds, for what is done to it meanwhile. */
import type { ServerResponse } from 'node:http'
import type { Test } from 'tap'
import { Agent, fetch, request } from 'undici'
import { serve } from '../support/gateway-command.ts'
import {
  type Instance,
  type Instances,
  type InstancesOptions,
  signInAtStub,
  startInstances,
} from '../support/instances.ts'
import { NativeApp, send } from '../support/native-app.ts'
import { until } from '../support/wait.ts'
import { Load, pause } from './load.ts'

/** Who forwards at a time. */
const CLIENTS = 16
/** Who log in at a time. */
export const LOGINS = 4
/** Of a login: from our code to its redemption. */
const CODE_AGE_MS = 200

/** What a client can tell of an answer before it asks again. */
export interface Outcome {
  readonly status: number
  readonly text: string
  readonly retryAfter: string | null
}

interface UnderLoadOptions extends InstancesOptions {
  /** Makes a request of a login, or forwards one; again if it likes. Default: once. */
  readonly ask?: <Answer extends Outcome>(request: () => Promise<Answer>) => Promise<Answer>
  /** A login that was answered so begins anew, and is not lost. Default: none. */
  readonly beginsAgain?: (answer: Outcome) => boolean
}

export interface UnderLoad {
  readonly stack: Instances
  readonly instance: Instance
  readonly app: NativeApp
  readonly load: Load<'forwards' | 'logins' | 'events'>
  /** Writes the configuration and reloads it; resolves when the process says that it has, or that it will not. */
  reload(change: Parameters<Instance['configure']>[0], isGood: boolean): Promise<void>
  /** Ends the load. Resolves to the forwarded requests per second. */
  end(): Promise<number>
}

/** @returns why there can be no store here, for `skip`. */
export async function startUnderLoad(
  t: Test,
  {
    change = (config) => config,
    ask = (request) => request(),
    beginsAgain = () => false,
    ...options
  }: UnderLoadOptions,
): Promise<UnderLoad | string> {
  const streams: ServerResponse[] = []
  const events = await serve(t, (request, response: ServerResponse) => {
    if (request.url === '/light') return void response.end('ok')
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n')
    streams.push(response)
  })
  const stack = await startInstances(t, {
    ...{ count: 1, provider: 'stub' },
    ...options,
    change: async (config, index) => {
      const changed = await change(config, index)
      return { ...changed, upstreams: [...(changed.upstreams ?? []), { prefix: '/events', target: events }] }
    },
  })
  if (typeof stack === 'string') return stack
  const { publicUrl } = stack
  const instance = stack.instances[0]!
  const asked = async (request: () => ReturnType<typeof send>) =>
    ask(async () => {
      const answer = await request()
      return Object.assign(answer, { retryAfter: answer.headers.get('retry-after') })
    })
  const signIn = signInAtStub(stack.stub, publicUrl, { seconds: 3600 }, (...to) => asked(() => send(...to)))
  const app = new NativeApp({ publicUrl, signIn })
  const { access_token } = await app.login()
  const headers = { authorization: `Bearer ${access_token}` }
  const agent = new Agent({ connections: CLIENTS })
  t.teardown(() => agent.destroy())

  const load = new Load(['forwards', 'logins', 'events'])
  const startedAt = performance.now()
  const { host } = new URL(publicUrl)
  load.start('forwards', CLIENTS, async () => {
    const { status, text } = await ask(async () => {
      const answer = await request(`${instance.url}/events/light`, {
        headers: { ...headers, host },
        dispatcher: agent,
      })
      const retryAfter = `${answer.headers['retry-after'] ?? ''}` || null
      return { status: answer.statusCode, text: await answer.body.text(), retryAfter }
    })
    if (status !== 200 || text !== 'ok') throw new Error(`${status} ${text}`)
  })
  load.start('logins', LOGINS, async () => {
    for (;;) {
      const attempt = await app.code()
      await pause(CODE_AGE_MS)
      const answer = await asked(() => app.redeem(attempt))
      if (answer.status === 200) return
      if (!beginsAgain(answer)) throw new Error(answer.text)
    }
  })
  const leave = new AbortController()
  const stream = await fetch(`${publicUrl}/events`, { headers, signal: leave.signal })
  const reader = stream.body!.getReader()
  load.start('events', 1, async () => {
    if ((await reader.read()).done) throw new Error('it has ended')
    await pause(100)
    streams[0]!.write('data: 2\n\n')
  })

  const told = { good: 0, bad: 0 }
  const lines = (msg: string) =>
    instance
      .log()
      .split('\n')
      .filter((line) => line.includes(msg)).length
  return {
    stack,
    instance,
    app,
    load,
    async reload(change, isGood) {
      await instance.configure(change)
      instance.signal('SIGHUP')
      const expected = isGood ? 'configuration reloaded' : 'the one before it stays'
      const count = ++told[isGood ? 'good' : 'bad']
      await until(async () => {
        await pause(20)
        return lines(expected) >= count
      })
    },
    async end() {
      const seconds = (performance.now() - startedAt) / 1000
      const { forwards } = load.counts
      await load.end()
      leave.abort()
      return Math.round(forwards / seconds)
    },
  }
}
