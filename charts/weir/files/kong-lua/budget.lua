-- The time of one call to the node: its steps have time-outs of their own, within
-- the deadline over them all.
local budget = {}

local now = ngx.now

local function at_most(limit, left)
  return left < limit and left or limit
end

-- Sets the socket's time-outs to what is left. Returns the time it was then, to
-- be handed in again at the next step as `before`, or nil where none is left.
-- The server's clock stands still until the worker next waits, so that steps
-- which did not wait cost nothing here.
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
