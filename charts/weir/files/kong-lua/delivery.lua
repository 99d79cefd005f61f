-- Sends copies for which no client waits: responses, and requests out of band. They
-- wait in a queue for each node and worker. Copies of responses travel together if the
-- node takes batches.
local cjson = require "cjson.safe"
local coverage = require "kong.plugins.kong-lua.coverage"
local inspect = require "kong.plugins.kong-lua.inspect"
local notice = require "kong.plugins.kong-lua.notice"
local recent = require "kong.plugins.kong-lua.recent"
local spool = require "kong.plugins.kong-lua.spool"
local now = require "kong.plugins.kong-lua.clock"

local delivery = {}

-- Contexts of copied requests, for the responses that follow in the same queue.
local contexts = recent.new(2048)

-- Failures after which a later attempt may succeed.
local TRANSIENT = { connect = true, timeout = true, reset = true, shed = true, status_5xx = true }

-- A copy that could not be delivered in this time is dropped.
local RETRY_S = 5

local function may_retry(entry)
  local at = now()
  entry.failing_since = entry.failing_since or at
  return at - entry.failing_since < RETRY_S
end

-- The name under which the counters count a copy.
local LEGS = { requests = "request", responses = "response" }

-- Losses are many at once: one line about each kind in this time.
local LOSS_INTERVAL_S = 10

-- Counts a copy that will not reach the node.
function delivery.lost(set, log, leg, reason, detail)
  coverage.dropped(set.node, LEGS[leg], reason)
  notice.emit(log, "lost " .. leg .. " " .. reason .. " " .. set.node, "copy of a " .. LEGS[leg]
    .. " not delivered to node " .. set.node .. ", reason=" .. reason
    .. (detail and " (" .. detail .. ")" or ""), LOSS_INTERVAL_S)
end

-- After a failure: whether the entry stays in the queue. If not, it is counted.
local function keep(set, log, entry, reason, detail)
  if TRANSIENT[reason] and may_retry(entry) then
    return true
  end
  delivery.lost(set, log, entry.leg, reason, detail)
  return false
end

