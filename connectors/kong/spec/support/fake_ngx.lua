-- A stand-in for the parts of the ngx API that the modules use, so that each
-- can be tested by itself. The end-to-end tests use a real server.
local fake = {}

local function base64(text, no_padding)
  local alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
  local out = {}
  for at = 1, #text, 3 do
    local a, b, c = text:byte(at, at + 2)
    local bits = a * 65536 + (b or 0) * 256 + (c or 0)
    for i = 3, 0, -1 do
      local index = math.floor(bits / 64 ^ i) % 64
      out[#out + 1] = alphabet:sub(index + 1, index + 1)
    end
    if not c then
      out[#out] = no_padding and "" or "="
    end
    if not b then
      out[#out - 1] = no_padding and "" or "="
    end
  end
  return table.concat(out)
end

local function unbase64(text)
  local alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
  local bits, count, out = 0, 0, {}
  for c in text:gmatch("[%w+/]") do
    bits = bits * 64 + alphabet:find(c, 1, true) - 1
    count = count + 6
    if count >= 8 then
      count = count - 8
      out[#out + 1] = string.char(math.floor(bits / 2 ^ count) % 256)
      bits = bits % 2 ^ count
    end
  end
  return table.concat(out)
end

-- A shared dictionary with the server's semantics, on the test's clock.
local function dictionary()
  local values, ends = {}, {}
  local dict = {}
  function dict.get(_, key)
    if ends[key] and ends[key] <= ngx.now() then
      values[key], ends[key] = nil, nil
    end
    return values[key]
  end
  function dict.set(_, key, value, ttl)
    values[key], ends[key] = value, ttl and ttl > 0 and ngx.now() + ttl or nil
    return true
  end
  function dict.add(self, key, value, ttl)
    if self:get(key) ~= nil then
      return false, "exists"
    end
    return self:set(key, value, ttl)
  end
  function dict.incr(self, key, step, init, ttl)
    local value = self:get(key)
    if not value then
      self:set(key, init + step, ttl)
      return init + step
    end
    values[key] = value + step
    return values[key]
  end
  function dict.delete(_, key)
    values[key], ends[key] = nil, nil
  end
  return dict
end

-- A scripted socket: `script` is a list of what receiveany gives in turn, a
-- string, { error } or a function that gives one of them. `connect` and `send` are
-- errors, or functions that may return one. Records what was sent.
local function outcome_of(step)
  if type(step) == "function" then
    return step()
  end
  return step
end

local function socket_of(server, script)
  local sock = { sent = {}, at = 0 }
  function sock.settimeouts() end
  function sock.connect(_, host, port, options)
    if host:find("^unix:") then
      port, options = nil, port
    end
    server.connects[#server.connects + 1] = { host = host, port = port, pool = options.pool }
    local err = outcome_of(script.connect)
    if err then
      return nil, err
    end
    return 1
  end
  function sock.getreusedtimes() return script.reused or 0 end
  function sock.send(_, data)
    local err = outcome_of(script.send)
    if err then
      return nil, err
    end
    sock.sent[#sock.sent + 1] = type(data) == "table" and table.concat(data) or data
    return 1
  end
  function sock.receiveany()
    sock.at = sock.at + 1
    local item = outcome_of(script[sock.at])
    if item == nil then
      return nil, "closed"
    elseif type(item) == "table" then
      return nil, item[1]
    end
    return item
  end
  function sock.sslhandshake()
    local err = outcome_of(script.handshake)
    if err then
      return nil, err
    end
    return true
  end
  function sock.setkeepalive()
    sock.kept = true
    return 1
  end
  function sock.close() sock.closed = true end
  return sock
end

function fake.install()
  local server = { clock = 1000, scripts = {}, sockets = {}, connects = {}, logged = {}, headers = {} }
  local request = { version = 1.1, body = nil, raw = "GET / HTTP/1.1\r\nHost: a\r\n\r\n" }
  server.request = request

  local api = {
    WARN = 5, ERR = 4,
    shared = { kong = dictionary() },
    ctx = {}, arg = {}, header = {}, status = 200,
    var = {
      remote_addr = "203.0.113.9", remote_port = "51234", scheme = "http", server_protocol = "HTTP/1.1",
      request_method = "GET", request_uri = "/",
    },
    now = function() return server.clock end,
    sleep = function(seconds) server.clock = server.clock + seconds end,
    md5 = function(text)
      local sum = 0
      for i = 1, #text do
        sum = (sum * 31 + text:byte(i)) % 2 ^ 32
      end
      return ("%08x%08x%08x%08x"):format(sum, sum, sum, sum)
    end,
    encode_base64 = base64,
    decode_base64 = unbase64,
    log = function(_, text) server.logged[#server.logged + 1] = text end,
    worker = {
      pid = function() return 1 end, id = function() return 0 end,
      count = function() return 1 end, exiting = function() return false end,
    },
    timer = {
      at = function(_, callback, ...)
        local arguments, count = { ... }, select("#", ...)
        server.timers = server.timers or {}
        server.timers[#server.timers + 1] = function(premature)
          return callback(premature, unpack(arguments, 1, count))
        end
        return true
      end,
      every = function(_, callback)
        server.every = callback
        return true
      end,
    },
    socket = {
      tcp = function()
        local script = table.remove(server.scripts, 1)
        assert(script, "a connection that no script expects")
        local sock = socket_of(server, script)
        server.sockets[#server.sockets + 1] = sock
        return sock
      end,
    },
    req = {
      http_version = function() return request.version end,
      raw_header = function()
        if request.version >= 2 then
          error("http2 requests not supported yet")
        end
        return request.raw
      end,
      get_headers = function() return request.headers or {} end,
      read_body = function()
        request.was_read = true
        if request.refuse then
          error(request.refuse)
        end
      end,
      get_body_data = function() return request.body end,
      get_body_file = function() return request.file end,
    },
    resp = { get_headers = function() return server.headers end },
  }
  _G.ngx = api
  package.loaded["ngx.base64"] = {
    encode_base64url = function(text)
      return (base64(text, true):gsub("[+/]", { ["+"] = "-", ["/"] = "_" }))
    end,
  }
  package.loaded["ngx.semaphore"] = {
    new = function()
      return {
        wait = function(_, seconds)
          server.waits = (server.waits or 0) + 1
          if server.on_wait then
            server.on_wait()
          end
          server.clock = server.clock + seconds
        end,
        post = function() server.posts = (server.posts or 0) + 1 end,
      }
    end,
  }
  return server
end

-- Loads a module of the plugin afresh, so that specs do not share its state.
function fake.fresh()
  for name in pairs(package.loaded) do
    if name:find("^kong%.plugins%.kong%-lua") or name:find("^weir%.") then
      package.loaded[name] = nil
    end
  end
end

function fake.require(name)
  return require("kong.plugins.kong-lua." .. name)
end

-- A complete configuration, as Kong would hand it over.
function fake.conf(changes)
  local conf = require("weir.options").resolve({ wallarm_node_address = "http://127.0.0.1:5000" })
  conf.connector_name = nil
  for key, value in pairs(changes or {}) do
    conf[key] = value
  end
  return conf
end

return fake
