#!lua flags=allow-oom
-- Forgets what a counter has settled; where nothing is held in it, all of it.
--
-- KEYS  counter
-- Returns what is held.

local counter = read_counter(KEYS[1])
if counter.held == '0' then
  redis.call('DEL', KEYS[1])
elseif not counter.is_new then
  redis.call('HSET', KEYS[1], 's', '0')
  redis.call('HDEL', KEYS[1], 'x')
end
return counter.held
