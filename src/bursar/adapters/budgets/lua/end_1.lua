#!lua flags=allow-oom
-- Ends a reservation: its amounts are counted in the place of what was held for it, or presumed of it before.
-- That is written even where memory is full: it was paid for.
--
-- KEYS  lease, leases, state, conversation, each demand's counter
-- ARGV  1 now or ''   2 'settled', 'released' or 'presumed'   3 name   4 its tombstone is kept for, ms
--       5 demands
--       for each: amount, '1' where it is counted or '0', limit for new conversations or '', end of window in
--       ms or '', kept for, ms, or '' for ever
-- Presumed is only what is held and was left behind, by the amounts that are held: those given do not matter.
-- Returns {'first', settled, held, …}, {'ended', letter}, or {'no'} where nothing is to be presumed.

local lease_key, leases_key, state_key, conversation_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local now = read_clock(state_key, ARGV[1])
local letter, name, demands = string.sub(ARGV[2], 1, 1), ARGV[3], tonumber(ARGV[5])

local lease = redis.call('GET', lease_key)
local before = lease and string.sub(lease, 1, 1)
if letter == 'p' then
  local expires = redis.call('ZSCORE', leases_key, name)
  if before ~= 'h' or not expires or tonumber(expires) > now then
    return { 'no' }
  end
elseif before == 's' or before == 'r' then
  return { 'ended', before }
end

local amounts_before
if before then
  amounts_before = read_amounts(lease, demands)
  if amounts_before.err then
    return amounts_before
  end
end

local function end_of(number)
  local at = 5 + 5 * (number - 1)
  local counter = read_counter(KEYS[4 + number])
  local was = amounts_before and amounts_before[number] or '0'
  return {
    counter = counter,
    amount = letter == 'p' and was or ARGV[at + 1],
    held = before == 'h' and was or '0',
    presumed = before == 'p' and was or '0',
    is_counted = ARGV[at + 2] == '1',
    new_limit = ARGV[at + 3],
    end_ms = ARGV[at + 4],
    kept_ms = ARGV[at + 5],
  }
end

local order = next_order(state_key)
local ends, presumed = {}, {}
for number = 1, demands do
  ends[number] = end_of(number)
  presumed[number] = ends[number].amount
end

redis.call('SET', lease_key, letter == 'p' and 'p' .. table.concat(presumed, ',') or letter, 'PX', ARGV[4])
redis.call('ZREM', leases_key, name)
local reply = { 'first' }
for _, ending in ipairs(ends) do
  local counter = ending.counter
  counter.held = subtract(counter.held, ending.held)
  if ending.is_counted and ending.amount ~= ending.presumed then
    -- A correction by the ledger may have come between: nothing falls below zero.
    counter.settled = subtract(add(counter.settled, ending.amount), ending.presumed)
    cross(counter, ending.new_limit, order)
  elseif before == 'h' then
    cross(counter, ending.new_limit, order)
  end
  if before == 'h' or (ending.is_counted and ending.amount ~= ending.presumed) then
    write_counter(counter, ending.end_ms, ending.kept_ms, now)
  end
  append_level(reply, counter)
end

if letter == 's' then
  local known = read_conversation(conversation_key)
  local first = order
  if known and now - known.last < CONVERSATION_KEPT_MS then
    first = known.first
  end
  redis.call('SET', conversation_key, string.format('%d %d', first, now), 'PX', CONVERSATION_KEPT_MS)
  redis.call('HSET', state_key, 'settles', string.format('%d', order))
end
keep_clock(state_key, ARGV[1], now)
return reply
