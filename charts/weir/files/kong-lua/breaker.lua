-- A circuit breaker per node address, shared by the workers of one gateway.
--
-- A shared dictionary holds the number of consecutive failures and, while the
-- breaker is open, the time of the next probe. If an entry is lost, the breaker
-- closes, which is the safe direction: requests are inspected again.
local breaker = {}

local now = require "kong.plugins.kong-lua.clock"

local DEDICATED_DICT = "kong_lua"
-- Kong's own small dictionary, so that the plugin needs no change to Kong's
-- settings. Not its caches: those are flushed with every configuration change.
local KONG_DICT = "kong"

-- A count expires if no failure renews it for this long.
local FAILURES_TTL_S = 60
-- An open breaker closes if no request probes it for this long.
local OPEN_TTL_S = 3600
-- A probe whose request disappeared must not keep the breaker open forever.
local PROBE_GRACE_S = 1

-- A worker whose call succeeded does not read the dictionary again for this long,
-- so it learns of the failures of other workers at most this late.
local WELL_S = 0.02

-- By breaker key: until when this worker assumes that the node works.
local well_until = {}

-- Replaces the shared dictionary if there is none: each worker then has its own
-- breaker.
local function worker_dict()
  local values, ends = {}, {}
  local dict = {}
  function dict:get(key)
    if ends[key] and ends[key] <= now() then
      values[key], ends[key] = nil, nil
    end
    return values[key]
  end
  function dict:set(key, value, ttl)
    values[key], ends[key] = value, ttl and now() + ttl
    return true
  end
  function dict:add(key, value, ttl)
    if self:get(key) ~= nil then
      return nil, "exists"
    end
    return self:set(key, value, ttl)
  end
  function dict:incr(key, step, init, ttl)
    local value = self:get(key)
    if value == nil then
      self:set(key, init + step, ttl)
      return init + step
    end
    values[key] = value + step
    return values[key]
  end
  function dict:delete(key)
    values[key], ends[key] = nil, nil
  end
  return dict
end

local dict

function breaker.dict()
  if not dict then
    dict = ngx.shared[DEDICATED_DICT] or ngx.shared[KONG_DICT] or worker_dict()
  end
  return dict
end

-- Whether the node may be called. Returns true, and "probe" if this request tests
-- whether a failing node works again.
function breaker.allow(set)
  if set.conf.breaker_failures == 0 then
    return true
  end
  local key = set.breaker_key
  if now() < (well_until[key] or 0) then
    return true
  end
  local store = breaker.dict()
  local open_until = store:get(key)
  if not open_until then
    if not store:get(key .. ":failures") then
      well_until[key] = now() + WELL_S
    end
    return true
  end
  if now() < open_until then
    return false
  end
  local ttl = set.conf.timeout_ms / 1000 + PROBE_GRACE_S
  if store:add(set.breaker_key .. ":probe", 1, ttl) then
    return true, "probe"
  end
  return false
end

-- Records a response that shows that the node works. Returns true if that closed
-- the breaker.
function breaker.success(set, probe)
  if set.conf.breaker_failures == 0 then
    return false
  end
  if not probe and now() < (well_until[set.breaker_key] or 0) then
    return false
  end
  local store = breaker.dict()
  if store:get(set.breaker_key .. ":failures") then
    store:delete(set.breaker_key .. ":failures")
  end
  if probe then
    store:delete(set.breaker_key)
    store:delete(set.breaker_key .. ":probe")
    return true
  end
  return false
end

-- Ends a probe that showed nothing about the node: the next request is one again.
function breaker.undecided(set)
  breaker.dict():delete(set.breaker_key .. ":probe")
end

-- Records a failure. Returns true if it opened the breaker, or kept it open after a
-- probe.
function breaker.failure(set, probe)
  local threshold = set.conf.breaker_failures
  if threshold == 0 then
    return false
  end
  well_until[set.breaker_key] = nil
  local store = breaker.dict()
  local count = store:incr(set.breaker_key .. ":failures", 1, 0, FAILURES_TTL_S) or 1
  if probe or count >= threshold then
    local already = store:get(set.breaker_key)
    if probe or not already then
      store:set(set.breaker_key, now() + set.conf.breaker_open_ms / 1000, OPEN_TTL_S)
      store:delete(set.breaker_key .. ":probe")
      return true
    end
  end
  return false
end

function breaker.state(set)
  local open_until = breaker.dict():get(set.breaker_key)
  if not open_until then
    return "closed"
  end
  return now() < open_until and "open" or "half_open"
end

return breaker
