-- Runs the plugin's handler inside a real nginx, with just enough of Kong's PDK
-- over the real server: the end-to-end tests drive the handler through it.
-- Phases are the server's own, so a call from a wrong one fails as in Kong.
local function need(...)
  local phase = ngx.get_phase()
  for i = 1, select("#", ...) do
    if phase == select(i, ...) then
      return
    end
  end
  error("function cannot be called in " .. phase .. " phase", 3)
end

local function per_request(field)
  return setmetatable({}, {
    __index = function(_, key) return ngx.ctx[field] and ngx.ctx[field][key] end,
    __newindex = function(_, key, value)
      ngx.ctx[field] = ngx.ctx[field] or {}
      ngx.ctx[field][key] = value
    end,
  })
end

-- What Kong does for a plugin with a `response` handler: the whole response of the
-- upstream, then the handler, then the response.
local function buffered(handler, conf)
  ngx.req.read_body()
  local found = ngx.location.capture("/kong_buffered_http" .. ngx.var.uri, {
    always_forward_body = true, share_all_vars = true, ctx = ngx.ctx,
  })
  ngx.ctx.buffered_body = found.body
  ngx.status = found.status
  for name, value in pairs(found.header) do
    ngx.header[name] = value
  end
  handler:response(conf)
  ngx.print(found.body)
end

return {
  version = "3.9.0",
  buffered = buffered,
  ctx = { plugin = per_request("plugin_ctx"), shared = per_request("shared_ctx") },
  router = {
    get_route = function()
      need("access", "header_filter", "body_filter", "log")
      return { name = "kong route", protocols = { "http" }, request_buffering = ngx.var.arg_buffering ~= "off" }
    end,
    get_service = function()
      need("access", "header_filter", "body_filter", "log")
      return { name = "kong service", protocol = "http" }
    end,
  },
  request = { get_forwarded_scheme = function() return ngx.var.scheme end },
  client = {
    get_consumer = function()
      need("access", "content", "header_filter", "body_filter", "log")
      return ngx.get_phase() == "log" and { username = "ann" } or nil
    end,
  },
  response = {
    exit = function(status, content, headers)
      need("rewrite", "access", "content")
      assert(type(content) == "string")
      ngx.status = status
      for name, value in pairs(headers) do
        ngx.header[name] = value
      end
      ngx.header["Content-Length"] = #content
      ngx.print(content)
      return ngx.exit(status)
    end,
    get_status = function() need("content", "log") return ngx.status end,
    get_source = function() need("header_filter", "body_filter", "log") return "service" end,
  },
  service = {
    response = { get_raw_body = function() need("content") return ngx.ctx.buffered_body end },
    request = {
      set_header = function(name, value) need("rewrite", "access") ngx.req.set_header(name, value) end,
      clear_header = function(name) need("rewrite", "access") ngx.req.clear_header(name) end,
    },
  },
  log = {
    warn = function(text) ngx.log(ngx.WARN, text) end,
    err = function(text) ngx.log(ngx.ERR, text) end,
    set_serialize_value = function(_, value) ngx.ctx.serialized = value end,
  },
}
