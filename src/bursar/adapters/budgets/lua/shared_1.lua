-- What the steps share. It stands before each of them.
--
-- Amounts are decimal texts without sign or leading zeros. Lua's numbers are doubles, exact up to 2^53 only,
-- so that amounts are added in two parts: the last 15 digits, and those before.

local PART = 1e15
local IDLE_MS = 30 * 60 * 1000
local CONVERSATION_KEPT_MS = 2 * IDLE_MS

local function split(amount)
  if #amount <= 15 then
    return 0, tonumber(amount)
  end
  return tonumber(string.sub(amount, 1, -16)), tonumber(string.sub(amount, -15))
end

local function join(high, low)
  if high == 0 then
    return string.format('%d', low)
  end
  return string.format('%d%015d', high, low)
end

-- Nearly all amounts are short, and many are none at all.
local function are_short(one, other)
  return #one <= 15 and #other <= 15
end

local function add(one, other)
  if other == '0' then
    return one
  elseif are_short(one, other) then
    return string.format('%d', one + other)
  end
  local high, low = split(one)
  local other_high, other_low = split(other)
  high, low = high + other_high, low + other_low
  if low >= PART then
    high, low = high + 1, low - PART
  end
  return join(high, low)
end

-- Never less than '0': of a counter that was lost meanwhile, no more can be taken than it has.
local function subtract(one, other)
  if other == '0' then
    return one
  elseif are_short(one, other) then
    return string.format('%d', math.max(0, one - other))
  end
  local high, low = split(one)
  local other_high, other_low = split(other)
  high, low = high - other_high, low - other_low
  if low < 0 then
    high, low = high - 1, low + PART
  end
  if high < 0 then
    return '0'
  end
  return join(high, low)
end

local function is_less(one, other)
  if #one ~= #other then
    return #one < #other
  end
  return one < other
end

-- The time in milliseconds: Redis's own, or the caller's where it gives one, which never goes back then.
local function read_clock(state, given)
  if given == '' then
    local time = redis.call('TIME')
    return time[1] * 1000 + math.floor(time[2] / 1000)
  end
  return math.max(tonumber(given), tonumber(redis.call('HGET', state, 'now') or given))
end

local function keep_clock(state, given, now)
  if given ~= '' then
    redis.call('HSET', state, 'now', string.format('%d', now))
  end
end

-- A counter is a hash: s, settled; h, held; l, the limit for new conversations; x, the order number of the
-- settle at which it was reached.
local function read_counter(key)
  local found = redis.call('HMGET', key, 's', 'h', 'l', 'x')
  return {
    key = key,
    settled = found[1] or '0',
    held = found[2] or '0',
    new_limit = found[3],
    crossed = found[4],
    is_new = not found[1],
  }
end

-- Writes one, and lets it live for its time after its window's end, or after this use where it has no end; for
-- ever where it has no time, even if an earlier version gave it one.
local function write_counter(counter, end_ms, kept_ms, now)
  redis.call('HSET', counter.key, 's', counter.settled, 'h', counter.held)
  if counter.has_crossed then
    redis.call('HSET', counter.key, 'l', counter.new_limit)
    if counter.crossed then
      redis.call('HSET', counter.key, 'x', counter.crossed)
    else
      redis.call('HDEL', counter.key, 'x')
    end
  end
  if kept_ms == '' then
    redis.call('PERSIST', counter.key)
  elseif counter.is_new or end_ms == '' then
    local left = end_ms == '' and 0 or math.max(0, tonumber(end_ms) - now)
    redis.call('PEXPIRE', counter.key, string.format('%d', left + tonumber(kept_ms)))
  end
end

-- Notes whether the settled amount, which may have changed, has reached where new conversations are refused.
local function cross(counter, new_limit, order)
  local limit, crossed = counter.new_limit, counter.crossed
  if new_limit ~= '' and new_limit ~= limit then
    limit, crossed = new_limit, false
  end
  if not limit then
    return
  end
  if is_less(counter.settled, limit) then
    crossed = false
  elseif not crossed then
    crossed = string.format('%d', order)
  end
  counter.has_crossed = limit ~= counter.new_limit or crossed ~= counter.crossed
  counter.new_limit, counter.crossed = limit, crossed
end

-- The order number of the next settle.
local function next_order(state)
  return tonumber(redis.call('HGET', state, 'settles') or 0) + 1
end

-- A conversation is 'F T': the order number of its first settle, and when its last one was.
local function read_conversation(key)
  local known = redis.call('GET', key)
  if not known then
    return nil
  end
  local first, last = string.match(known, '^(%d+) (%d+)$')
  return { first = tonumber(first), last = tonumber(last) }
end

-- A lease is 'h' with its amounts, one after another with commas between, a line feed, and the reservation as
-- the caller wrote it. A tombstone is 's', 'r', or 'p' with amounts.
local function read_amounts(lease, count)
  local amounts = {}
  for amount in string.gmatch(string.match(lease, '^%a([%d,]*)'), '%d+') do
    amounts[#amounts + 1] = amount
  end
  if #amounts ~= count then
    return redis.error_reply('MISMATCH it was held with other counters')
  end
  return amounts
end

local function append_level(reply, counter)
  reply[#reply + 1] = counter.settled
  reply[#reply + 1] = counter.held
end
