-- Inspects the upstream's response before the client gets it. This is a separate
-- plugin because a `response` handler makes Kong buffer every response of the
-- routes it is attached to: only routes that opt in should pay for it. Node
-- address, credentials and failure policy are those of kong-lua on the same route.
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

local function log_warn(text)
  ngx.log(ngx.WARN, text)
end

local function consumer_name()
  local consumer = kong.client.get_consumer()
  if consumer then
    return consumer.username or consumer.custom_id or consumer.id
  end
end

local function judge(conf, outcome)
  local set = outcome.set
  local text = kong.service.response.get_raw_body() or ""
  local content = { extent = "complete", data = text, size = #text, total = #text }
  if #text > conf.response_max_body_bytes then
    content.extent, content.size = "prefix", conf.response_max_body_bytes
    content.data = text:sub(1, content.size)
  end
  local lines = payload.response_lines(outcome, consumer_name())
    .. payload.body_line(content)
  local head = payload.response_head(kong.response.get_status(), ngx.resp.get_headers(0, true))
  local answer, verdict, detail = inspect.ask(set, log_warn, {
    fixed = set.responses, lines = lines, head = head, content = content,
    deadline = ngx.now() + conf.timeout_ms / 1000, timeout_ms = conf.timeout_ms, waits = true,
  })

  if answer then
    outcome.response_judged = true
    if verdict == "block" then
      return reply.of_verdict(answer.body, outcome.id, ngx.var.content_type)
    end
    return nil
  end

  notice.emit(log_warn, "response " .. verdict .. " " .. set.node, "response to " .. outcome.id
    .. " uninspected, reason=" .. verdict .. (detail and " (" .. detail .. ")" or ""))
  if set.conf.failure_mode == "fail_closed" then
    return reply.own(set.conf.failure_status, UNAVAILABLE, outcome.id, ngx.var.content_type)
  end
  return nil
end

function Handler:response(conf)
  local outcome = kong.ctx.shared.kong_lua
  if not outcome or not outcome.set or not outcome.set.conf.blocking then
    return
  end
  local ok, answer = pcall(judge, conf, outcome)
  if not ok then
    notice.emit(log_warn, "response handler", "response fault: " .. tostring(answer))
    answer = nil
    if outcome.set.conf.failure_mode == "fail_closed" then
      answer = reply.own(outcome.set.conf.failure_status, UNAVAILABLE, outcome.id, ngx.var.content_type)
    end
  end
  if answer then
    return kong.response.exit(answer.status, answer.body, answer.headers)
  end
end

return Handler
