-- Posts the coverage counters of this worker to each configured node.
local cjson = require "cjson.safe"
local client = require "kong.plugins.kong-lua.client"
local coverage = require "kong.plugins.kong-lua.coverage"
local ids = require "kong.plugins.kong-lua.ids"
local notice = require "kong.plugins.kong-lua.notice"
local settings = require "kong.plugins.kong-lua.settings"
local now = require "kong.plugins.kong-lua.clock"

local reporter = {}

-- All intervals are multiples of this.
local TICK_S = 1
-- An urgent report that no node took is sent again after this time.
local RETRY_S = 2
-- Between two log lines about reports that no node took: they are repeated for as long as no node answers.
local NOTICE_INTERVAL_S = 60
-- Most nodes to which one gateway reports.
local MAX_NODES = 64

local instance
local targets, order = {}, {}

-- One configuration for each node address, the last one seen.
function reporter.watch(configs)
  local fresh, names = {}, {}
  for _, conf in ipairs(configs or {}) do
    local ok, set = pcall(settings.of, conf)
    if ok and (fresh[set.node] or #names < MAX_NODES) then
      if not fresh[set.node] then
        names[#names + 1] = set.node
      end
      local before = targets[set.node]
      fresh[set.node] = { set = set, due = before and before.due or 0, retry = before and before.retry or 0 }
    end
  end
  targets, order = fresh, names
end

function reporter.nodes()
  return order
end

local function report(set, log)
  local counters = coverage.snapshot(set, instance)
  local text, err = cjson.encode(counters)
  if not text then
    return notice.emit(log, "coverage", "coverage report could not be written: " .. tostring(err))
  end
  local stored
  stored, err = coverage.publish(set, counters, text, cjson.encode)
  if not stored then
    notice.emit(log, "coverage stored", "coverage is not shown at this gateway: " .. tostring(err))
  end
  local timeout_ms = set.conf.timeout_ms
  local answer, reason = client.call(set, {
    fixed = set.coverage, lines = "Inspector-Request-Id: " .. ids.of_request() .. "\r\n", head = text,
    deadline = now() + timeout_ms / 1000, timeout_ms = timeout_ms, anywhere = true,
  })
  if not answer or answer.status >= 300 then
    notice.emit(log, "coverage " .. set.node, "coverage report not taken by node " .. set.node
      .. ": " .. (answer and "status " .. answer.status or reason), NOTICE_INTERVAL_S)
    return false
  end
  coverage.reported(set.node)
  return true
end

-- Sends the reports that are due, and those that tell of something that passes
-- uninspected. Reports do not change the breaker; verdicts do.
function reporter.tick(log)
  notice.flush(log)
  local at = now()
  -- While a report is sent, the configuration may change.
  local names, of_name = order, targets
  for i = 1, #names do
    local target = of_name[names[i]]
    local interval = target.set.conf.coverage_interval_s
    local urgent = coverage.is_urgent(names[i])
    if interval > 0 and (at >= target.due or urgent and at >= target.retry) then
      target.due, target.retry = at + interval, 0
      if not report(target.set, log) then
        target.retry = at + RETRY_S
      end
    end
  end
end

-- every: the gateway's recurring timer. connector: the product token. Does nothing where the
-- worker's timer runs already: a gateway that loads its plugins anew starts them anew.
function reporter.start(every, log, connector)
  if instance then
    return true
  end
  instance = {
    id = ids.of_request(),
    worker = ngx.worker.id() or 0,
    connector = connector .. "/" .. settings.VERSION,
  }
  return every(TICK_S, function(premature)
    if premature then
      return
    end
    local ok, err = pcall(reporter.tick, log)
    if not ok then
      notice.emit(log, "coverage", "coverage report failed: " .. tostring(err))
    end
  end)
end

return reporter
