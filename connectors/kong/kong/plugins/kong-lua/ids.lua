-- Identifiers: of requests, and of single calls to the node.
local base64url = require("ngx.base64").encode_base64url

local ids = {}

local sub = string.sub

-- In characters: 128 bits for a request, which is known by it everywhere; 48 bits for a call,
-- which must differ from those before it on the same connection.
local REQUEST_LENGTH, CALL_LENGTH = 22, 8
-- LuaJIT hashes a long string by its length and some of its bytes. Calls, and answers, that differ
-- in an id alone would collide, and each new one be compared with all that are not yet collected:
-- a fifth of the connector's work. So ids of calls have up to this many more characters, in turn.
local MORE_LENGTHS = 32

-- Identifiers are cut from one long random text, so that one read of the system's
-- generator and one encoding serve many requests. A multiple of three bytes, so that base64
-- needs no padding.
local POOL_BYTES = 2250

local pool, pool_at, pool_pid = "", 1, nil
local more = 0

local function refill()
  local source = assert(io.open("/dev/urandom", "rb"))
  pool = base64url(source:read(POOL_BYTES))
  source:close()
  pool_at = 1
  -- A text read before a fork would give every worker the same identifiers.
  pool_pid = ngx.worker.pid()
end

-- Takes the next `length` characters. The id has `extra` characters more, which are those that the
-- next one begins with.
local function cut(length, extra)
  local pid = ngx.worker.pid()
  if pool_at + length + extra > #pool or pool_pid ~= pid then
    refill()
  end
  local id = sub(pool, pool_at, pool_at + length + extra - 1)
  pool_at = pool_at + length
  return id
end

-- The id of a request and of the response to it.
function ids.of_request()
  return cut(REQUEST_LENGTH, 0)
end

-- The id of one attempt to call the node, which the node repeats in its answer.
function ids.of_call()
  more = more < MORE_LENGTHS and more + 1 or 0
  return cut(CALL_LENGTH, more)
end

return ids
