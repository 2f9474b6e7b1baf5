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
local write = { 'HSET', KEYS[1], 'version', string.format('%d', ARGV[1] + 1), 'value', ARGV[2], 'writer', ARGV[4] }
local written = redis.pcall(unpack(write))
if type(written) == 'table' then
  -- A full server refuses what may take memory, until a script has freed some. So what takes no more than before is
  -- written all the same: a grant can be ended (Q-06).
  local isFull = string.find(written.err, 'OOM', 1, true)
  if not isFull or #ARGV[2] > redis.call('HSTRLEN', KEYS[1], 'value') then return written end
  redis.call('HDEL', KEYS[1], 'value')
  redis.call(unpack(write))
end
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

/** KEYS: indexes. ARGV: member, life in ms. */
export const addToIndex = script(`${nowMs}
for _, index in ipairs(KEYS) do
  -- The score is the time at which a member leaves.
  redis.call('ZREMRANGEBYSCORE', index, '-inf', string.format('%.0f', now))
  -- GT: a shorter life does not shorten a longer one.
  redis.call('ZADD', index, 'GT', string.format('%.0f', now + ARGV[2]), ARGV[1])
  -- The index leaves with its last member.
  local last = redis.call('ZRANGE', index, -1, -1, 'WITHSCORES')
  redis.call('PEXPIREAT', index, string.format('%.0f', last[2]))
end
return { time[1], time[2] }
`)

/** KEYS: index. Reply: the live members. */
export const readIndex = script(`${nowMs}
local members = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. string.format('%.0f', now), '+inf')
return { time[1], time[2], members }
`)

/** KEYS: indexes. ARGV: member. */
export const removeFromIndex = script(`
local time = redis.call('TIME')
for _, index in ipairs(KEYS) do redis.call('ZREM', index, ARGV[1]) end
return { time[1], time[2] }
`)

/**
 * KEYS: a mark, no record. ARGV: PUBLISH or SPUBLISH, channel, message, life of the mark in ms, 1 to make it. Reply: 1 if
 * the mark was there, 2 if it is now, 0 if it is not. The way of a notification.
 */
export const publish = script(`
local time = redis.call('TIME')
-- A replica publishes, too, but changes are made elsewhere (Q-08). Its refusal of a write tells it; this one takes no
-- memory: on a full server the channel stands.
local found = redis.pcall('PEXPIRE', KEYS[1], ARGV[4])
if type(found) == 'table' and (string.find(found.err, 'READONLY', 1, true)
  or string.find(found.err, 'MASTERDOWN', 1, true)) then return found end
local made = found ~= 1 and ARGV[5] == '1' and redis.pcall('SET', KEYS[1], '', 'PX', ARGV[4])
redis.call(ARGV[1], ARGV[2], ARGV[3])
return { time[1], time[2], found == 1 and 1 or (made and made.ok and 2 or 0) }
`)

/**
 * KEYS: one of its own. ARGV: PUBLISH or SPUBLISH, channel. Each command of the other scripts once, so that every missing
 * permission is told before somebody needs it, all of them at once.
 */
export const check = script(`
local time = redis.pcall('TIME')
local key = KEYS[1]
local commands = {
  { 'TIME' },
  -- First one that takes memory: a full server refuses it as long as nothing has been freed. A replica, and a server
  -- that has lost its replicas or its disk, refuse any.
  { 'SET', key, '', 'PX', 1000 }, { 'GET', key }, { 'DEL', key },
  { 'HSET', key, 'value', '' }, { 'HGET', key, 'value' }, { 'HMGET', key, 'value' }, { 'HSTRLEN', key, 'value' },
  { 'HDEL', key, 'value' },
  { 'INCR', key }, { 'PTTL', key }, { 'PEXPIRE', key, 1000 }, { 'DEL', key },
  { 'ZADD', key, 'GT', 1, 'member' }, { 'ZRANGE', key, -1, -1, 'WITHSCORES' },
  { 'ZRANGEBYSCORE', key, '-inf', '+inf' }, { 'ZREMRANGEBYSCORE', key, '-inf', 0 },
  { 'PEXPIREAT', key, string.format('%.0f', (time[1] or 0) * 1000 + 1000) }, { 'ZREM', key, 'member' },
  { ARGV[1], ARGV[2], '' }
}
local lacking = {}
for _, command in ipairs(commands) do
  local reply = redis.pcall(unpack(command))
  if type(reply) == 'table' and reply.err then
    -- Before 7.2 a script is not told which one.
    local isLacking = string.find(reply.err, "can't run this command", 1, true)
      or string.find(reply.err, 'NOPERM .*permissions to run')
    -- What a command finds that is there without the one before it may be of another kind.
    if not isLacking and #lacking == 0 then return reply end
    local name = string.lower(command[1])
    if isLacking and not string.find(' ' .. table.concat(lacking, ' ') .. ' ', ' ' .. name .. ' ', 1, true) then
      table.insert(lacking, name)
    end
  end
end
if #lacking > 0 then
  return redis.error_reply("NOPERM this user may not run the '" .. table.concat(lacking, ' ') .. "' command")
end
return { time[1], time[2] }
`)
