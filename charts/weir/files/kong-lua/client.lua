-- One call to the node over HTTP/1.1: pooled connections, one deadline for
-- everything, strict parsing of the response with limits.
--
-- call() returns the response, or nil, a reason token and a detail for the log.
-- Failures are counted and logged under these tokens.
local answers = require "kong.plugins.kong-lua.answer"
local body = require "kong.plugins.kong-lua.body"
local budget = require "kong.plugins.kong-lua.budget"

local client = {}

local tcp = ngx.socket.tcp

-- After a node restarts, its pool is full of dead connections. A pool with another
-- name avoids all of them at once.
local generations = {}

local function generation_of(pool)
  return generations[pool] or 0
end

local function leave_pool(pool, generation)
  -- Requests that ran at the same time must not each start a new pool.
  if generation_of(pool) == generation then
    generations[pool] = generation + 1
  end
end

local function pool_options(set, generation)
  local options = set.pool_options
  if not options or set.pool_generation ~= generation then
    options = { pool = set.pool .. ":" .. generation, pool_size = set.conf.keepalive_pool_size }
    set.pool_options, set.pool_generation = options, generation
  end
  return options
end

local function connect_by_name(sock, host, port, options, seconds)
  -- A resolver has its own time-outs, often longer than the whole budget; only a
  -- second thread with a timer can limit it.
  local connecting = ngx.thread.spawn(function()
    return sock:connect(host, port, options)
  end)
  local ran, ok, err
  if coroutine.status(connecting) == "zombie" then
    ran, ok, err = ngx.thread.wait(connecting)
  else
    local clock = ngx.thread.spawn(function()
      ngx.sleep(seconds)
      return nil, "timeout"
    end)
    ran, ok, err = ngx.thread.wait(connecting, clock)
    ngx.thread.kill(clock)
    ngx.thread.kill(connecting)
  end
  if not ran then
    return nil, tostring(ok)
  end
  return ok, err
end

-- On a fresh connection only. Returns true, or nil, a reason token and a detail.
local function handshake(sock, set)
  local ok, err = true, nil
  if set.certificate then
    if not sock.setclientcert then
      return nil, "tls", "this gateway's Lua module is too old for client certificates"
    end
    ok, err = sock:setclientcert(set.certificate.chain, set.certificate.key)
  end
  if ok then
    -- ngx_lua raises an assertion where a handshake fails before its first pause: that is a failed handshake, too.
    local ran
    ran, ok, err = pcall(sock.sslhandshake, sock, nil, set.server_name, set.conf.tls_verify)
    if not ran then
      ok, err = nil, ok
    end
  end
  if not ok then
    return nil, err == "timeout" and "timeout" or "tls", "TLS handshake: " .. tostring(err)
  end
  return true
end

-- Returns the socket, whether it was pooled, the pool's generation and the time;
-- or nil, a reason token and a detail.
local function connect(set, deadline)
  local sock = tcp()
  local at = budget.share(sock, set.conf, deadline)
  if not at then
    return nil, "timeout", "no time left to connect"
  end

  local generation = generation_of(set.pool)
  local ok, err
  if set.numeric then
    ok, err = sock:connect(set.host, set.port, pool_options(set, generation))
  else
    local seconds = math.min(set.conf.connect_timeout_ms / 1000, deadline - at)
    ok, err = connect_by_name(sock, set.host, set.port, pool_options(set, generation), seconds)
  end
  if not ok then
    sock:close()
    return nil, err == "timeout" and "timeout" or "connect", "connect: " .. tostring(err)
  end

  local reused = (sock:getreusedtimes() or 0) > 0
  if set.tls and not reused then
    at = budget.share(sock, set.conf, deadline, at)
    if not at then
      sock:close()
      return nil, "timeout", "no time left for the TLS handshake"
    end
    local reason, detail
    ok, reason, detail = handshake(sock, set)
    if not ok then
      sock:close()
      return nil, reason, detail
    end
  end
  return sock, reused, generation, at
end

local function is_dead(err)
  return err == "closed" or err == "connection reset by peer" or err == "broken pipe"
end

local function reason_of(err)
  if err == "timeout" then
    return "timeout"
  end
  if is_dead(err) then
    return "reset"
  end
  return "malformed"
end

local function send_file(sock, conf, deadline, content)
  local at
  return body.each(content, function(slice)
    at = budget.share(sock, conf, deadline, at)
    if not at then
      return nil, "timeout"
    end
    return sock:send(slice)
  end)
end

local function send(sock, conf, deadline, fixed, lines, head, content)
  local size = content and content.size or 0
  -- One string: a table of pieces costs more than joining short ones.
  local text = fixed .. lines .. "Content-Length: " .. #head + size .. "\r\n\r\n" .. head
  if content and content.data then
    return sock:send({ text, content.data })
  end
  local ok, err = sock:send(text)
  if ok and content and content.file then
    return send_file(sock, conf, deadline, content)
  end
  return ok, err
end

-- One attempt. The fourth result says that a pooled connection was dead before any
-- byte of the response arrived, which says nothing about the node.
local function attempt(set, fixed, lines, head, content, deadline)
  local conf = set.conf
  local sock, reused, generation, at = connect(set, deadline)
  if not sock then
    return nil, reused, generation
  end

  at = budget.share(sock, conf, deadline, at)
  if not at then
    sock:close()
    return nil, "timeout", "no time left to send"
  end
  local ok, err = send(sock, conf, deadline, fixed, lines, head, content)
  if not ok then
    sock:close()
    if reused and is_dead(err) then
      leave_pool(set.pool, generation)
      return nil, "reset", "send: " .. tostring(err), true
    end
    return nil, reason_of(err), "send: " .. tostring(err)
  end

  local answer, partly
  answer, err, partly = answers.receive(sock, conf, deadline, at)
  if not answer then
    sock:close()
    if answer == false then
      return nil, "malformed", err
    end
    if reused and not partly and is_dead(err) then
      leave_pool(set.pool, generation)
      return nil, "reset", "receive: " .. tostring(err), true
    end
    return nil, reason_of(err), "receive: " .. tostring(err)
  end

  if not (answer.keep and sock:setkeepalive(conf.keepalive_idle_ms, conf.keepalive_pool_size)) then
    sock:close()
  end
  return answer
end

-- set: compiled settings; fixed: one of its constant line blocks; lines: those
-- of this call; head: first bytes of the content; content: a body state, or nil.
function client.call(set, fixed, lines, head, content, deadline)
  local answer, reason, detail, dead = attempt(set, fixed, lines, head, content, deadline)
  if dead then
    lines = lines .. "Inspector-Attempt: 2\r\n"
    answer, reason, detail = attempt(set, fixed, lines, head, content, deadline)
  end
  return answer, reason, detail
end

return client
