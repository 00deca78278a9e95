#!lua flags=allow-oom
-- Holds reservations for longer.
--
-- KEYS  leases, state
-- ARGV  1 now or ''   2 time to live, ms   then the names
-- Returns the names that are not held.

local now = read_clock(KEYS[2], ARGV[1])
local expires = string.format('%d', now + tonumber(ARGV[2]))
local lost = {}
for number = 3, #ARGV do
  if redis.call('ZSCORE', KEYS[1], ARGV[number]) then
    redis.call('ZADD', KEYS[1], 'GT', expires, ARGV[number])
  else
    lost[#lost + 1] = ARGV[number]
  end
end
keep_clock(KEYS[2], ARGV[1], now)
return lost
