-- One call to the node over HTTP/1.1: pooled connections, one deadline over
-- everything, a bounded and strict reading of the answer.
--
-- call() returns the answer, or nil, a reason token and a detail for the log.
-- The tokens are what failures are counted and logged under.
local body = require "kong.plugins.kong-lua.body"

local client = {}

local find, match, sub, lower = string.find, string.match, string.sub, string.lower
local concat = table.concat
local tonumber = tonumber
local now = ngx.now

-- An answer's head is a handful of short lines.
local MAX_HEAD_BYTES = 16 * 1024
-- Block pages are small; anything larger is no verdict.
local MAX_BODY_BYTES = 256 * 1024
-- A problem document is read only so that its connection can be used again.
local MAX_PROBLEM_BYTES = 16 * 1024
local READ_BYTES = 16 * 1024
-- An interim answer is never asked for.
local FIRST_FINAL_STATUS = 200

local WANTED = {
  ["inspector-verdict"] = "verdict",
  ["inspector-context"] = "context",
  ["inspector-attack"] = "attack",
  ["retry-after"] = "retry_after",
  ["connection"] = "connection",
  ["content-length"] = "content_length",
  ["transfer-encoding"] = "transfer_encoding",
}

-- The pool of a node that restarted is full of dead connections. Moving on to a
-- pool of another name leaves them all behind at once.
local generations = {}

local function generation_of(pool)
  return generations[pool] or 0
end

local function leave_pool(pool, generation)
  -- Requests that were under way together must not each start a new pool.
  if generation_of(pool) == generation then
    generations[pool] = generation + 1
  end
end

local function left_ms(deadline)
  return (deadline - now()) * 1000
end

local function at_most(limit, deadline)
  local left = left_ms(deadline)
  if left < 1 then
    return nil
  end
  return left < limit and left or limit
end

local function connect_by_name(sock, host, port, options, seconds)
  -- A resolver has time-outs of its own, often longer than the whole budget;
  -- only a race against a clock bounds it.
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

local function connect(set, deadline)
  local conf = set.conf
  local budget = at_most(conf.connect_timeout_ms, deadline)
  if not budget then
    return nil, "timeout", "no time left to connect"
  end
  local sock = ngx.socket.tcp()
  sock:settimeouts(budget, conf.send_timeout_ms, conf.read_timeout_ms)

  local generation = generation_of(set.pool)
  local options = { pool = set.pool .. ":" .. generation, pool_size = conf.keepalive_pool_size }
  local ok, err
  if set.numeric then
    ok, err = sock:connect(set.host, set.port, options)
  else
    ok, err = connect_by_name(sock, set.host, set.port, options, budget / 1000)
  end
  if not ok then
    sock:close()
    return nil, err == "timeout" and "timeout" or "connect", "connect: " .. tostring(err)
  end

  local reused = (sock:getreusedtimes() or 0) > 0
  if set.tls and not reused then
    budget = at_most(conf.connect_timeout_ms, deadline)
    if not budget then
      sock:close()
      return nil, "timeout", "no time left for the TLS handshake"
    end
    sock:settimeouts(budget, conf.send_timeout_ms, conf.read_timeout_ms)
    if set.certificate then
      if not sock.setclientcert then
        sock:close()
        return nil, "tls", "this gateway's Lua module is too old for client certificates"
      end
      ok, err = sock:setclientcert(set.certificate.chain, set.certificate.key)
    end
    if ok then
      -- ngx_lua raises an assertion where a handshake fails before its first pause: that is a failed handshake, too.
      local ran
      ran, ok, err = pcall(sock.sslhandshake, sock, nil, set.server_name, conf.tls_verify)
      if not ran then
        ok, err = nil, ok
      end
    end
    if not ok then
      sock:close()
      return nil, err == "timeout" and "timeout" or "tls", "TLS handshake: " .. tostring(err)
    end
  end
  return sock, reused, generation
end

-- Reads to the end of the answer's head. Returns the head and what came after
-- it; on failure nil, the error, and whether any byte had come.
local function receive_head(sock, conf, deadline)
  local buffer = ""
  while true do
    local budget = at_most(conf.read_timeout_ms, deadline)
    if not budget then
      return nil, "timeout", buffer ~= ""
    end
    sock:settimeouts(budget, budget, budget)
    local data, err = sock:receiveany(READ_BYTES)
    if not data then
      return nil, err, buffer ~= ""
    end
    local from = #buffer - 2
    buffer = buffer == "" and data or buffer .. data
    local _, stop = find(buffer, "\r\n\r\n", from > 0 and from or 1, true)
    if stop then
      if stop > MAX_HEAD_BYTES then
        return nil, "head too long", true
      end
      return sub(buffer, 1, stop), sub(buffer, stop + 1)
    end
    if #buffer > MAX_HEAD_BYTES then
      return nil, "head too long", true
    end
  end
end

