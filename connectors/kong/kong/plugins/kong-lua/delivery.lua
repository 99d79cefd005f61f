-- Sends copies for which no client waits: responses, and requests out of band. An
-- entry is one string, so that queues can limit their size in bytes.
local coverage = require "kong.plugins.kong-lua.coverage"
local inspect = require "kong.plugins.kong-lua.inspect"
local notice = require "kong.plugins.kong-lua.notice"

local delivery = {}

local find, sub = string.find, string.sub

-- Contexts of copied requests, for the responses that follow in the same queue. Two
-- generations limit their number: the older is dropped when the newer is full.
local CONTEXTS_PER_GENERATION = 2048

local young, old, count = {}, {}, 0

local function remember(id, context)
  if count >= CONTEXTS_PER_GENERATION then
    young, old, count = {}, young, 0
  end
  young[id] = context
  count = count + 1
end

-- Failures after which a later attempt may succeed.
local TRANSIENT = { connect = true, timeout = true, reset = true, shed = true, status_5xx = true }

-- A copy that could not be delivered in this time is dropped.
local RETRY_S = 5

-- For each queue, the entry that is being retried: queues send one entry at a time.
local failing = setmetatable({}, { __mode = "k" })

local function may_retry(set, entry)
  local before = failing[set]
  if not before or before.entry ~= entry then
    failing[set] = { entry = entry, since = ngx.now() }
    return true
  end
  if ngx.now() - before.since < RETRY_S then
    return true
  end
  failing[set] = nil
  return false
end

function delivery.pack(leg, id, lines, content)
  return leg .. " " .. id .. " " .. #lines .. "\n" .. lines .. content
end

-- The reverse of pack().
local function unpack_entry(entry)
  local leg_end = find(entry, " ", 1, true)
  local id_end = find(entry, " ", leg_end + 1, true)
  local size_end = find(entry, "\n", id_end + 1, true)
  local lines_end = size_end + tonumber(sub(entry, id_end + 1, size_end - 1))
  return sub(entry, 1, leg_end - 1), sub(entry, leg_end + 1, id_end - 1), sub(entry, size_end + 1, lines_end),
    sub(entry, lines_end + 1)
end

-- Whether an entry is a copy of a request or of a response.
function delivery.leg_of(entry)
  return entry:match("^%a+")
end

-- Returns true if the entry is finished, or nil and an error if the queue may try
-- it again.
function delivery.send(set, log, entry)
  local leg, id, lines, content = unpack_entry(entry)
  if leg == "responses" then
    local context = young[id] or old[id]
    if context then
      young[id], old[id] = nil, nil
      lines = lines .. "Inspector-Context: " .. context .. "\r\n"
    end
  end

  local timeout_ms = set.conf.timeout_ms
  local answer, reason, detail = inspect.ask(set, log, {
    fixed = set[leg], lines = lines, head = "", content = { data = content, size = #content },
    deadline = ngx.now() + timeout_ms / 1000, timeout_ms = timeout_ms,
    -- The node accepts a copy of a request at once, but inspects a response first.
    may_be_late = leg == "responses",
  })
  if answer then
    if leg == "requests" and answer.context and set.conf.inspect_response then
      remember(id, answer.context)
    end
    return true
  end
  if TRANSIENT[reason] and may_retry(set, entry) then
    return nil, reason
  end
  delivery.lost(set, log, leg, reason, detail)
  return true
end

-- The name under which the counters count a copy.
local LEGS = { requests = "request", responses = "response" }

function delivery.lost(set, log, leg, reason, detail)
  coverage.dropped(set.node, LEGS[leg], reason)
  notice.emit(log, "lost " .. leg .. " " .. reason .. " " .. set.node, "copy for /v1/" .. leg
    .. " not delivered to node " .. set.node .. ", reason=" .. reason
    .. (detail and " (" .. detail .. ")" or ""))
end

return delivery
