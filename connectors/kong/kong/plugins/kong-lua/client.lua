-- One call to the node over HTTP/1.1: pooled connections, one deadline for
-- everything, strict parsing of the response with limits.
--
-- A call is a table:
--   fixed       one of the constant line blocks of the compiled settings, up to the id of the attempt
--   lines       header lines of this call
--   head        first bytes of the content
--   content     the rest of it, a body state, or nil
--   deadline    when the connector stops waiting
--   timeout_ms  the whole time of the call
--   waits       whether a client waits for the verdict: the node then gets the deadline
--   may_be_late whether a node that works may answer after the deadline
--   retried     whether the node may have got it before
--   anywhere    whether another address of the node may get it after any failure
--   address     address of the node, or nil: its name
--   id          id of the last attempt, which the client makes
--   stray       whether an answer came that was not to this call
--   alone       whether the next attempt is made on a new connection that is not kept
local addresses = require "kong.plugins.kong-lua.addresses"
local answers = require "kong.plugins.kong-lua.answer"
local body = require "kong.plugins.kong-lua.body"
local budget = require "kong.plugins.kong-lua.budget"
local ids = require "kong.plugins.kong-lua.ids"

local client = {}

local find = string.find
local now = require "kong.plugins.kong-lua.clock"
local tcp = ngx.socket.tcp

-- After a node restarts, its pool is full of dead connections. A pool with another
-- name avoids all of them at once.
local generations, generation_count = {}, 0
-- There are few pools; this limit holds even if addresses come and go.
local MAX_GENERATIONS = 1024

local function generation_of(pool)
  return generations[pool] or 0
end

local function leave_pool(pool, generation)
  -- Requests that ran at the same time must not each start a new pool.
  if generation_of(pool) == generation then
    if not generations[pool] then
      if generation_count >= MAX_GENERATIONS then
        generations, generation_count = {}, 0
      end
      generation_count = generation_count + 1
    end
    generations[pool] = generation + 1
  end
end

local function pool_of(set, address)
  return address and set.pool .. "@" .. address or set.pool
end

local function pool_options(set, address, generation)
  if address then
    return { pool = pool_of(set, address) .. ":" .. generation, pool_size = set.conf.keepalive_pool_size }
  end
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

-- Where ngx_lua leaves the reason of a handshake that failed at once, before it raises an
-- assertion that does not have it.
local function last_tls_error()
  local ran, reason = pcall(function()
    local errmsg = require("resty.core.base").get_errmsg_ptr()
    return errmsg[0] ~= nil and require("ffi").string(errmsg[0])
  end)
  return ran and reason ~= "" and reason or "it failed at once, and the gateway gives no reason"
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
      local raised = tostring(ok)
      ok, err = nil, find(raised, "assertion failed", 1, true) and last_tls_error() or raised
    end
  end
  if ok then
    return true
  elseif err == "timeout" then
    return nil, "timeout", "TLS handshake: timeout"
  end
  err = tostring(err)
  if set.numeric and not set.conf.tls_server_name and find(err, "host mismatch", 1, true) then
    err = err .. "; the address is an IP address: set tls_server_name to a name in the node's certificate"
  end
  return nil, "tls", "TLS handshake: " .. err
end

-- What a failed attempt shows about the node, if it does not show that it failed.
-- A pooled connection was dead before any byte of the response arrived.
local DEAD = "dead"
-- Nothing: the failure is one of this request, or the node had too little time.
local EXCUSED = "excused"
-- A pooled connection had an answer to another call.
local STRAY = "stray"

-- For a step that ran out of time and began at `at`.
local function excuse(call, at)
  return not budget.is_fair(call, at) and EXCUSED or nil
end

-- A pool from which nothing is taken, because nothing is put into it.
local function no_pool(set)
  return { pool = set.pool .. ":alone", pool_size = 1 }
end