local function parse_head(head)
  local minor, status, at = match(head, "^HTTP/1%.([01]) (%d%d%d)[^\r\n]*\r\n()")
  status = tonumber(status)
  if not status or status < FIRST_FINAL_STATUS then
    return nil, "not an HTTP/1.1 answer"
  end
  local answer = { status = status, keep = minor == "1" }
  local last = #head - 1
  while at < last do
    local name, value, after = match(head, "^([!#-'*+.^-z|~%-%w]+):[ \t]*([^\r\n]-)[ \t]*\r\n()", at)
    if not name then
      return nil, "malformed header line"
    end
    local field = WANTED[lower(name)]
    if field then
      if answer[field] then
        return nil, "repeated " .. lower(name)
      end
      answer[field] = value
    end
    at = after
  end
  return answer
end

local function receive_more(sock, conf, deadline, bytes)
  local budget = at_most(conf.read_timeout_ms, deadline)
  if not budget then
    return nil, "timeout"
  end
  sock:settimeouts(budget, budget, budget)
  return sock:receiveany(bytes)
end

-- Decodes as much of a chunked body as there is: the text and where it ended,
-- nil while incomplete, false when it cannot be one.
local function decode_chunked(buffer)
  local pieces, at = {}, 1
  while true do
    local size, data_at = match(buffer, "^(%x+)[^\r\n]*\r\n()", at)
    if not size then
      if #buffer - at > 64 then
        return false
      end
      return nil
    end
    if #size > 6 then
      return false
    end
    size = tonumber(size, 16)
    if size == 0 then
      if sub(buffer, data_at, data_at + 1) == "\r\n" then
        return concat(pieces), data_at + 1
      end
      if #buffer > data_at then
        return false
      end
      return nil
    end
    if #buffer < data_at + size + 1 then
      return nil
    end
    if sub(buffer, data_at + size, data_at + size + 1) ~= "\r\n" then
      return false
    end
    pieces[#pieces + 1] = sub(buffer, data_at, data_at + size - 1)
    at = data_at + size + 2
  end
end

-- The answer's body, or nil. Sets answer.keep to false unless the connection is
-- left exactly at the end of the answer.
local function receive_body(sock, conf, deadline, answer, rest, limit)
  if answer.status == 204 then
    answer.keep = answer.keep and rest == ""
    return nil
  end
  if answer.transfer_encoding then
    if lower(answer.transfer_encoding) ~= "chunked" or answer.content_length then
      answer.keep = false
      return nil
    end
    while true do
      local text, stop = decode_chunked(rest)
      if text then
        answer.keep = answer.keep and stop == #rest
        return text
      end
      local data = text == nil and #rest <= 2 * limit
        and receive_more(sock, conf, deadline, READ_BYTES)
      if not data then
        answer.keep = false
        return nil
      end
      rest = rest .. data
    end
  end
  local length = match(answer.content_length or "", "^%d+$")
  length = length and tonumber(length)
  if not length or length > limit or #rest > length then
    answer.keep = false
    return nil
  end
  local pieces, have = { rest }, #rest
  while have < length do
    local data = receive_more(sock, conf, deadline, length - have)
    if not data then
      answer.keep = false
      return nil
    end
    pieces[#pieces + 1] = data
    have = have + #data
  end
  return concat(pieces)
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

-- One attempt. The fourth result tells that a pooled connection turned out dead
-- before any byte of the answer, which says nothing about the node.
local function attempt(set, fixed, lines, head, content, deadline)
  local conf = set.conf
  local sock, reused, generation = connect(set, deadline)
  if not sock then
    return nil, reused, generation
  end

  local budget = at_most(conf.send_timeout_ms, deadline)
  if not budget then
    sock:close()
    return nil, "timeout", "no time left to send"
  end
  sock:settimeouts(budget, budget, budget)

  local size = content and content.size or 0
  local length_line = "Content-Length: " .. (#head + size) .. "\r\n\r\n"
  local ok, err
  if content and content.data then
    ok, err = sock:send({ fixed, lines, length_line, head, content.data })
  else
    ok, err = sock:send({ fixed, lines, length_line, head })
    if ok and content and content.file then
      ok, err = body.each(content, function(slice)
        budget = at_most(conf.send_timeout_ms, deadline)
        if not budget then
          return nil, "timeout"
        end
        sock:settimeouts(budget, budget, budget)
        return sock:send(slice)
      end)
    end
  end
  if not ok then
    sock:close()
    if reused and is_dead(err) then
      leave_pool(set.pool, generation)
      return nil, "reset", "send: " .. tostring(err), true
    end
    return nil, reason_of(err), "send: " .. tostring(err)
  end

  local text, rest, partly = receive_head(sock, conf, deadline)
  if not text then
    sock:close()
    err = rest
    if reused and not partly and is_dead(err) then
      leave_pool(set.pool, generation)
      return nil, "reset", "receive: " .. tostring(err), true
    end
    return nil, reason_of(err), "receive: " .. tostring(err)
  end

  local answer
  answer, err = parse_head(text)
  if not answer then
    sock:close()
    return nil, "malformed", err
  end
  if answer.connection and find(lower(answer.connection), "close", 1, true) then
    answer.keep = false
  end
  answer.body = receive_body(sock, conf, deadline, answer, rest,
    answer.status == 200 and MAX_BODY_BYTES or MAX_PROBLEM_BYTES)

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
