import Fastify from 'fastify'
import { readArgument } from '../../plan/argument.ts'

/** A Fastify hello world: what a route costs before it does anything. */
const { port } = readArgument<{ port: number }>()
const app = Fastify({ logger: false })
app.all('/*', async () => ({ hello: 'world' }))
await app.listen({ host: '127.0.0.1', port, backlog: 4096 })