-- The calls of one entry or of a batch. A node accepts a copy of a request at once, but
-- an older one inspects a response before it answers.
local function ask(set, log, fixed, entry, content)
  local timeout_ms = set.conf.timeout_ms
  return inspect.ask(set, log, {
    fixed = fixed, lines = entry.lines, head = "", content = { data = content, size = #content },
    deadline = now() + timeout_ms / 1000, timeout_ms = timeout_ms,
    may_be_late = entry.leg == "responses", retried = entry.failing_since and true or nil,
  })
end

-- Returns whether the entry is to be tried again.
local function send_one(set, log, entry)
  local answer, reason, detail = ask(set, log, set[entry.leg], entry, entry.content)
  if not answer then
    return keep(set, log, entry, reason, detail)
  end
  if entry.leg == "requests" then
    inspect.note_wishes(set, answer)
    if set.conf.inspect_response then
      contexts:put(entry.id, { context = answer.context, unwanted = inspect.wants(answer) == "none" })
    end
  end
  return false
end

-- Gives a response the context of its request, if that was copied by the same queue.
-- Returns false if the node has no use for the response.
local function complete(entry)
  local known = entry.leg == "responses" and contexts:take(entry.id)
  if known and known.context then
    entry.lines = entry.lines .. "Inspector-Context: " .. known.context .. "\r\n"
  end
  return not (known and known.unwanted)
end

local function send_each(set, log, entries)
  local left = {}
  for i = 1, #entries do
    if send_one(set, log, entries[i]) then
      left[#left + 1] = entries[i]
    end
  end
  return left
end

-- The reason token for the status that a node gave to one item of a batch.
local function reason_of(status)
  if type(status) ~= "number" then
    return "malformed"
  elseif status >= 200 and status < 300 then
    return nil
  end
  return inspect.reason_of_status(status)
end

local function results_of(text, wanted)
  local decoded = text and cjson.decode(text)
  local results = type(decoded) == "table" and decoded.results
  if type(results) == "table" and #results == wanted then
    return results
  end
end

-- By number of copies: a response that says that all of them were delivered. Nodes say it
-- in the same words each time, so it is read once, unless it is long.
local all_delivered = {}
local MAX_REMEMBERED_BYTES = 16 * 1024

local function keep_all(set, log, entries, reason, detail)
  local left = {}
  for i = 1, #entries do
    if keep(set, log, entries[i], reason, detail) then
      left[#left + 1] = entries[i]
    end
  end
  return left
end

local function batch_text(entries)
  local pieces = {}
  for i = 1, #entries do
    local entry = entries[i]
    pieces[#pieces + 1] = "POST /v1/responses HTTP/1.1\r\n"
    pieces[#pieces + 1] = entry.lines
    if entry.failing_since then
      pieces[#pieces + 1] = "Inspector-Attempt: 2\r\n"
    end
    pieces[#pieces + 1] = "Content-Length: " .. #entry.content .. "\r\n\r\n"
    pieces[#pieces + 1] = entry.content
  end
  return table.concat(pieces)
end

local function send_batch(set, log, entries)
  local answer, reason, detail = ask(set, log, set.batch, { leg = "responses", lines = "" }, batch_text(entries))
  if not answer then
    if reason == "bad_call" or reason == "too_large" then
      -- This node takes no batches, or no batch of this size.
      set.takes_batches = false
      return send_each(set, log, entries)
    end
    return keep_all(set, log, entries, reason, detail)
  end
  local text = answer.body
  local left = {}
  if text and text == all_delivered[#entries] then
    return left
  end
  local results = results_of(text, #entries)
  if not results then
    return keep_all(set, log, entries, "malformed", "results of a batch")
  end
  local complete_batch = true
  for i = 1, #entries do
    local status = type(results[i]) == "table" and results[i].status
    local failed = reason_of(status)
    complete_batch = complete_batch and not failed
    if failed and keep(set, log, entries[i], failed, "status " .. tostring(status)) then
      left[#left + 1] = entries[i]
    end
  end
  if complete_batch and #text <= MAX_REMEMBERED_BYTES then
    all_delivered[#entries] = text
  end
  return left
end

-- Sends entries of one queue. Returns those to be tried again.
function delivery.send(set, log, entries)
  local wanted = {}
  for i = 1, #entries do
    local entry = entries[i]
    if entry.failing_since or complete(entry) then
      wanted[#wanted + 1] = entry
    end
  end
  if #wanted > 1 then
    return send_batch(set, log, wanted)
  end
  return send_each(set, log, wanted)
end

-- See inspect.lua.
local unset = nil

-- What a queue needs for an entry besides its text.
local ENTRY_BYTES = 200

-- One copy, as it waits in a queue. leg: "requests" or "responses".
function delivery.entry(set, leg, id, lines, content)
  return { set = set, leg = leg, id = id, lines = lines, content = content, since = unset, failing_since = unset,
    size = #lines + #content + ENTRY_BYTES }
end

local function may_be_together(entry)
  return entry.leg == "responses" and entry.set.takes_batches
end

-- Instances of the plugin that call a node in the same way share a queue. There are few;
-- this limit holds even if configurations come and go.
local MAX_QUEUES = 256
local queues, queue_count = {}, 0

local function forget_idle_queues()
  for name, queue in pairs(queues) do
    if queue:count() == 0 then
      queues[name] = nil
      queue_count = queue_count - 1
    end
  end
end

local function new_queue(set, log)
  if queue_count >= MAX_QUEUES then
    forget_idle_queues()
  end
  local queue = spool.new({
    max_entries = set.conf.queue_max_entries, max_bytes = set.conf.queue_max_bytes,
    send = function(entries) return delivery.send(entries[1].set, log, entries) end,
    dropped = function(entry, reason, detail)
      delivery.lost(entry.set, log, entry.leg, reason, detail and tostring(detail))
    end,
    together = may_be_together,
  })
  queues[set.queue_name] = queue
  queue_count = queue_count + 1
  return queue
end

-- Without closures, so that LuaJIT can compile it and its callers.
local function queue_of(set, log)
  return queues[set.queue_name] or new_queue(set, log)
end

-- Puts a copy into the queue of its node. Returns true, or nil, a reason and a detail.
function delivery.enqueue(set, log, leg, id, lines, content)
  return queue_of(set, log):push(delivery.entry(set, leg, id, lines, content))
end

-- Puts the copy of a response into the queue; one that does not fit is counted.
function delivery.copy_response(outcome, log, lines, content)
  local set = outcome.set
  local ok, reason, detail = delivery.enqueue(set, log, "responses", outcome.id, lines, content)
  if not ok then
    delivery.lost(set, log, "responses", reason, detail)
  end
end

return delivery
