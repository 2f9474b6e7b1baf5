import { hash } from 'node:crypto'

/** One atomic step on the server. Every reply begins with the server's TIME: seconds, microseconds. */
export interface Script {
  readonly lua: string
  readonly sha1: string
}

const script = (lua: string): Script => ({ lua, sha1: hash('sha1', lua) })

/** KEYS: counter. ARGV: window in ms. Reply: count, ms until the window ends. */
export const count = script(`
local time = redis.call('TIME')
local count = redis.call('INCR', KEYS[1])
-- A counter without an end would count for ever.
if redis.call('PTTL', KEYS[1]) < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return { time[1], time[2], count, redis.call('PTTL', KEYS[1]) }
`)

/** KEYS: record. Reply: value, version; or two nulls. */
export const read = script(`
local time = redis.call('TIME')
-- Redis itself hides a record past its time (G-06).
local record = redis.call('HMGET', KEYS[1], 'value', 'version')
return { time[1], time[2], record[1], record[2] }
`)

/** KEYS: record. ARGV: value, life in ms, name of this write. Reply: 1 if written. */
export const create = script(`
local time = redis.call('TIME')
local writer = redis.call('HGET', KEYS[1], 'writer')
if writer then
  -- A client that lost its connection may send again what has been done: then it is told so, not "taken" (G-11).
  return { time[1], time[2], writer == ARGV[3] and 1 or 0 }
end
redis.call('HSET', KEYS[1], 'version', '1', 'value', ARGV[1], 'writer', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return { time[1], time[2], 1 }
`)

/** KEYS: record. ARGV: version, value, life in ms, name of this write, PUBLISH or SPUBLISH, channel, message. Reply: 1 if written. */
export const replace = script(`
local time = redis.call('TIME')
local found = redis.call('HMGET', KEYS[1], 'version', 'writer')
-- Sent again after a lost connection: it has been done and published (G-11).
if found[2] == ARGV[4] then return { time[1], time[2], 1 } end
-- Gone, expired or changed by another.
if found[1] ~= ARGV[1] then return { time[1], time[2], 0 } end
-- First, so that no write stands without its notification, even where the user may not publish (G-17).
redis.call(ARGV[5], ARGV[6], ARGV[7])
redis.call('HSET', KEYS[1], 'version', string.format('%d', ARGV[1] + 1), 'value', ARGV[2], 'writer', ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return { time[1], time[2], 1 }
`)

/** KEYS: reservation. ARGV: life in ms, name of this write. Reply: 1 if claimed. */
export const reserve = script(`
local time = redis.call('TIME')
if redis.call('SET', KEYS[1], ARGV[2], 'NX', 'PX', ARGV[1]) then return { time[1], time[2], 1 } end
-- Sent again after a lost connection: the claim is this caller's own (G-11).
return { time[1], time[2], redis.call('GET', KEYS[1]) == ARGV[2] and 1 or 0 }
`)

const nowMs = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
`

/** KEYS: index. ARGV: member, life in ms. */
export const addToIndex = script(`${nowMs}
-- The score is the time at which a member leaves.
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
-- GT: a shorter life does not shorten a longer one.
redis.call('ZADD', KEYS[1], 'GT', string.format('%.0f', now + ARGV[2]), ARGV[1])
-- The index leaves with its last member.
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', last[2]))
return { time[1], time[2] }
`)

/** KEYS: index. Reply: the live members. */
export const readIndex = script(`${nowMs}
local members = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. string.format('%.0f', now), '+inf')
return { time[1], time[2], members }
`)

/** KEYS: index. ARGV: member. */
export const removeFromIndex = script(`
local time = redis.call('TIME')
redis.call('ZREM', KEYS[1], ARGV[1])
return { time[1], time[2] }
`)

/** KEYS: where the channel is. ARGV: PUBLISH or SPUBLISH, channel, message. The way that a notification takes. */
export const publish = script(`
local time = redis.call('TIME')
redis.call(ARGV[1], ARGV[2], ARGV[3])
return { time[1], time[2] }
`)

/** KEYS: any. A write, because a replica, a full server and one that has lost its replicas still read. */
export const check = script(`
local time = redis.call('TIME')
redis.call('SET', KEYS[1], '', 'PX', 1000)
return { time[1], time[2] }
`)
