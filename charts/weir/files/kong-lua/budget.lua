-- The time of one call to the node: each step has its own time-out, within one
-- deadline for all of them.
local budget = {}

local now = ngx.now

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

return budget
