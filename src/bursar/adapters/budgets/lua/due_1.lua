#!lua flags=allow-oom
-- Finds what was left behind, the oldest first.
--
-- KEYS  leases, state
-- ARGV  1 now or ''   2 how many at most   3 for how long they are overdue at least, ms
-- Returns names.

local now = read_clock(KEYS[2], ARGV[1])
keep_clock(KEYS[2], ARGV[1], now)
return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%d', now - tonumber(ARGV[3])), 'LIMIT', '0', ARGV[2])
