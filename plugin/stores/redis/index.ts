/** The door to Redis for programs that have no client yet: ioredis is loaded when it is used. */
export { checkRedis, redisVersion } from './check.ts'
export { createRedisClient, type RedisClientSettings } from './client.ts'
export type { RedisClient } from './commands.ts'