-- Returns the socket, whether it was pooled, the pool's generation and the time;
-- or nil, a reason token, a detail and DEAD, EXCUSED or nil.
local function connect(set, call)
  local sock, deadline, address = tcp(), call.deadline, call.address
  local at = budget.share(sock, set.conf, deadline)
  if not at then
    return nil, "timeout", "no time left to connect", EXCUSED
  end

  local generation = generation_of(pool_of(set, address))
  local options = call.alone and no_pool(set) or pool_options(set, address, generation)
  local ok, err
  if not set.port then
    ok, err = sock:connect(set.host, options)
  elseif set.numeric or address then
    ok, err = sock:connect(address or set.host, set.port, options)
  else
    local seconds = math.min(set.conf.connect_timeout_ms / 1000, deadline - at)
    ok, err = connect_by_name(sock, set.host, set.port, options, seconds)
  end
  if not ok then
    sock:close()
    if err == "timeout" then
      return nil, "timeout", "connect: timeout", excuse(call, at)
    end
    return nil, "connect", "connect: " .. tostring(err)
  end

  local reused = (sock:getreusedtimes() or 0) > 0
  if set.tls and not reused then
    at = budget.share(sock, set.conf, deadline, at)
    if not at then
      sock:close()
      return nil, "timeout", "no time left for the TLS handshake", EXCUSED
    end
    local reason, detail
    ok, reason, detail = handshake(sock, set)
    if not ok then
      sock:close()
      return nil, reason, detail, reason == "timeout" and excuse(call, at) or nil
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

-- The error of send() when the deadline passes between two slices.
local NO_TIME = "no time left"

-- Returns whether everything was sent, the error, and when its last step began.
local function send_slices(sock, conf, deadline, content, at)
  local ok, err = body.each(content, function(slice)
    local share_at = budget.share(sock, conf, deadline, at)
    if not share_at then
      return nil, NO_TIME
    end
    at = share_at
    return sock:send(slice)
  end)
  return ok, err, at
end

-- Lines that end in a number, which takes long to be written: those of small numbers are
-- made once.
local REMEMBERED_NUMBERS = 4096

local function numbered(before, after)
  local lines = {}
  return function(number)
    local line = lines[number]
    if not line then
      line = before .. number .. after
      if number < REMEMBERED_NUMBERS then
        lines[number] = line
      end
    end
    return line
  end
end

local deadline_line = numbered("\r\nInspector-Deadline: ", "\r\n")
local last_line = numbered("Content-Length: ", "\r\n\r\n")

-- The lines after the id of an attempt that begins at `at`.
local function attempt_lines(conf, call, at)
  local deadline = call.waits and deadline_line(budget.left_ms(conf, call.deadline, at)) or "\r\n"
  return call.retried and deadline .. "Inspector-Attempt: 2\r\n" or deadline
end

