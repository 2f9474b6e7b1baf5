import { createWriteStream, renameSync, writeFileSync } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createServices } from '../../../gateway/app.ts'
import { gatewayConfig } from '../../../gateway/index.ts'
import { createTestGrantIssuer } from '../../../plugin/api/testing.ts'
import type { Store } from '../../../plugin/index.ts'
import { readArgument } from '../../plan/argument.ts'
import { SECRETS, SESSION_SECONDS } from '../redis.ts'
import type { PlantArgument, PlantedSession } from './planted.ts'

/** Makes sessions as logins would leave them, and writes down what the store is given. */
const { config, count, sessionsFile, tokensFile } = readArgument<PlantArgument>()
const { options } = createServices(gatewayConfig({ ...config, secrets: SECRETS }))

/** Of the session that is being made. */
let made: PlantedSession = { key: '', value: '', indexes: [], member: '', ttlMs: 0 }
const unused = () => Promise.reject(new Error('an issuer of grants does not use it'))
const recorder: Store = {
  name: 'recorder',
  now: Date.now,
  create: async (key, value, ttlMs) => {
    made = { key, value, indexes: [], member: '', ttlMs }
    return true
  },
  addToIndex: async (indexes, member) => {
    made = { ...made, indexes, member }
  },
  replace: async (key, _version, value, ttlMs) => {
    made = { ...made, key, value, ttlMs }
    return true
  },
  ...{ read: unused, reserve: unused, readIndex: unused, removeFromIndex: unused },
  ...{ watch: unused, check: unused, close: unused },
}
const issuer = createTestGrantIssuer({ ...options, store: recorder })

const tokens: string[] = []
await pipeline(Readable.from(lines()), createWriteStream(`${sessionsFile}.new`))
writeFileSync(tokensFile, JSON.stringify(tokens))
renameSync(`${sessionsFile}.new`, sessionsFile)

async function* lines(): AsyncGenerator<string> {
  for (let user = 0; user < count; user += 1) {
    const { accessToken } = await issuer.issue({ subject: `user-${user}`, expiresInSeconds: SESSION_SECONDS })
    tokens.push(accessToken)
    yield `${JSON.stringify(made)}\n`
  }
}
