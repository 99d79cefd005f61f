-- Inspects the upstream's response before the client gets it. This is a separate
-- plugin because a `response` handler makes Kong buffer every response of the
-- routes it is attached to: only routes that opt in should pay for it. Node
-- address, credentials and failure policy are those of kong-lua on the same route.
local coverage = require "kong.plugins.kong-lua.coverage"
local inspect = require "kong.plugins.kong-lua.inspect"
local notice = require "kong.plugins.kong-lua.notice"
local payload = require "kong.plugins.kong-lua.payload"
local reply = require "kong.plugins.kong-lua.reply"

local Handler = {
  -- Just after kong-lua (1703), whose outcome it continues.
  PRIORITY = 1702,
  VERSION = "1.0.0",
}

local UNAVAILABLE = "service unavailable"

-- A missing kong-lua is a lasting mistake: a line in this time is enough.
local MISSING_INTERVAL_S = 60

local function log_warn(text)
  ngx.log(ngx.WARN, text)
end

local function consumer_name()
  local consumer = kong.client.get_consumer()
  if consumer then
    return consumer.username or consumer.custom_id or consumer.id
  end
end

-- What kong-lua found out about this request, if the response is to be judged.
local function outcome_to_judge()
  local outcome = kong.ctx.shared.kong_lua
  if not outcome then
    notice.emit(log_warn, "no kong-lua", "kong-lua-response inspects nothing on this route: "
      .. "kong-lua is not attached to it", MISSING_INTERVAL_S)
    return nil
  end
  if outcome.set and outcome.set.conf.blocking and outcome.wants ~= "none" then
    return outcome
  end
end

-- Counts and logs a response without a verdict. Returns the reply that the client gets
-- instead of it, or nil if it passes.
local function unjudged(outcome, reason, detail)
  local set, refused = outcome.set, nil
  if set.conf.failure_mode == "fail_closed" then
    refused = reply.own(set.conf.failure_status, UNAVAILABLE, outcome.id)
  end
  coverage.dropped(set.node, "response", reason, refused ~= nil)
  notice.emit(log_warn, "response " .. reason .. " " .. set.node, "response to " .. outcome.id
    .. (refused and " refused" or " passed") .. " uninspected, reason=" .. reason
    .. " route=" .. payload.token(outcome.about.route or "-") .. (detail and " (" .. detail .. ")" or ""))
  return refused
end

local function body_of(conf, outcome)
  local text = kong.service.response.get_raw_body() or ""
  local limit = outcome.wants == "head" and 0 or conf.response_max_body_bytes
  if #text > limit then
    return { extent = "prefix", data = text:sub(1, limit), size = limit, total = #text }
  end
  return { extent = "complete", data = text, size = #text, total = #text }
end

local function judge(conf, outcome)
  local set = outcome.set
  local content = body_of(conf, outcome)
  local lines = payload.response_lines(outcome, consumer_name())
    .. payload.body_line(content)
  local head = payload.response_head(kong.response.get_status(), ngx.resp.get_headers(0, true))
  local answer, verdict, detail = inspect.ask(set, log_warn, {
    fixed = set.responses, lines = lines, head = head, content = content,
    deadline = ngx.now() + conf.timeout_ms / 1000, timeout_ms = conf.timeout_ms, waits = true,
  })
  if answer and verdict == "accepted" then
    answer, verdict, detail = nil, "malformed", "accepted instead of judged"
  end
  if not answer then
    return unjudged(outcome, verdict, detail)
  end
  outcome.response_judged = true
  if verdict == "block" then
    return reply.of_verdict(answer.body, outcome.id)
  end
end

-- They belong to the connection, and nginx sets them itself.
local HOP_BY_HOP = { ["connection"] = true, ["keep-alive"] = true, ["transfer-encoding"] = true }

-- Nothing of the response that is not sent may show in the reply: its headers describe
-- another body, set cookies, or let a cache keep the reply.
local function replace(answer)
  for name in pairs(ngx.resp.get_headers(0, true)) do
    if not HOP_BY_HOP[name:lower()] then
      ngx.header[name] = nil
    end
  end
  return kong.response.exit(answer.status, answer.body, answer.headers)
end

-- Kong buffers responses over HTTP/2 from this version on.
local HTTP2_MAJOR, HTTP2_MINOR = 3, 9

local function buffers_http2()
  local major, minor = tostring(kong.version):match("^(%d+)%.(%d+)")
  major, minor = tonumber(major) or 0, tonumber(minor) or 0
  return major > HTTP2_MAJOR or major == HTTP2_MAJOR and minor >= HTTP2_MINOR
end

-- Why Kong will not buffer the response to this request, or nil.
local function why_unbuffered()
  local upgrade = ngx.var.upstream_upgrade
  if upgrade and upgrade ~= "" then
    return "upgrade"
  end
  if ngx.req.http_version() >= 2 and not buffers_http2() then
    return "unbuffered"
  end
end

-- Before the request goes to the upstream: a response that Kong will not buffer is
-- subject to the failure policy like one that gets no verdict.
function Handler:access()
  local outcome = outcome_to_judge()
  if not outcome then
    return
  end
  if outcome.about.grpc then
    -- Kong cannot buffer gRPC: the call would fail. The schema refuses the plugin on
    -- gRPC routes, so only an instance for all routes gets here.
    ngx.ctx.buffered_proxying = nil
    coverage.dropped(outcome.set.node, "response", "grpc")
    return
  end
  local why = why_unbuffered()
  if not why then
    -- For kong-lua, which counts the response if it was not buffered all the same.
    outcome.to_be_judged = true
    return
  end
  local refused = unjudged(outcome, why, "not buffered by Kong")
  if refused then
    return kong.response.exit(refused.status, refused.body, refused.headers)
  end
end

function Handler:response(conf)
  local outcome = outcome_to_judge()
  if not outcome then
    return
  end
  outcome.to_be_judged = nil
  local ok, answer = pcall(judge, conf, outcome)
  if not ok then
    answer = unjudged(outcome, "lua_error", tostring(answer))
  end
  if answer then
    return replace(answer)
  end
end

return Handler
