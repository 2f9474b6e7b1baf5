/** The door to Redis for programs that have no client yet: it loads ioredis, which the plugin itself does not. */
export { checkRedis } from './check.ts'
export { createRedisClient, type RedisClientSettings } from './client.ts'
export type { RedisClient } from './commands.ts'