-- Returns the same as send_slices().
local function send(sock, conf, call, at)
  local head, content = call.head, call.content
  local size = content and content.size or 0
  -- One string: a table of pieces costs more than joining short ones.
  local text = call.fixed .. call.id .. attempt_lines(conf, call, at) .. call.lines
    .. last_line(#head + size) .. head
  if content and body.is_small(content) then
    local ok, err = sock:send({ text, content.data })
    return ok, err, at
  end
  local ok, err = sock:send(text)
  if ok and size > 0 then
    return send_slices(sock, conf, call.deadline, content, at)
  end
  return ok, err, at
end

-- The results of attempt() for an error of send().
local function send_failed(set, call, reused, generation, err, began)
  local detail = "send: " .. tostring(err)
  if err == NO_TIME then
    return nil, "timeout", detail, EXCUSED
  elseif err == body.ENDED_EARLY then
    return nil, "error", detail, EXCUSED
  elseif err == "timeout" then
    return nil, "timeout", detail, excuse(call, began)
  elseif reused and is_dead(err) then
    leave_pool(pool_of(set, call.address), generation)
    return nil, "reset", detail, DEAD
  end
  return nil, reason_of(err), detail
end

-- The results of attempt() for an error while the response was read from `began` on.
local function receive_failed(set, call, reused, generation, err, began, partly)
  local detail = "receive: " .. tostring(err)
  if err == "timeout" then
    return nil, "timeout", detail, call.may_be_late and EXCUSED or excuse(call, began)
  elseif reused and not partly and is_dead(err) then
    leave_pool(pool_of(set, call.address), generation)
    return nil, "reset", detail, DEAD
  end
  return nil, reason_of(err), detail
end

-- Whether the answer belongs to the call. A node says in each answer to which call it belongs. One
-- of an older version says nothing, and may have taken the place of a newer one: its verdict counts
-- on a connection that is new, where no answer to another call can wait.
local function belongs(set, call, answer, reused)
  local names_calls, node = set.names_calls, call.address or set.host
  if answer.own then
    -- Mostly the one before.
    if set.names_call ~= node then
      names_calls:put(node, true)
      set.names_call = node
    end
    return true
  elseif answer.own == false then
    return false
  elseif not names_calls:get(node) then
    return true
  elseif not reused then
    names_calls:take(node)
    set.names_call = false
    return true
  end
  answer.keep = false
  return answer.verdict == nil
end

-- One attempt. Returns the response, or nil, a reason token, a detail and DEAD,
-- EXCUSED, STRAY or nil.
local function attempt(set, call)
  local conf, deadline = set.conf, call.deadline
  local sock, reused, generation, at = connect(set, call)
  if not sock then
    return nil, reused, generation, at
  end

  at = budget.share(sock, conf, deadline, at)
  if not at then
    sock:close()
    return nil, "timeout", "no time left to send", EXCUSED
  end
  call.id = ids.of_call()
  local ok, err, began = send(sock, conf, call, at)
  if not ok then
    sock:close()
    return send_failed(set, call, reused, generation, err, began)
  end

  local sent_at = now()
  local answer, partly
  answer, err, partly = answers.receive(sock, conf, deadline, began, call.id)
  if not answer then
    sock:close()
    if answer == false then
      return nil, "malformed", err
    end
    return receive_failed(set, call, reused, generation, err, sent_at, partly)
  end

  if not belongs(set, call, answer, reused) then
    sock:close()
    call.stray = true
    return nil, "malformed", "receive: an answer to another call", reused and STRAY or nil
  end
  if not (answer.keep and not call.alone and sock:setkeepalive(conf.keepalive_idle_ms, conf.keepalive_pool_size)) then
    sock:close()
  end
  return answer
end

-- Sends a call to call.address, or to the node's name. Returns the response, or nil,
-- a reason token, a detail for the log, and whether the failure shows nothing about
-- the node. Failures are counted and logged under the tokens.
local function send_call(set, call)
  local answer, reason, detail, shows = attempt(set, call)
  if shows == DEAD then
    call.retried = true
    answer, reason, detail, shows = attempt(set, call)
  end
  if shows == STRAY then
    call.retried, call.alone = true, true
    answer, reason, detail, shows = attempt(set, call)
    call.alone = nil
  end
  return answer, reason, detail, shows == EXCUSED
end

-- A node that is busy says so with this status.
local BUSY = 503

-- set: compiled settings. Returns what send_call() returns. If the node is busy and
-- has another address, that one is asked as well, once; its response counts if it
-- gives one. A call that may go anywhere does so after other failures too.
function client.call(set, call)
  call.address = addresses.pick(set)
  local answer, reason, detail, excused = send_call(set, call)
  if not answer and call.anywhere then
    local other = addresses.other(set, call.address)
    if other then
      call.address, call.retried, call.deadline = other, true, now() + call.timeout_ms / 1000
      return send_call(set, call)
    end
  end
  if answer and answer.status == BUSY and budget.allows_retry(call) then
    local other = addresses.other(set, call.address)
    if other then
      call.address, call.retried = other, true
      answer = send_call(set, call) or answer
    end
  end
  return answer, reason, detail, excused
end

return client
