-- Inspection of one request, from reading it to the outcome. The Kong plugin and the
-- OpenResty adapter share this module.
--
-- The outcome it returns:
--   id        created here
--   verdict   "pass", "block", "accepted" or "bypass" (there is no verdict)
--   reason    why there is no verdict
--   reply     what the client gets instead of the upstream's response, or nil
--   inspected "full", "partial" or "none"; part, why not full
--   attack    classes found in a request that was let through
--   context   token for the response leg
--   wants     which part of the response the node wants: "none", "head" or "body"
--   lines     header lines about the request that the response call repeats
--   plain     whether the head has none of the headers that payload.request_head() looks for
--   copy      see payload.new_copy(); false if the response is not to be copied
local body = require "kong.plugins.kong-lua.body"
local breaker = require "kong.plugins.kong-lua.breaker"
local client = require "kong.plugins.kong-lua.client"
local contained = require "kong.plugins.kong-lua.contained"
local coverage = require "kong.plugins.kong-lua.coverage"
local ids = require "kong.plugins.kong-lua.ids"
local notice = require "kong.plugins.kong-lua.notice"
local payload = require "kong.plugins.kong-lua.payload"
local reply = require "kong.plugins.kong-lua.reply"
local settings = require "kong.plugins.kong-lua.settings"

local inspect = {}

local find, match = string.find, string.match
local now = require "kong.plugins.kong-lua.clock"

-- LuaJIT makes a table with a place for each field of its constructor, but not for a
-- constant nil. A table without such a place is copied when the field is set.
local unset = nil

local UNAVAILABLE = "service unavailable"
local TOO_LARGE = "request body too large"

-- Failures that show that the node does not work, unless the client module excuses
-- them. Refused credentials, malformed calls, shed load and errors of the connector do
-- not show this.
local NODE_FAULTS = {
  connect = true, timeout = true, reset = true, malformed = true, tls = true, status_5xx = true,
}

-- The reason token for a status that goes with no verdict.
function inspect.reason_of_status(status)
  if status == 413 then
    return "too_large"
  elseif status == 503 then
    return "shed"
  elseif status == 401 or status == 403 then
    return "refused"
  elseif status >= 400 and status < 500 then
    return "bad_call"
  elseif status >= 500 then
    return "status_5xx"
  end
  return "malformed"
end

-- Returns the verdict word, or nil and the reason token.
local function read_verdict(answer)
  local status, verdict = answer.status, answer.verdict
  if status == 204 and verdict == "pass" or status == 202 and verdict == "accepted"
    or status == 200 and verdict == "block"
  then
    return verdict
  end
  return nil, inspect.reason_of_status(status)
end

-- What a node may say of responses is one of a few texts: each is read once.
local MAX_WISHES = 32
local wanted, takes_batches, wishes_count = {}, {}, 0

local function read_wishes(wishes)
  if wishes_count >= MAX_WISHES then
    wanted, takes_batches, wishes_count = {}, {}, 0
  end
  wishes_count = wishes_count + 1
  wanted[wishes] = match(wishes, "^%l+") or "body"
  takes_batches[wishes] = find(wishes, "; batch", 1, true) ~= nil
end

-- Which part of the response the node wants: "none", "head" or "body". An older node
-- does not say; it gets what the configuration allows.
function inspect.wants(answer)
  local wishes = answer.wishes
  if not wishes then
    return "body"
  elseif not wanted[wishes] then
    read_wishes(wishes)
  end
  return wanted[wishes]
end

-- Takes from an answer about a request whether this node takes batches of responses.
function inspect.note_wishes(set, answer)
  inspect.wants(answer)
  set.takes_batches = takes_batches[answer.wishes or ""] or false
end

