import { issuer } from '@openauthjs/openauth'
import { createClient } from '@openauthjs/openauth/client'
import type { Provider } from '@openauthjs/openauth/provider/provider'
import { MemoryStorage } from '@openauthjs/openauth/storage/memory'
import { createSubjects } from '@openauthjs/openauth/subject'
import type { Test } from 'tap'
import { CREDENTIALS, formPage, type NodeProvider, OURS, serve } from './serving.ts'

interface Person {
  readonly username: string
}

const subjects = createSubjects({
  user: {
    '~standard': {
      ...{ version: 1, vendor: 'test' },
      validate: (value: unknown) => ({ value: value as Person }),
    },
  },
})

/** Any name signs in. */
const byName: Provider<Person> = {
  type: 'name',
  init(routes, { forward, success }) {
    routes.get('/authorize', (context) => forward(context, formPage('/name/authorize', {}, CREDENTIALS)))
    routes.post('/authorize', async (context) => {
      const form = await context.req.formData()
      return success(context, { username: String(form.get('username')) })
    })
  },
}

/**
 * @openauthjs/openauth. It has neither id_tokens nor a userinfo endpoint: whose an access token is says a route that is
 * ours, made of its own client.
 */
export async function startOpenAuth(t: Test): Promise<NodeProvider> {
  const { origin, calls, answerFetch } = await serve(t)
  const storage = MemoryStorage()
  const app = withoutLogger(t, () =>
    issuer({
      ...{ subjects, storage, providers: { name: byName } },
      // Its own default is 30 days.
      ttl: { access: 3600 },
      success: (context, { username }) => context.subject('user', { username }, { subject: username }),
    }),
  )
  const client = createClient({ issuer: origin, clientID: 'userinfo' })
  app.get('/userinfo', async (context) => {
    const token = context.req.header('authorization')?.replace('Bearer ', '') ?? ''
    const verified = await client.verify(subjects, token)
    if (verified.err) return context.json({ error: 'invalid_token' }, 401)
    return context.json({ sub: (verified.subject.properties as Person).username })
  })
  answerFetch((request) => app.fetch(request))
  const forget = async () => {
    const known: string[][] = []
    for await (const [key] of storage.scan(['oauth:refresh'])) known.push(key)
    for (const key of known) await storage.remove(key)
  }
  return { issuer: origin, calls, ...OURS, forget }
}

/** It writes a line for each request and answer by `console.log`, which it has no option for. */
function withoutLogger<App>(t: Test, make: () => App): App {
  const { log } = console
  console.log = (...words: unknown[]) => {
    if (!/^(?:<--|-->) /.test(String(words[0]))) log(...words)
  }
  t.teardown(() => {
    console.log = log
  })
  return make()
}
