-- Runs the plugin's file inside a real nginx as APISIX's loader does: the phases that APISIX
-- knows, its own fields in the configuration, and a context that is used again. APISIX itself
-- is not needed: the plugin uses none of its modules.
local stand_in = {}

local META = { type = "object" }

-- What plugin.load() of APISIX does with a plugin.
local function load(name)
  local plugin = require("apisix.plugins." .. name)
  assert(plugin.priority and plugin.version and type(plugin.schema) == "table" and plugin.name == name)
  assert(plugin.schema.type == "object" and plugin.schema.properties._meta == nil)
  plugin.schema.properties._meta = META
  return plugin
end

-- confs: configurations by route, as the Admin API gets them.
function stand_in.new(name, confs)
  local plugin = load(name)
  for _, conf in pairs(confs) do
    assert(plugin.check_schema(conf))
  end
  local apisix, contexts = {}, {}

  function apisix.init_worker()
    -- Twice, because APISIX unloads and loads its plugins when their list changes.
    plugin.init()
    package.loaded["apisix.plugins." .. name] = nil
    plugin = load(name)
    plugin.init()
  end

  function apisix.access(route)
    local ctx = table.remove(contexts) or {}
    ctx.route_id, ctx.route_name, ctx.service_name = "00000000000000000042", "apisix " .. route, "a service"
    ctx.conf = confs[route]
    ngx.ctx.api_ctx = ctx
    local status, text = plugin.rewrite(ctx.conf, ctx)
    assert(status == nil and text == nil, "the plugin sends its replies itself")
    ctx.conf._skip_rewrite_in_consumer = true
    ctx.consumer_name = "ann"
  end

  function apisix.phase(phase)
    local ctx = ngx.ctx.api_ctx
    plugin[phase](ctx.conf, ctx)
    if phase == "log" then
      for field in pairs(ctx) do
        ctx[field] = nil
      end
      contexts[#contexts + 1] = ctx
    end
  end

  return apisix
end

return stand_in