-- Calls the node if the breaker allows it. call: see client.call(). Returns the response
-- and the verdict, or nil, the reason token and a detail.
function inspect.ask(set, log, call)
  local allowed, probe = breaker.allow(set)
  if not allowed then
    return nil, "breaker_open", "node " .. set.node
  end

  local answer, reason, detail, excused = client.call(set, call)
  if call.stray then
    notice.emit(log, "stray " .. set.node, "node " .. set.node .. " sent an answer that belongs to no call, "
      .. "which was not used; its connection was closed")
  end
  local verdict
  if answer then
    verdict, reason = read_verdict(answer)
    if verdict then
      if breaker.success(set, probe) then
        notice.say(log, "node " .. set.node .. " answers again, circuit closed")
      end
      return answer, verdict
    end
    detail = "status " .. answer.status .. ", verdict " .. (answer.verdict and "present" or "missing")
  end

  if NODE_FAULTS[reason] and not excused then
    if breaker.failure(set, probe) then
      notice.emit(log, "open " .. set.node, "circuit to node " .. set.node .. " open for "
        .. set.conf.breaker_open_ms .. " ms after " .. reason)
    end
  elseif probe then
    if answer then
      -- Any response shows that the node is reachable.
      breaker.success(set, probe)
    else
      breaker.undecided(set)
    end
  end
  return nil, reason, detail
end

local function failure_reply(conf, id, about)
  if conf.failure_mode == "fail_closed" and conf.blocking ~= false then
    return reply.own(conf.failure_status, UNAVAILABLE, id, reply.grpc_type(about))
  end
end

local function bypass(conf, node, log, about, outcome, reason, detail, unseen)
  outcome.verdict, outcome.reason = "bypass", reason
  outcome.inspected, outcome.part = "none", reason
  outcome.reply = failure_reply(conf, outcome.id, about)
  coverage.count(node, about.route, "none", reason, 0, unseen or 0, not outcome.reply)
  notice.emit(log, "bypass " .. reason .. " " .. node, "request " .. outcome.id
    .. (outcome.reply and " refused" or " forwarded") .. " uninspected, reason=" .. reason
    .. " route=" .. payload.token(about.route or "-") .. (detail and " (" .. detail .. ")" or ""))
  return outcome
end

-- What the counters call the part that was inspected.
local function extent_of(content)
  if content.extent == "complete" then
    return "full", "complete"
  end
  return "partial", content.extent == "prefix" and "prefix" or content.reason
end

local function unseen_of(content)
  return content.total and content.total - content.size or 0
end

local function note_part(node, log, outcome, content, about, why)
  local extent, part = extent_of(content)
  outcome.inspected, outcome.part = extent, part
  coverage.count(node, about.route, extent, part, content.size, unseen_of(content), part == "error")
  if part == "error" then
    notice.emit(log, "part " .. part .. " " .. node, "request body could not be read, reason="
      .. tostring(why) .. " route=" .. payload.token(about.route or "-"))
  end
end

local function refuse(node, about, outcome, status, message, part, total)
  outcome.verdict, outcome.reason = "block", part
  outcome.inspected, outcome.part = "none", part
  outcome.reply = reply.own(status, message, outcome.id, reply.grpc_type(about))
  coverage.count(node, about.route, "none", part, 0, total or 0)
  return outcome
end

local function ask_inline(set, log, about, outcome, head, rebuilt, content, why)
  local conf = set.conf
  local timeout_ms = conf.timeout_ms
  local deadline = now() + timeout_ms / 1000
  local common = payload.common_lines(outcome.id, about, head, outcome.plain)
  outcome.lines = common
  local call = {
    fixed = set.requests, lines = payload.request_lines(common, rebuilt, content), head = head, content = content,
    deadline = deadline, timeout_ms = timeout_ms, waits = true, address = unset, retried = unset,
    id = unset, stray = unset,
  }
  local answer, verdict, detail = inspect.ask(set, log, call)

  if verdict == "too_large" then
    if conf.over_limit == "block" then
      return refuse(set.node, about, outcome, 413, TOO_LARGE, "too_large", content.total)
    end
    if content.size > 0 then
      -- The node accepts less than max_body_bytes: the head can still be inspected.
      body.close(content)
      content = { extent = "unread", reason = "too_large", size = 0, total = content.total }
      call.lines, call.content = payload.request_lines(common, rebuilt, content), content
      call.retried = true
      answer, verdict, detail = inspect.ask(set, log, call)
    end
  end

  if answer and verdict == "accepted" then
    -- The connector asked for a verdict, but the node only accepted a copy.
    answer, verdict, detail = nil, "malformed", "accepted instead of judged"
  end
  if not answer then
    return bypass(conf, set.node, log, about, outcome, verdict, detail, content.total)
  end

  note_part(set.node, log, outcome, content, about, why)
  outcome.verdict = verdict
  outcome.context, outcome.attack, outcome.wants = answer.context, answer.attack, inspect.wants(answer)
  inspect.note_wishes(set, answer)
  if verdict == "block" then
    outcome.reply = reply.of_verdict(answer.body, outcome.id, reply.grpc_type(about))
  end
  return outcome
