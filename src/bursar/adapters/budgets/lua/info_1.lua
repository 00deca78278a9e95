#!lua flags=no-writes
-- Tells about the server.
--
-- KEYS  any key of the organisation
-- Returns the text that INFO returns.

return redis.call('INFO')
