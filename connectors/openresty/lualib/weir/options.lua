-- Settings for plain nginx. The Kong plugin's schema is the only list of names,
-- defaults and bounds, so this module reads it instead of repeating it.
local options = {}

local TYPEDEFS = "kong.db.schema.typedefs"

-- Settings that only this adapter has; Kong knows them from its own routes.
options.OWN = {
  route = "string",      -- name under which this location is counted
  service = "string",
  streaming = "boolean", -- request bodies here may not end (proxy_request_buffering off)
  grpc = "boolean",      -- grpc_pass: a stream, and replies in the form of gRPC
}

-- The Kong plugin's own list.
function options.load_config()
  local borrowed = package.loaded[TYPEDEFS]
  package.loaded[TYPEDEFS] = borrowed or {}
  local schema = require "kong.plugins.kong-lua.schema"
  package.loaded[TYPEDEFS] = borrowed
  for _, field in ipairs(schema.fields) do
    if field.config then
      return field.config
    end
  end
end

local function fault(name, what)
  error("weir: option " .. name .. " " .. what, 0)
end

local function check(name, rule, value)
  local kind = rule.type
  if kind == "integer" then
    if type(value) ~= "number" or value % 1 ~= 0 then
      fault(name, "must be an integer")
    end
  elseif type(value) ~= kind then
    fault(name, "must be a " .. kind)
  end
  if rule.between and (value < rule.between[1] or value > rule.between[2]) then
    fault(name, "must be between " .. rule.between[1] .. " and " .. rule.between[2])
  end
  if kind == "string" and value:find("^{vault://") then
    fault(name, "is a reference to a vault, which only Kong resolves")
  end
  if kind == "string" and (value:find("^%$secret://") or value:find("^%$env://")) then
    fault(name, "is a reference to a secret, which this connector does not resolve")
  end
  if rule.match and not value:match(rule.match) then
    fault(name, "is not of the right form: " .. (rule.err or rule.match))
  end
  if rule.custom_validator then
    local ok, err = rule.custom_validator(value)
    if not ok then
      fault(name, "is not of the right form: " .. err)
    end
  end
  if rule.len_max and #value > rule.len_max then
    fault(name, "is longer than " .. rule.len_max)
  end
  if rule.one_of then
    for _, allowed in ipairs(rule.one_of) do
      if value == allowed then
        return
      end
    end
    fault(name, "must be one of " .. table.concat(rule.one_of, ", "))
  end
end

-- Returns a complete configuration, or throws an error that names the wrong option.
function options.resolve(given)
  local conf, known = {}, {}
  local config = options.load_config()
  for _, field in ipairs(config.fields) do
    local name, rule = next(field)
    known[name] = true
    local value = given[name]
    if name == "application_id" and type(value) == "number" then
      value = tostring(value)
    end
    if value == nil then
      value = rule.default
    end
    if value == nil then
      if rule.required then
        fault(name, "is required")
      end
    else
      check(name, rule, value)
      conf[name] = value
    end
  end
  for name, kind in pairs(options.OWN) do
    known[name] = true
    if given[name] ~= nil then
      check(name, { type = kind }, given[name])
      conf[name] = given[name]
    end
  end
  for name in pairs(given) do
    if not known[name] then
      fault(tostring(name), "is not known")
    end
  end
  if (conf.client_certificate == nil) ~= (conf.client_key == nil) then
    fault("client_certificate", "and client_key go together")
  end
  for _, entry in ipairs(config.entity_checks) do
    local together = entry.custom_entity_check
    local ok, err = true, nil
    if together then
      ok, err = together.fn(conf)
    end
    if not ok then
      error("weir: " .. err, 0)
    end
  end
  return conf
end

return options
