-- Counts requests that were inspected fully, partly or not at all, and reports them.
--
-- Counters are plain tables of the worker, one set per node address, and only
-- rise. Each worker is a separate instance, so a restarted worker starts a new
-- series instead of making an old one fall.
local breaker = require "kong.plugins.kong-lua.breaker"

local coverage = {}

local now = require "kong.plugins.kong-lua.clock"

-- Routes after this many are counted together.
local MAX_ROUTES = 500
local OTHER_ROUTE = "(other)"
local NO_ROUTE = "(none)"
local ALL_ROUTES = "(all)"
local SNAPSHOT_PREFIX = "kong-lua:coverage:"
-- A worker that has ended disappears from the gateway's own view after this many
-- report intervals.
local SNAPSHOT_INTERVALS = 6
local LEAST_SNAPSHOT_TTL_S = 60

local sets = {}

local function counters(node)
  local found = sets[node]
  if not found then
    found = { routes = {}, route_count = 0, dropped = {}, node = node, urgent = false }
    sets[node] = found
  end
  return found
end

local function route_counters(found, route)
  route = route or NO_ROUTE
  local series = found.routes[route]
  if series then
    return series
  end
  if found.route_count >= MAX_ROUTES then
    route = OTHER_ROUTE
    series = found.routes[route]
    if series then
      return series
    end
  end
  found.route_count = found.route_count + 1
  series = { full = {}, partial = {}, none = {} }
  found.routes[route] = series
  return series
end

-- What passes uninspected for the first time, or for the first time in this time, is
-- reported at once.
local NEWS_S = 30

local function note_passed(found, entry)
  local at = now()
  if entry.passed == 0 or at - entry.last >= NEWS_S then
    found.urgent = true
  end
  entry.passed, entry.last = entry.passed + 1, at
end

-- extent: "full", "partial" or "none"; reason: why not full; seen and unseen:
-- body bytes that the node got and did not get, if known; passed: whether the request
-- went on although the connector should have had it inspected.
function coverage.count(node, route, extent, reason, seen, unseen, passed)
  local found = counters(node)
  local by_reason = route_counters(found, route)[extent]
  local entry = by_reason[reason]
  if not entry then
    entry = { requests = 0, seen = 0, unseen = 0, passed = 0, last = 0 }
    by_reason[reason] = entry
  end
  entry.requests = entry.requests + 1
  entry.seen = entry.seen + seen
  entry.unseen = entry.unseen + unseen
  if passed then
    note_passed(found, entry)
  end
end

-- Copies that never reached the node: response legs and out-of-band requests. refused:
-- whether the client did not get what was not inspected either.
function coverage.dropped(node, kind, reason, refused)
  local found = counters(node)
  local key = kind .. ":" .. reason
  local entry = found.dropped[key]
  if not entry then
    entry = { count = 0, passed = 0, last = 0 }
    found.dropped[key] = entry
  end
  entry.count = entry.count + 1
  if not refused then
    note_passed(found, entry)
  end
end

-- Whether something is to be reported without waiting for the interval.
function coverage.is_urgent(node)
  return counters(node).urgent
end

-- The reports about this node have been taken.
function coverage.reported(node)
  counters(node).urgent = false
end

local function milliseconds(seconds)
  return seconds > 0 and math.floor(seconds * 1000) or nil
end

function coverage.snapshot(set, instance)
  local found = counters(set.node)
  local requests = {}
  for route, series in pairs(found.routes) do
    for extent, by_reason in pairs(series) do
      for reason, entry in pairs(by_reason) do
        requests[#requests + 1] = {
          route = route, inspected = extent, reason = reason, requests = entry.requests,
          bytes_inspected = entry.seen, bytes_uninspected = entry.unseen,
          passed = (extent == "none" or entry.passed > 0) and entry.passed or nil, last = milliseconds(entry.last),
        }
      end
    end
  end
  local dropped = {}
  for key, entry in pairs(found.dropped) do
    local kind, reason = key:match("^([^:]+):(.*)$")
    dropped[#dropped + 1] = { leg = kind, reason = reason, count = entry.count, passed = entry.passed,
      last = milliseconds(entry.last) }
  end
  return {
    instance = instance.id,
    worker = instance.worker,
    connector = instance.connector,
    node = set.node,
    breaker = breaker.state(set),
    -- Left out while empty: not every cjson can write an empty array.
    coverage = #requests > 0 and requests or nil,
    dropped = #dropped > 0 and dropped or nil,
  }
end

-- What the reports of all workers about all nodes may take of the dictionary, which may be
-- Kong's own, and the least for one of them.
local SNAPSHOTS_BYTES = 512 * 1024
local LEAST_SNAPSHOT_BYTES = 4096

local function most_bytes()
  local nodes = 0
  for _ in pairs(sets) do
    nodes = nodes + 1
  end
  return math.max(LEAST_SNAPSHOT_BYTES, SNAPSHOTS_BYTES / (ngx.worker.count() * math.max(nodes, 1)))
end

-- The same report with the counters of all routes added up.
function coverage.summary(report)
  local totals, list = {}, {}
  for _, entry in ipairs(report.coverage or {}) do
    local key = entry.inspected .. " " .. entry.reason
    local total = totals[key]
    if not total then
      total = { route = ALL_ROUTES, inspected = entry.inspected, reason = entry.reason, requests = 0,
        bytes_inspected = 0, bytes_uninspected = 0 }
      totals[key] = total
      list[#list + 1] = total
    end
    total.requests = total.requests + entry.requests
    total.bytes_inspected = total.bytes_inspected + entry.bytes_inspected
    total.bytes_uninspected = total.bytes_uninspected + entry.bytes_uninspected
    if entry.passed then
      total.passed = (total.passed or 0) + entry.passed
      total.last = entry.last and math.max(total.last or 0, entry.last) or total.last
    end
  end
  local short = {}
  for key, value in pairs(report) do
    short[key] = value
  end
  short.coverage = #list > 0 and list or nil
  return short
end

-- Stores the report where any worker of this gateway can read it; one that is too large,
-- without its routes. text: the report as JSON; encode: writes JSON.
function coverage.publish(set, report, text, encode)
  if #text > most_bytes() then
    text = encode(coverage.summary(report))
  end
  local ttl = math.max(LEAST_SNAPSHOT_TTL_S, SNAPSHOT_INTERVALS * set.conf.coverage_interval_s)
  local key = SNAPSHOT_PREFIX .. (ngx.worker.id() or 0) .. ":" .. set.node
  local store = breaker.dict()
  -- Not set(), which throws out entries of others where the dictionary is full.
  return (store.safe_set or store.set)(store, key, text, ttl)
end

-- Reports of all workers for the nodes given, as a JSON array.
function coverage.gather(nodes)
  local reports = {}
  local store = breaker.dict()
  for worker = 0, ngx.worker.count() - 1 do
    for i = 1, #nodes do
      reports[#reports + 1] = store:get(SNAPSHOT_PREFIX .. worker .. ":" .. nodes[i])
    end
  end
  return "[" .. table.concat(reports, ",") .. "]"
end

function coverage.reset()
  sets = {}
end

return coverage
