-- A stand-in for the parts of Kong's PDK that the plugins use. It follows what
-- was observed on Kong 3.9: functions are phase-checked and throw, an exit
-- ends the handler, contexts are per plugin and per request, a string body gets
-- no content type, a nil body lets nginx's own page out.
local fake = {}

local PHASES = {
  ["router.get_route"] = { access = true, response = true, header_filter = true, body_filter = true, log = true },
  ["router.get_service"] = { access = true, response = true, header_filter = true, body_filter = true, log = true },
  ["request.get_forwarded_scheme"] = { rewrite = true, access = true, header_filter = true, response = true,
    body_filter = true, log = true },
  ["client.get_consumer"] = { access = true, response = true, header_filter = true, body_filter = true, log = true },
  ["response.exit"] = { rewrite = true, access = true, response = true },
  ["response.get_status"] = { response = true, header_filter = true, body_filter = true, log = true },
  ["response.get_source"] = { header_filter = true, body_filter = true, log = true },
  ["service.request.set_header"] = { rewrite = true, access = true },
  ["service.request.clear_header"] = { rewrite = true, access = true },
  ["service.response.get_raw_body"] = { response = true },
  ["log.set_serialize_value"] = { rewrite = true, access = true, response = true, header_filter = true,
    body_filter = true, log = true },
}

local EXIT = {}

local function checked(state, name, action)
  return function(...)
    if not PHASES[name][state.phase] then
      error("function cannot be called in " .. state.phase .. " phase", 2)
    end
    return action(...)
  end
end

local function check_exit(status, content, headers)
  assert(type(status) == "number" and status >= 100 and status <= 599, "code must be a number")
  assert(type(content) == "string", "a body that is no string lets a page of nginx out")
  for name, value in pairs(headers or {}) do
    assert(type(name) == "string")
    local kind = type(value)
    assert(kind == "string" or kind == "number" or kind == "boolean" or kind == "table", "invalid header value")
    if kind == "table" then
      for _, one in ipairs(value) do
        assert(type(one) == "string", "invalid header value")
      end
    end
  end
end

function fake.install()
  local state = {
    phase = "access", upstream = {}, serialized = {}, warned = {}, plugin = {},
    shared = {}, response_status = 200, response_body = "",
  }
  local function on(name, action)
    return checked(state, name, action)
  end
  local function warn(...)
    local parts = {}
    for i = 1, select("#", ...) do
      parts[i] = tostring((select(i, ...)))
    end
    state.warned[#state.warned + 1] = table.concat(parts)
  end
  _G.kong = {
    version = "3.9.3",
    ctx = { plugin = state.plugin, shared = state.shared },
    router = {
      get_route = on("router.get_route", function() return state.route end),
      get_service = on("router.get_service", function() return state.service end),
    },
    request = { get_forwarded_scheme = on("request.get_forwarded_scheme", function() return "https" end) },
    client = { get_consumer = on("client.get_consumer", function() return state.consumer end) },
    response = {
      exit = on("response.exit", function(status, content, headers)
        check_exit(status, content, headers)
        state.exited = { status = status, body = content, headers = headers }
        error(EXIT)
      end),
      get_status = on("response.get_status", function() return state.response_status end),
      get_source = on("response.get_source", function() return state.exited and "exit" or "service" end),
    },
    service = {
      request = {
        set_header = on("service.request.set_header", function(name, value) state.upstream[name:lower()] = value end),
        clear_header = on("service.request.clear_header", function(name) state.upstream[name:lower()] = nil end),
      },
      response = { get_raw_body = on("service.response.get_raw_body", function() return state.response_body end) },
    },
    log = {
      warn = warn, err = warn, notice = warn,
      set_serialize_value = on("log.set_serialize_value", function(key, value) state.serialized[key] = value end),
    },
  }
  -- Runs a handler of a plugin in a phase, as Kong does.
  function state.run(phase, handler, conf)
    state.phase = phase
    local ok, err = pcall(handler[phase], handler, conf)
    if not ok and err ~= EXIT then
      error(err, 0)
    end
    return state.exited
  end
  return state
end

return fake
