import { parseArgs } from 'node:util'
import * as oauth from 'openid-client'
import { walkThrough } from './app-steps.ts'
import { loopback, privateUseScheme } from './redirect.ts'
import { Walk } from './steps.ts'

/**
 * A native app without a screen. It knows the issuer and its own client_id, nothing else, and uses a client
 * library as it comes (openid-client): if this works, so does any other standard client.
 *
 *     npm run demo:app                            a private-use scheme, com.example.app:/callback
 *     npm run demo:app -- --redirect loopback     a loopback redirect on a free port
 *     npm run demo:app -- --issuer URL
 *
 * Exit status 0: every step went as expected. 1: one did not. 2: wrong usage.
 */
const usage = 'usage: npm run demo:app -- [--issuer URL] [--redirect scheme|loopback]'

process.exitCode = await main()

async function main(): Promise<number> {
  const options = readOptions()
  if (options === undefined) {
    process.stderr.write(`${usage}\n`)
    return 2
  }
  const walk = new Walk((line) => process.stdout.write(`${line}\n`))
  const receiver = options.redirect === 'loopback' ? await loopback() : privateUseScheme()
  try {
    await walkThrough(walk, options.issuer, receiver)
    walk.note('')
    walk.note('Every step went as expected.')
    return 0
  } catch (error) {
    process.stderr.write(`\n    ✗ ${explain(error, options.issuer)}\n`)
    return 1
  } finally {
    await receiver.close()
  }
}

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        issuer: { type: 'string', default: `http://127.0.0.1:${process.env.DEMO_GATEWAY_PORT ?? 3000}` },
        redirect: { type: 'string', default: 'scheme' },
      },
    })
    const known = URL.canParse(values.issuer) && ['scheme', 'loopback'].includes(values.redirect)
    return known ? values : undefined
  } catch {
    return undefined
  }
}

/** One line for a person. Errors of the library hold no tokens in their messages. */
function explain(error: unknown, issuer: string): string {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ECONNREFUSED') {
      return `nothing answers at ${issuer}: start the gateway with npm start`
    }
  }
  if (error instanceof oauth.ResponseBodyError) return `the gateway answered ${error.status} ${error.error}`
  return error instanceof Error ? error.message : String(error)
}
