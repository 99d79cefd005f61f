local addresses = require "kong.plugins.kong-lua.addresses"
local contained = require "kong.plugins.kong-lua.contained"
local coverage = require "kong.plugins.kong-lua.coverage"
local delivery = require "kong.plugins.kong-lua.delivery"
local inspect = require "kong.plugins.kong-lua.inspect"
local notice = require "kong.plugins.kong-lua.notice"
local payload = require "kong.plugins.kong-lua.payload"
local reporter = require "kong.plugins.kong-lua.reporter"

local Handler = {
  -- After cors (2000), which answers preflights that carry nothing to inspect,
  -- session (1900) and acme (1705); before every authentication plugin, Kong
  -- Enterprise's included (oauth2-introspection is at 1700), so that attacks on
  -- authentication itself are seen.
  PRIORITY = 1703,
  VERSION = "1.0.0",
}

-- Not kong.log, whose prefix differs between a request and a timer.
local function log_warn(text)
  ngx.log(ngx.WARN, text)
end

local function only_grpc(protocols)
  return type(protocols) == "table" and (protocols[1] == "grpc" or protocols[1] == "grpcs")
end

-- Only Kong's configuration decides whether a body may not end.
local function about_request()
  local route = kong.router.get_route()
  local service = kong.router.get_service()
  local grpc = route and only_grpc(route.protocols)
    or service and (service.protocol == "grpc" or service.protocol == "grpcs") or false
  return {
    route = route and (route.name or route.id),
    service = service and (service.name or service.id),
    streaming = grpc or route ~= nil and route.request_buffering == false,
    grpc = grpc,
    scheme = kong.request.get_forwarded_scheme(),
  }
end

local function tell_upstream(conf, outcome)
  -- The id that is in replies and logs is the connector's; a client's header of that
  -- name must not look like it.
  if not outcome.plain and ngx.var.http_inspector_request_id then
    kong.service.request.clear_header("Inspector-Request-Id")
    kong.service.request.clear_header("Inspector_Request_Id")
  end
  local name = conf.upstream_verdict_header
  if name then
    -- Kong accepts underscores in header names, and many applications read both
    -- spellings as one header.
    kong.service.request.clear_header((name:gsub("-", "_")))
    kong.service.request.set_header(name, inspect.summary(outcome))
  end
end

local function tell_log(outcome)
  kong.log.set_serialize_value("weir", {
    request_id = outcome.id,
    verdict = outcome.verdict,
    reason = outcome.reason,
    attack = outcome.attack,
    inspected = outcome.inspected,
    part = outcome.part,
  })
end

-- Addresses of a host by Kong's own name lookup, which caches them.
local function resolve(host)
  local dns = kong.dns
  local records, err
  if dns and dns.resolve then
    records, err = dns.resolve(host)
  end
  if not records then
    return nil, err
  end
  local found = {}
  for i = 1, #records do
    -- Records of type SRV have no address of their own.
    found[#found + 1] = records[i].address
  end
  return found
end

function Handler:init_worker()
  addresses.use(resolve)
  local ok, err = reporter.start(ngx.timer.every, log_warn, "kong-lua")
  if not ok then
    notice.say(log_warn, "no coverage reports, timer: " .. tostring(err))
  end
end

function Handler:configure(configs)
  reporter.watch(configs)
end

local function prepare(conf, ctx)
  local about = about_request()
  local outcome = inspect.request(conf, log_warn, about, delivery.enqueue)
  ctx.outcome = outcome
  -- For kong-lua-response, which may inspect the response before the client gets it.
  kong.ctx.shared.kong_lua = outcome
  tell_log(outcome)
  if not outcome.reply then
    tell_upstream(conf, outcome)
  end
  return outcome
end

function Handler:access(conf)
  local ctx = kong.ctx.plugin
  local ok, outcome = pcall(prepare, conf, ctx)
  if not ok then
    -- inspect.request does not throw, so this is a fault in the few lines around
    -- it; the verdict, if there was one, still holds.
    notice.emit(log_warn, "handler", "fault: " .. tostring(outcome))
    outcome = ctx.outcome or inspect.failed(conf, log_warn, {}, {}, outcome)
  end
  local reply = outcome.reply
  if reply then
    return kong.response.exit(reply.status, reply.body, reply.headers)
  end
end

-- A copy of the response is sent for requests that the node has seen and that the
-- upstream (or another plugin) answered.
local function owed(conf)
  if not conf.inspect_response then
    return nil
  end
  local outcome = kong.ctx.plugin.outcome
  if outcome and not outcome.reply and outcome.set and outcome.wants ~= "none"
    and (outcome.context or outcome.verdict == "accepted")
  then
    return outcome
  end
end

function Handler:body_filter(conf)
  local outcome = owed(conf)
  if outcome then
    outcome.copy = outcome.copy or payload.new_copy(payload.copy_limit(conf, outcome))
    payload.collect(outcome, ngx.arg[1])
  end
end

local function consumer_name()
  local consumer = kong.client.get_consumer()
  if consumer then
    return consumer.username or consumer.custom_id or consumer.id
  end
end

local function response_leg(outcome)
  if outcome.response_judged then
    return
  end
  delivery.copy_response(outcome, log_warn, payload.response_copy(outcome, consumer_name()))
end

-- kong-lua-response was to judge the response, but Kong did not buffer it.
local function note_unjudged(outcome)
  if outcome and outcome.to_be_judged and kong.response.get_source() == "service" then
    coverage.dropped(outcome.set.node, "response", "unbuffered")
    notice.emit(log_warn, "response unbuffered", "response to " .. outcome.id
      .. " passed uninspected, reason=unbuffered")
  end
end

function Handler:log(conf)
  note_unjudged(kong.ctx.plugin.outcome)
  local outcome = owed(conf)
  if outcome then
    local ok, err = contained(response_leg, outcome)
    if not ok then
      delivery.lost(outcome.set, log_warn, "responses", "lua_error", tostring(err))
    end
  end
end

return Handler
