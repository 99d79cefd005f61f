-- The connector as a plugin of APISIX. What it does is in the modules that it shares with the
-- other gateways; this file has what APISIX asks of a plugin.
local nginx = require "weir.nginx"
local options = require "weir.options"

local NAME = "weir-apisix"

-- JSON schema of the options, for the Admin API and the dashboard. check_schema() decides.
local function json_schema()
  local properties, required = {}, {}
  for _, field in ipairs(options.load_config().fields) do
    local name, rule = next(field)
    properties[name] = {
      type = rule.type, description = rule.description, default = rule.default, enum = rule.one_of,
      minimum = rule.between and rule.between[1], maximum = rule.between and rule.between[2],
      maxLength = rule.len_max,
    }
    if rule.required and rule.default == nil then
      required[#required + 1] = name
    end
  end
  for name, kind in pairs(options.OWN) do
    properties[name] = { type = kind }
  end
  return { type = "object", properties = properties, required = required }
end

local plugin = {
  version = 1.0,
  -- In the phase rewrite, in which APISIX authenticates: after ip-restriction (3000) and
  -- csrf (2980), before multi-auth (2600) and every other authentication plugin.
  priority = 2710,
  name = "weir",
  schema = json_schema(),
}

-- APISIX adds fields of its own, which begin with an underscore, to the configuration of
-- every plugin.
local function own_fields(conf)
  local given = {}
  for name, value in pairs(conf) do
    if name:sub(1, 1) ~= "_" then
      given[name] = value
    end
  end
  return given
end

function plugin.check_schema(conf)
  local ok, err = pcall(options.resolve, own_fields(conf))
  if not ok then
    return false, err
  end
  return true
end

-- By APISIX's configuration table, which stays the same until the configuration changes.
-- A connector does not refer to it, so entries go with it.
local guards = setmetatable({}, { __mode = "k" })

local function guard_of(conf)
  local guard = guards[conf]
  if not guard then
    guard = nginx.build(own_fields(conf), NAME)
    guards[conf] = guard
    nginx.watch()
  end
  return guard
end

function plugin.init()
  nginx.init_worker(NAME)
end

function plugin.rewrite(conf, ctx)
  local guard = guard_of(conf)
  local own = guard.about
  -- Sends the reply itself if there is one, and ends the request.
  guard:access({
    route = own.route or ctx.route_name or ctx.route_id, service = own.service or ctx.service_name or ctx.service_id,
    streaming = own.streaming, grpc = own.grpc,
  })
end

function plugin.body_filter(conf)
  guard_of(conf):body_filter()
end

function plugin.log(conf, ctx)
  guard_of(conf):log(ctx.consumer_name)
end

return plugin
