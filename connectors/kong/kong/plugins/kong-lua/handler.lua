local addresses = require "kong.plugins.kong-lua.addresses"
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

-- delivery drops an entry, and counts it, well before Kong's queue would.
local QUEUE_RETRY_S = 60
local QUEUE_FIRST_DELAY_S = 0.05
local QUEUE_MAX_DELAY_S = 1

local function log_warn(text)
  kong.log.warn(text)
end

local function deliver(set, entries)
  for i = 1, #entries do
    local ok, err = delivery.send(set, log_warn, entries[i])
    if not ok then
      return nil, err
    end
  end
  return true
end

local queue_params = setmetatable({}, { __mode = "k" })

local function params_of(set)
  local params = queue_params[set]
  if not params then
    params = {
      name = set.queue_name,
      -- One entry per batch: Kong retries a batch as a whole, and an entry that was
      -- delivered must not be sent again because another one failed.
      max_batch_size = 1,
      max_coalescing_delay = 0,
      max_entries = set.conf.queue_max_entries,
      max_bytes = set.conf.queue_max_bytes,
      max_retry_time = QUEUE_RETRY_S,
      initial_retry_delay = QUEUE_FIRST_DELAY_S,
      max_retry_delay = QUEUE_MAX_DELAY_S,
      concurrency_limit = 1,
    }
    queue_params[set] = params
  end
  return params
end

local function enqueue(set, leg, id, lines, content)
  local queue = require "kong.tools.queue"
  return queue.enqueue(params_of(set), deliver, set, delivery.pack(leg, id, lines, content))
end

local function only_grpc(protocols)
  return type(protocols) == "table" and (protocols[1] == "grpc" or protocols[1] == "grpcs")
end

-- Only Kong's configuration decides whether a body may not end.
local function about_request()
  local route = kong.router.get_route()
  local service = kong.router.get_service()
  local streaming = false
  if route and (route.request_buffering == false or only_grpc(route.protocols)) then
    streaming = true
  elseif service and (service.protocol == "grpc" or service.protocol == "grpcs") then
    streaming = true
  end
  return {
    route = route and (route.name or route.id),
    service = service and (service.name or service.id),
    streaming = streaming,
    scheme = kong.request.get_forwarded_scheme(),
  }
end

local function tell_upstream(conf, outcome)
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
    kong.log.err("kong-lua: no coverage reports, timer: ", err)
  end
end

function Handler:configure(configs)
  reporter.watch(configs)
end

local function prepare(conf, ctx)
  local about = about_request()
  local outcome = inspect.request(conf, log_warn, about, enqueue)
  ctx.outcome = outcome
  tell_log(outcome)
  if not outcome.reply then
    tell_upstream(conf, outcome)
    -- For kong-lua-response, which may inspect the response before the client gets it.
    kong.ctx.shared.kong_lua = outcome
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
  if outcome and not outcome.reply and outcome.set
    and (outcome.context or outcome.verdict == "accepted")
  then
    return outcome
  end
end

function Handler:body_filter(conf)
  local outcome = owed(conf)
  if outcome then
    payload.collect(outcome, conf.inspect_response_body and conf.response_max_body_bytes or 0, ngx.arg[1])
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
  local lines, text = payload.response_copy(outcome, consumer_name())
  local ok, err = enqueue(outcome.set, "responses", outcome.id, lines, text)
  if not ok then
    delivery.lost(outcome.set, log_warn, "responses", "queue", err)
  end
end

function Handler:log(conf)
  local outcome = owed(conf)
  if outcome then
    local ok, err = pcall(response_leg, outcome)
    if not ok then
      notice.emit(log_warn, "response leg", "response copy failed: " .. tostring(err))
    end
  end
end

return Handler
