import t from 'tap'
import { createRedisClient } from '../../../../plugin/stores/redis/client.ts'
import { parseRedisUrl } from '../../../../plugin/stores/redis/url.ts'

t.test('the forms of a Redis URL; a wrong one is refused and not repeated (G-16)', async (t) => {
  t.match(parseRedisUrl('redis://127.0.0.1'), {
    kind: 'single',
    isTls: false,
    hosts: [{ host: '127.0.0.1', port: 6379 }],
  })
  t.match(parseRedisUrl('rediss://user:p%40ss%2F@cache.example.com:6380/2'), {
    kind: 'single',
    isTls: true,
    username: 'user',
    password: 'p@ss/',
    hosts: [{ host: 'cache.example.com', port: 6380 }],
    path: '2',
  })
  t.match(parseRedisUrl('redis+sentinel://:p@s1,[::1]:26380/main'), {
    kind: 'sentinel',
    username: '',
    password: 'p',
    hosts: [
      { host: 's1', port: 26_379 },
      { host: '::1', port: 26_380 },
    ],
    path: 'main',
  })
  t.match(parseRedisUrl('rediss+cluster://h1:1,h2:2'), {
    kind: 'cluster',
    isTls: true,
    hosts: [{ port: 1 }, { port: 2 }],
  })
  for (const wrong of [
    'http://:secret@host',
    'redis://:secret@host:99999',
    'redis://:secret@one,two',
    'redis://:secret@host/name',
    'redis://:sec@ret@host',
    'redis://:secret%zz@host',
    'redis+sentinel://:secret@host',
    'redis+cluster://:secret@host/3',
    'redis://:secret@',
    ' redis://:secret@host',
  ]) {
    t.throws(() => createRedisClient({ url: wrong }), {
      name: 'TypeError',
      message: /^the Redis URL must be (?!.*secret)/,
    })
  }
})
