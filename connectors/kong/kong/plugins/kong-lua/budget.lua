-- The time of one call to the node: each step has its own time-out, within one
-- deadline for all of them.
local budget = {}

local now = require "kong.plugins.kong-lua.clock"

local function at_most(limit, left)
  return left < limit and left or limit
end

-- Sets the socket's time-outs to the time that is left. Returns the current time,
-- which the next step passes as `before`, or nil if no time is left. The server's
-- clock does not advance until the worker next waits, so steps that did not wait
-- cost nothing here.
function budget.share(sock, conf, deadline, before)
  local at = now()
  if at == before then
    return at
  end
  local left = (deadline - at) * 1000
  if left < 1 then
    return nil
  end
  sock:settimeouts(at_most(conf.connect_timeout_ms, left), at_most(conf.send_timeout_ms, left),
    at_most(conf.read_timeout_ms, left))
  return at
end

-- A step that had less than this share of a call's whole time when it began shows
-- nothing about the node if it runs out of time.
local FAIR_SHARE = 0.25

-- Whether a step that began at `at` had enough time. call: see client.call().
function budget.is_fair(call, at)
  return (call.deadline - at) * 1000 >= call.timeout_ms * FAIR_SHARE
end

-- The clock counts milliseconds in fractions of a second, which have no exact values.
local ROUNDING_MS = 0.001

-- Whole milliseconds after `at` for which the connector waits for a response. At least
-- 1, because share() has found as much.
function budget.left_ms(conf, deadline, at)
  local left = math.floor((deadline - at) * 1000 + ROUNDING_MS)
  return at_most(conf.read_timeout_ms, left)
end

-- A busy node is asked again only if at least this much time is left.
local LEAST_RETRY_MS = 50

function budget.allows_retry(call)
  local left_ms = (call.deadline - now()) * 1000 + ROUNDING_MS
  return left_ms >= math.max(LEAST_RETRY_MS, call.timeout_ms * FAIR_SHARE)
end

return budget
