#!lua flags=allow-oom
-- Sets what a counter has settled, unless that is not what it is expected to be.
--
-- KEYS  counter, state
-- ARGV  1 now or ''   2 the amount, or '' for none   3 end of window in ms or ''
--       4 kept for, ms, or '' for ever
--       5 what it must have settled for that, or '' where it does not matter
-- Returns {settled, held} as they were.

local counter = read_counter(KEYS[1])
local now = read_clock(KEYS[2], ARGV[1])
local reply = {}
append_level(reply, counter)
if ARGV[2] ~= '' and (ARGV[5] == '' or ARGV[5] == counter.settled) then
  counter.settled = ARGV[2]
  cross(counter, '', next_order(KEYS[2]))
  write_counter(counter, ARGV[3], ARGV[4], now)
end
keep_clock(KEYS[2], ARGV[1], now)
return reply
