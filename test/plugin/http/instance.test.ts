import fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import t from 'tap'
import { assertTrustworthy } from '../../../plugin/http/instance.ts'
import pkce, { ConfigError, formatPath } from '../../../plugin/index.ts'
import { least } from '../../support/plugin-options.ts'

t.test('the instance: settings that would undermine the plugin (H-01, J-08)', async (t) => {
  const register = async (settings: FastifyServerOptions, prefix?: string) => {
    const app = fastify(settings)
    const options = {
      ...least(),
      provider: { issuer: 'http://127.0.0.1:1', clientId: 'a', clientSecret: 'b' },
    }
    try {
      if (prefix === undefined) await app.register(pkce, options)
      else await app.register(async (child) => child.register(pkce, options), { prefix })
      return []
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      return error.problems.map(({ path }) => formatPath(path))
    } finally {
      await app.close()
    }
  }
  for (const trustProxy of [true, 1, 2, () => true] as const) {
    t.same(await register({ trustProxy } as FastifyServerOptions), ['fastify.trustProxy'], String(trustProxy))
  }
  for (const trustProxy of [
    false,
    '127.0.0.1',
    ['10.0.0.0/8', '::1'],
    '10.0.0.1,10.0.0.2',
    'loopback',
  ] as const) {
    t.same(await register({ trustProxy } as FastifyServerOptions), [], String(trustProxy))
  }
  for (const option of ['ignoreTrailingSlash', 'ignoreDuplicateSlashes', 'useSemicolonDelimiter']) {
    t.same(await register({ routerOptions: { [option]: true } }), [`fastify.${option}`])
  }
  t.same(await register({ routerOptions: { caseSensitive: false } }), ['fastify.caseSensitive'])
  t.same(
    await register({ trustProxy: true, routerOptions: { caseSensitive: false, ignoreTrailingSlash: true } }),
    ['fastify.ignoreTrailingSlash', 'fastify.caseSensitive', 'fastify.trustProxy'],
  )
  t.same(await register({}, '/v1'), ['fastify.prefix'], 'metadata would name addresses that do not exist')
  t.same(await register({}, ''), [], 'an encapsulated scope without a prefix is fine')
})

/** What the check says of an instance. */
function problemsOf(app: FastifyInstance): string[] {
  try {
    assertTrustworthy(app)
    return []
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return error.problems.map(({ path, problem }) => `${path.join('.')}: ${problem}`)
  }
}

t.test('an instance whose trustProxy cannot be found is refused, whatever else it says (J-08)', async (t) => {
  const unknown = { initialConfig: {}, prefix: '', hasDecorator: () => false } as unknown as FastifyInstance
  t.match(problemsOf(unknown), [/^fastify\.trustProxy: cannot be judged.*npm ls fastify/])
  const emptied = { ...unknown, [Symbol('fastify.options')]: undefined } as FastifyInstance
  t.match(problemsOf(emptied), [/^fastify\.trustProxy: cannot be judged/])
})

t.test('the trustProxy of an instance counts in what it encapsulates (J-08)', async (t) => {
  const problemsInside = async (trustProxy: boolean | string[]) => {
    const app = fastify({ trustProxy })
    let problems: string[] = ['not asked']
    await app.register(async (outer) => {
      await outer.register(async (inner) => {
        problems = problemsOf(inner)
      })
    })
    await app.close()
    return problems
  }
  t.match(await problemsInside(true), [/^fastify\.trustProxy: must be a list/])
  t.same(await problemsInside(['10.0.0.0/8']), [])
})
