#!lua flags=no-writes
-- Reads counters.
--
-- KEYS  the counters
-- Returns {settled, held, …}

local reply = {}
for _, key in ipairs(KEYS) do
  append_level(reply, read_counter(key))
end
return reply