end

local function copy_out_of_band(set, log, about, outcome, head, rebuilt, content, why, enqueue)
  local bytes, err = body.string(content)
  if not bytes then
    content = { extent = "unread", reason = "error", size = 0, total = content.total }
    bytes, why = "", err
  end
  local common = payload.common_lines(outcome.id, about, head, outcome.plain)
  outcome.lines = common
  local queued, reason, detail = enqueue(set, log, "requests", outcome.id,
    payload.request_lines(common, rebuilt, content) .. payload.NOT_BLOCKING, head .. bytes)
  if not queued then
    return bypass(set.conf, set.node, log, about, outcome, reason, detail, content.total)
  end
  note_part(set.node, log, outcome, content, about, why)
  outcome.verdict = "accepted"
  return outcome
end

-- about: scheme, service and route as the gateway knows them, and streaming if its
-- configuration says that bodies may not end. enqueue: delivery.enqueue(). log: writes one line at warn.
local function guarded(conf, log, about, enqueue, outcome)
  outcome.id = ids.of_request()
  local set = settings.of(conf)
  outcome.set = set
  -- The head first: once the body has arrived, the server searches both for the head's end.
  local head, rebuilt, plain = payload.request_head()
  outcome.plain = plain
  local content, why = body.read(conf, about.streaming, plain)
  outcome.content = content

  if conf.over_limit == "block" and conf.blocking then
    if content.reason == "too_large" then
      return refuse(set.node, about, outcome, 413, TOO_LARGE, "too_large", content.total)
    elseif content.reason == "error" then
      return refuse(set.node, about, outcome, conf.failure_status, UNAVAILABLE, "error", content.total)
    end
  end

  if not conf.blocking then
    return copy_out_of_band(set, log, about, outcome, head, rebuilt, content, why, enqueue)
  end
  return ask_inline(set, log, about, outcome, head, rebuilt, content, why)
end

-- With the fields that the response leg sets.
local function new_outcome(about)
  return {
    id = unset, about = about, set = unset, plain = false, content = unset, lines = unset,
    verdict = unset, reason = unset, reply = unset, inspected = "none", part = unset,
    attack = unset, context = unset, wants = unset,
    copy = unset,
  }
end

-- Never throws: an error of the connector is one of the reasons for no verdict.
function inspect.request(conf, log, about, enqueue)
  local outcome = new_outcome(about)
  local ok, err = contained(guarded, conf, log, about, enqueue, outcome)
  if outcome.content then
    body.close(outcome.content)
    outcome.content = nil
  end
  if not ok then
    return inspect.failed(conf, log, about, outcome, err)
  end
  return outcome
end

-- The outcome after an error in the connector's own code.
function inspect.failed(conf, log, about, outcome, err)
  outcome.id = outcome.id or "unknown"
  local node = outcome.set and outcome.set.node or "unconfigured"
  return bypass(conf, node, log, about, outcome, "lua_error", tostring(err))
end

-- For the opt-in header to the upstream.
function inspect.summary(outcome)
  if outcome.verdict == "bypass" then
    return "uninspected; reason=" .. outcome.reason
  end
  local text = outcome.verdict
  if outcome.attack then
    text = text .. "; attack=" .. outcome.attack
  end
  if outcome.inspected == "partial" then
    text = text .. "; partial=" .. outcome.part
  end
  return text
end

return inspect
