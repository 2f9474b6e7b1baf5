/** The door to Redis for programs that have no client yet: it loads ioredis, which the plugin itself does not. */
export { checkRedis } from './stores/redis/check.ts'
export { createRedisClient, type RedisClientSettings } from './stores/redis/client.ts'
export type { RedisClient } from './stores/redis/commands.ts'
