-- The connector on nginx with the Lua module, or OpenResty, without Kong:
--
--   init_by_lua_block        { guard = require("weir.nginx").new({ ... }) }
--   init_worker_by_lua_block { require("weir.nginx").init_worker() }
--   access_by_lua_block      { guard:access() }
--   body_filter_by_lua_block { guard:body_filter() }
--   log_by_lua_block         { guard:log() }
local addresses = require "kong.plugins.kong-lua.addresses"
local contained = require "kong.plugins.kong-lua.contained"
local coverage = require "kong.plugins.kong-lua.coverage"
local delivery = require "kong.plugins.kong-lua.delivery"
local inspect = require "kong.plugins.kong-lua.inspect"
local notice = require "kong.plugins.kong-lua.notice"
local options = require "weir.options"
local payload = require "kong.plugins.kong-lua.payload"
local reporter = require "kong.plugins.kong-lua.reporter"

local weir = {}
weir.__index = weir

local NAME = "weir-nginx"

-- The connectors in use, and those of them that stay for as long as the worker.
local guards, lasting = setmetatable({}, { __mode = "k" }), {}

local function log_warn(text)
  ngx.log(ngx.WARN, text)
end

-- A connector for as long as the caller keeps it. name: the product token of the gateway, or nil.
function weir.build(given, name)
  local conf = options.resolve(given)
  conf.connector_name = name or NAME
  local about = {
    route = conf.route, service = conf.service, streaming = conf.streaming or conf.grpc, grpc = conf.grpc,
  }
  local guard = setmetatable({ conf = conf, about = about }, weir)
  guards[guard] = true
  return guard
end

function weir.new(given)
  local guard = weir.build(given)
  lasting[#lasting + 1] = guard
  return guard
end

-- Coverage is reported to the nodes of the connectors that are in use now.
function weir.watch()
  local configs = {}
  for guard in pairs(guards) do
    configs[#configs + 1] = guard.conf
  end
  reporter.watch(configs)
end

-- name: the product token of the gateway, or nil.
function weir.init_worker(name)
  weir.watch()
  local ok, err = reporter.start(ngx.timer.every, log_warn, name or NAME)
  if not ok then
    notice.say(log_warn, "no coverage reports, timer: " .. tostring(err))
  end
end

-- resolver(host) returns a list of addresses, or nil and an error; see the README.
function weir.resolve_with(resolver)
  addresses.use(resolver)
end

local function send_reply(reply)
  ngx.status = reply.status
  for name, value in pairs(reply.headers) do
    ngx.header[name] = value
  end
  ngx.header["Content-Length"] = #reply.body
  ngx.print(reply.body)
  return ngx.exit(reply.status)
end

-- about: what the gateway knows of the request, as for inspect.request(); nil: what the options say.
function weir:access(about)
  local conf = self.conf
  local outcome = inspect.request(conf, log_warn, about or self.about, delivery.enqueue)
  ngx.ctx.weir = outcome
  if outcome.reply then
    return send_reply(outcome.reply)
  end
  if not outcome.plain and ngx.var.http_inspector_request_id then
    -- The id is the connector's; a client's header of that name must not look like it.
    ngx.req.clear_header("Inspector-Request-Id")
    ngx.req.clear_header("Inspector_Request_Id")
  end
  local name = conf.upstream_verdict_header
  if name then
    ngx.req.set_header(name, inspect.summary(outcome))
  end
end

-- The outcome of this request, for log formats and other Lua code.
function weir.outcome()
  return ngx.ctx.weir
end

local function owed(conf)
  if not conf.inspect_response then
    return nil
  end
  local outcome = ngx.ctx.weir
  if outcome and not outcome.reply and outcome.wants ~= "none"
    and (outcome.context or outcome.verdict == "accepted")
  then
    return outcome
  end
end

-- Runs for each part of each response, so what does not change is found out once.
function weir:body_filter()
  local outcome = ngx.ctx.weir
  if not outcome then
    return
  end
  if outcome.copy == nil then
    outcome.copy = owed(self.conf) and payload.new_copy(payload.copy_limit(self.conf, outcome)) or false
  end
  if outcome.copy then
    payload.collect(outcome, ngx.arg[1])
  end
end

local function response_leg(outcome, consumer)
  delivery.copy_response(outcome, log_warn, payload.response_copy(outcome, consumer))
end

-- consumer: the client's identity if the gateway has determined it, or nil.
function weir:log(consumer)
  local outcome = owed(self.conf)
  if outcome then
    local ok, err = contained(response_leg, outcome, consumer)
    if not ok then
      delivery.lost(outcome.set, log_warn, "responses", "lua_error", tostring(err))
    end
  end
end

-- For a location that shows the counters to the operator.
function weir.coverage()
  return coverage.gather(reporter.nodes())
end

return weir
