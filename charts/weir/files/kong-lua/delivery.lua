-- Sends after the fact what need not be waited for: response legs and
-- out-of-band copies of requests. An entry is one string, so that queues can
-- bound what waits by bytes.
local coverage = require "kong.plugins.kong-lua.coverage"
local inspect = require "kong.plugins.kong-lua.inspect"
local notice = require "kong.plugins.kong-lua.notice"

local delivery = {}

local find, sub = string.find, string.sub

-- Contexts of copied requests, for response legs that follow in the same queue.
-- Two generations bound them: the older one is dropped when the newer is full.
local CONTEXTS_PER_GENERATION = 2048

local young, old, count = {}, {}, 0

local function remember(id, context)
  if count >= CONTEXTS_PER_GENERATION then
    young, old, count = {}, young, 0
  end
  young[id] = context
  count = count + 1
end

-- Reasons that trying again a little later may mend.
local TRANSIENT = { connect = true, timeout = true, reset = true, shed = true, status_5xx = true }

-- A copy that could not be delivered in this time is no longer news.
local RETRY_S = 5

-- The entry being tried again, for each queue: queues send one at a time.
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

-- What pack() put together.
local function unpack_entry(entry)
  local leg_end = find(entry, " ", 1, true)
  local id_end = find(entry, " ", leg_end + 1, true)
  local size_end = find(entry, "\n", id_end + 1, true)
  local lines_end = size_end + tonumber(sub(entry, id_end + 1, size_end - 1))
  return sub(entry, 1, leg_end - 1), sub(entry, leg_end + 1, id_end - 1), sub(entry, size_end + 1, lines_end),
    sub(entry, lines_end + 1)
end

-- Which part of the exchange an entry is of.
function delivery.leg_of(entry)
  return entry:match("^%a+")
end

-- Returns true when done with the entry, or nil and an error when the queue may
-- try it again.
function delivery.send(set, log, entry)
  local leg, id, lines, content = unpack_entry(entry)
  if leg == "responses" then
    local context = young[id] or old[id]
    if context then
      young[id], old[id] = nil, nil
      lines = lines .. "Inspector-Context: " .. context .. "\r\n"
    end
  end

  local deadline = ngx.now() + set.conf.timeout_ms / 1000
  local answer, reason, detail = inspect.ask(set, log, set[leg], lines, "",
    { data = content, size = #content }, deadline)
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

-- What the counters call the part of the exchange that a copy is of.
local LEGS = { requests = "request", responses = "response" }

function delivery.lost(set, log, leg, reason, detail)
  coverage.dropped(set.node, LEGS[leg], reason)
  notice.emit(log, "lost " .. leg .. " " .. reason .. " " .. set.node, "copy for /v1/" .. leg
    .. " not delivered to node " .. set.node .. ", reason=" .. reason
    .. (detail and " (" .. detail .. ")" or ""))
end

return delivery
