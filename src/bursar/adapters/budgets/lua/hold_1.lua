#!lua
-- Holds a reservation, or more for one, or nothing. "reserve" changes nothing where it is held; "extend" takes
-- the amounts as new totals.
--
-- KEYS  lease, leases, state, conversation, each demand's counter, and for each throttle: its budget, this
--       hour, the hour before
-- ARGV  1 now or ''   2 'reserve' or 'extend'   3 name   4 time to live, ms   5 the reservation
--       6 demands   7 throttles
--       for each demand: amount, limit or '', limit for new conversations or '', end of window in ms or '',
--       kept for, ms, or '' for ever
--       for each throttle: from which settled amount, number of the minute's demand, end of minute in ms,
--       end of the earlier hour in ms, its length in ms, share in thousandths
-- Returns {'held', settled, held, …}, {'ended', letter}, {'throttled', number from 0, seconds}, or
--       {'exceeded', then for each demand: '1' where the limit for new ones applied, by how much it would be
--       exceeded or '', settled, held}

local lease_key, leases_key, state_key = KEYS[1], KEYS[2], KEYS[3]
local now = read_clock(state_key, ARGV[1])
local is_extension = ARGV[2] == 'extend'
local name, ttl_ms = ARGV[3], tonumber(ARGV[4])
local demands, throttles = tonumber(ARGV[6]), tonumber(ARGV[7])

local function read_demands()
  local conversation, is_read
  local function is_new(counter, new_limit)
    if new_limit == '' then
      return false
    end
    if not is_read then
      conversation, is_read = read_conversation(KEYS[4]), true
    end
    if not conversation or now - conversation.last >= IDLE_MS then
      return true
    end
    return counter.crossed and counter.new_limit == new_limit
      and conversation.first >= tonumber(counter.crossed)
  end
  local read = {}
  for number = 1, demands do
    local at = 7 + 5 * (number - 1)
    local demand = {
      counter = read_counter(KEYS[4 + number]),
      amount = ARGV[at + 1],
      limit = ARGV[at + 2],
      end_ms = ARGV[at + 4],
      kept_ms = ARGV[at + 5],
    }
    demand.more = demand.amount
    if is_new(demand.counter, ARGV[at + 3]) then
      demand.is_new, demand.limit = true, ARGV[at + 3]
    end
    read[number] = demand
  end
  return read
end

-- What is held already is not asked for again, and none of it is given back.
local function count_held(asked, held)
  for number, demand in ipairs(asked) do
    demand.more = subtract(demand.amount, held[number])
    demand.amount = add(held[number], demand.more)
    demand.fits = demand.more == '0'
  end
end

local function levels(asked)
  local reply = { 'held' }
  for _, demand in ipairs(asked) do
    append_level(reply, demand.counter)
  end
  return reply
end

local function exceeded(asked)
  local reply, is_exceeded = { 'exceeded' }, false
  for _, demand in ipairs(asked) do
    local beyond = ''
    if demand.limit ~= '' and not demand.fits then
      local total = add(add(demand.counter.settled, demand.counter.held), demand.more)
      if is_less(demand.limit, total) then
        beyond, is_exceeded = subtract(total, demand.limit), true
      end
    end
    reply[#reply + 1] = demand.is_new and '1' or '0'
    reply[#reply + 1] = beyond
    append_level(reply, demand.counter)
  end
  return is_exceeded and reply
end

local function requests(key)
  local counter = read_counter(key)
  return tonumber(add(counter.settled, counter.held))
end

local function throttled(asked)
  for number = 0, throttles - 1 do
    local key, at = 4 + demands + 3 * number, 7 + 5 * demands + 6 * number
    if not is_less(read_counter(KEYS[key + 1]).settled, ARGV[at + 1]) then
      local length = tonumber(ARGV[at + 5])
      local overlap = math.min(length, math.max(0, tonumber(ARGV[at + 4]) + 3600000 - now))
      local earlier = requests(KEYS[key + 3]) * overlap
      -- The remainder goes first: a quotient of doubles may round up.
      local last_hour = requests(KEYS[key + 2]) + (earlier - earlier % length) / length
      local allowed = math.max(1, math.floor(last_hour * tonumber(ARGV[at + 6]) / 1000))
      local minute = asked[tonumber(ARGV[at + 2]) + 1]
      local used = add(add(minute.counter.settled, minute.counter.held), minute.more)
      if tonumber(used) > allowed then
        local wait = math.max(1, math.ceil((tonumber(ARGV[at + 3]) - now) / 1000))
        return { 'throttled', tostring(number), string.format('%d', wait) }
      end
    end
  end
end

local lease = redis.call('GET', lease_key)
local is_held = lease and string.sub(lease, 1, 1) == 'h'
if lease and not is_held then
  return { 'ended', string.sub(lease, 1, 1) }
end

local asked = read_demands()
if is_held then
  local held = read_amounts(lease, demands)
  if held.err then
    return held
  end
  if not is_extension then
    return levels(asked)
  end
  count_held(asked, held)
end

local refused = exceeded(asked) or (not is_extension and throttled(asked))
if refused then
  return refused
end

local amounts = {}
for number, demand in ipairs(asked) do
  demand.counter.held = add(demand.counter.held, demand.more)
  write_counter(demand.counter, demand.end_ms, demand.kept_ms, now)
  amounts[number] = demand.amount
end
redis.call('SET', lease_key, 'h' .. table.concat(amounts, ',') .. '\n' .. ARGV[5])
redis.call('ZADD', leases_key, 'GT', string.format('%d', now + ttl_ms), name)
keep_clock(state_key, ARGV[1], now)
return levels(asked)
