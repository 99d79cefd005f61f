-- Makes what the connector sends to the node from the current request or response:
-- the Inspector-* lines of the call, and the head of the inner message.
local payload = {}

local find, gsub, sub, byte, format = string.find, string.gsub, string.sub, string.byte, string.format
local concat, sort = table.concat, table.sort
local new_table = require "table.new"

-- There are few names; this limit holds even if routes come and go.
local MAX_TOKENS = 1024
local tokens, token_count = {}, 0

local function percent_encoded(c)
  return format("%%%02X", byte(c))
end

-- Names of routes and services are free text in the gateway: bytes that a header
-- line cannot contain are percent-encoded.
function payload.token(text)
  local token = tokens[text]
  if not token then
    if token_count >= MAX_TOKENS then
      tokens, token_count = {}, 0
    end
    token = gsub(text, "[^!-$&-~]", percent_encoded)
    tokens[text] = token
    token_count = token_count + 1
  end
  return token
end

-- Address and port as a header has them, in three pieces that the caller joins with others.
local function endpoint(address, port)
  if not address or address == "" then
    return "127.0.0.1", "", ""
  end
  if find(address, ":", 1, true) then
    if sub(address, 1, 5) == "unix:" then
      -- A local socket has no address; its peer is a process on this host.
      return "127.0.0.1", "", ""
    end
    address = "[" .. address .. "]"
  end
  if not port or port == "" or port == "0" then
    return address, "", ""
  end
  return address, ":", port
end

local function traceparent_line(value)
  if value and find(value, "^%x%x%-%x+%-%x+%-%x%x$") and #value == 55 then
    return "traceparent: " .. value .. "\r\n"
  end
  return ""
end

-- Appends the lines of one name, in order. Returns the number of pieces.
local function append_header(pieces, count, name, value)
  if type(value) ~= "table" then
    pieces[count + 1], pieces[count + 2], pieces[count + 3], pieces[count + 4] = name, ": ", tostring(value), "\r\n"
    return count + 4
  end
  for i = 1, #value do
    count = append_header(pieces, count, name, value[i])
  end
  return count
end

local function protocol_of(var)
  local protocol = var.server_protocol
  if protocol and protocol ~= "" then
    return protocol
  end
  return "HTTP/0.9"
end

local function rebuilt_head(var)
  local pieces = { var.request_method .. " " .. (var.request_uri or "/") .. " " .. protocol_of(var) .. "\r\n" }
  local count, headers, names = 1, ngx.req.get_headers(0, true), {}
  if not headers.host and not headers.Host and var.http_host then
    count = append_header(pieces, count, "host", var.http_host)
  end
  -- Order between names is lost on HTTP/2, so names are sorted: the same request
  -- always gives the same bytes. Order within a name is kept.
  for name in pairs(headers) do
    names[#names + 1] = name
  end
  sort(names)
  for i = 1, #names do
    count = append_header(pieces, count, names[i], headers[names[i]])
  end
  pieces[count + 1] = "\r\n"
  return concat(pieces)
end

-- nginx overwrites the first of the spaces that end a header value, and the Lua
-- module guesses a line feed back in its place. With a single such space that
-- makes an empty line in the middle of the head, after which a node would read
-- everything as body. No accepted head has an empty line before its end or a
-- line that starts with a space, so both are known to be such guesses.
local function restore_spaces(head)
  if find(head, "\n ", 1, true) then
    head = gsub(head, "\n( +\r?\n)", " %1")
  end
  local inner_end = #head - 2
  local at = find(head, "\n\r\n", 1, true)
  if at and at + 2 <= inner_end then
    head = gsub(head:sub(1, inner_end), "\n\r\n", " \r\n") .. head:sub(inner_end + 1)
  end
  return head
end

local bor = require("bit").bor
local CASE = 0x20
local LOWER_T, LOWER_R, LOWER_U, LOWER_P, LOWER_I, LOWER_N, DASH = byte("trupin-", 1, 7)
local FEED, RETURN, SPACE = 10, 13, 32

-- Lines may end in a bare LF, which the node must see. But a head without its empty line would
-- run into the body.
local function has_end(head)
  local size = #head
  local before, last = byte(head, size - 1, size)
  return last == FEED and (before == FEED or before == RETURN and byte(head, size - 2) == FEED)
end

-- Looks at how each line of the head begins. Returns the head, or nil if it cannot be had, and
--   plain  whether none of the rare headers is there that the connector asks the gateway
--          for: Traceparent, Transfer-Encoding, Upgrade and those of inspectors. To ask for
--          one that is missing takes a search through all of them. No line may begin like
--          these; false if not sure
--   odd    whether restore_spaces() may have to mend something
--
-- The loop is not in a function of its own: LuaJIT compiles it from the call before it on, but
-- no function that runs into a loop from its beginning, nor, after some attempts, its callers.
local function raw_head()
  local head = ngx.req.raw_header()
  if not head or not has_end(head) then
    return nil
  end
  local plain, odd = true, false
  local last = #head
  local at = find(head, "\n", 1, true)
  while at and at < last do
    local first, second = byte(head, at + 1, at + 2)
    if first == SPACE or first == RETURN and at + 2 < last then
      odd = true
    end
    first, second = bor(first, CASE), bor(second or 0, CASE)
    if first == LOWER_T and second == LOWER_R or first == LOWER_I and second == LOWER_N
      -- Not Upgrade-Insecure-Requests, which every browser sends.
      or first == LOWER_U and second == LOWER_P and byte(head, at + 8) ~= DASH
    then
      plain = false
    end
    at = find(head, "\n", at + 1, true)
  end
  return head, plain, odd
end

-- Returns the head as the client sent it, false, and whether it is plain; see raw_head(). If it
-- had to be rebuilt: it, true and false.
function payload.request_head()
  local version = ngx.req.http_version() or 0
  if version >= 1 and version < 2 then
    local head, plain, odd = raw_head()
    if odd then
      return restore_spaces(head), false, false
    elseif head then
      return head, false, plain
    end
  end
  return rebuilt_head(ngx.var), true, false
end

-- For most requests the first line answers this with less work.
local function protocol_in(head, var)
  local feed = head and find(head, "\n", 1, true)
  if feed and sub(head, feed - 10, feed) == " HTTP/1.1\r\n" then
    return "HTTP/1.1"
  end
  return protocol_of(var)
end

local function body_line(state)
  local extent = state.extent
  if extent == "complete" then
    return ""
  end
  if extent == "prefix" then
    return "Inspector-Body: prefix; sent=" .. state.size .. "; total="
      .. (state.total or "unknown") .. "\r\n"
  end
  return "Inspector-Body: unread; reason=" .. state.reason .. "\r\n"
end
payload.body_line = body_line

local function peer_line(address, port)
  local peer, colon
  peer, colon, port = endpoint(address, port)
  return "\r\nInspector-Peer: " .. peer .. colon .. port
end

-- Everything about a request that the call about its response repeats. head: the
-- request's head, if available; plain: see raw_head().
function payload.common_lines(id, about, head, plain)
  local var = ngx.var
  local address, peer_address = var.remote_addr, var.realip_remote_addr
  local client, colon, port = endpoint(address, var.remote_port)
  return "Inspector-Request-Id: " .. id .. "\r\nInspector-Client: " .. client .. colon .. port
    .. (peer_address and peer_address ~= address and peer_line(peer_address, var.realip_remote_port) or "")
    .. "\r\nInspector-Scheme: " .. (about.scheme or var.scheme)
    .. "\r\nInspector-Protocol: " .. protocol_in(head, var)
    .. (about.service and "\r\nInspector-Service: " .. payload.token(about.service) or "")
    .. (about.route and "\r\nInspector-Route: " .. payload.token(about.route) or "")
    .. "\r\n" .. (plain and "" or traceparent_line(var.http_traceparent))
end

-- The lines of a call about the request. rebuilt: whether its head was rebuilt;
-- content: the state of its body.
function payload.request_lines(common, rebuilt, content)
  if not rebuilt and content.extent == "complete" then
    return common
  end
  return common .. (rebuilt and "Inspector-Head: rebuilt\r\n" or "") .. body_line(content)
end

-- consumer: the client's identity, which authentication has determined by now; more:
-- further lines, or nil.
function payload.response_lines(outcome, consumer, more)
  local context = outcome.context
  return (outcome.lines or payload.common_lines(outcome.id, outcome.about))
    .. (context and "Inspector-Context: " or "") .. (context or "") .. (context and "\r\n" or "")
    .. (consumer and "Inspector-Consumer: " .. payload.token(consumer) .. "\r\n" or "") .. (more or "")
end

-- What response_head() and response_copy() join: one table for all responses, because a table
-- that grows is copied. Nothing waits while it is in use.
local joined = new_table(128, 0)

function payload.response_head(status, headers)
  joined[1], joined[2], joined[3] = "HTTP/1.1 ", status, " \r\n"
  local count = 3
  for name, value in pairs(headers) do
    count = append_header(joined, count, name, value)
  end
  joined[count + 1] = "\r\n"
  return concat(joined, "", 1, count + 1)
end

-- How much of a response body is copied.
function payload.copy_limit(conf, outcome)
  if conf.inspect_response_body and outcome.wants ~= "head" then
    return conf.response_max_body_bytes
  end
  return 0
end

-- Keeps the first bytes of a response body as it passes by. outcome.copy has the limit.
function payload.collect(outcome, chunk)
  local copy = outcome.copy
  if not chunk or chunk == "" then
    return
  end
  local have, limit = copy.size, copy.limit
  copy.passed = copy.passed + #chunk
  if have >= limit then
    return
  end
  if have + #chunk > limit then
    chunk = sub(chunk, 1, limit - have)
  end
  local count = copy.count + 1
  copy[count], copy.count, copy.size = chunk, count, have + #chunk
end

-- What payload.collect() fills. limit: how many bytes it keeps.
function payload.new_copy(limit)
  return { limit = limit, passed = 0, size = 0, count = 0, false, false }
end

-- Whether a call is a copy: whatever the node finds in it, nothing is blocked.
payload.NOT_BLOCKING = "Inspector-Blocking: false\r\n"

local function joined_with(pieces, copy)
  local count = copy and copy.count or 0
  if count == 0 then
    return concat(joined, "", 1, pieces)
  elseif count > 1 then
    return concat(joined, "", 1, pieces) .. concat(copy, "", 1, count)
  end
  joined[pieces + 1] = copy[1]
  local content = concat(joined, "", 1, pieces + 1)
  -- It may be long, and the next response may have fewer pieces.
  joined[pieces + 1] = false
  return content
end

-- Lines and content of the call about the response, after the response was sent. As in raw_head(),
-- the loop, that of response_head(), follows a call.
function payload.response_copy(outcome, consumer)
  local headers = ngx.resp.get_headers(0, true)
  joined[1], joined[2], joined[3] = "HTTP/1.1 ", ngx.status, " \r\n"
  local count = 3
  for name, value in pairs(headers) do
    count = append_header(joined, count, name, value)
  end
  joined[count + 1] = "\r\n"
  local copy = outcome.copy
  local content = joined_with(count + 1, copy)
  local lines = payload.response_lines(outcome, consumer, copy and copy.size < copy.passed
    and payload.NOT_BLOCKING .. body_line({ extent = "prefix", size = copy.size, total = copy.passed })
    or payload.NOT_BLOCKING)
  return lines, content
end

return payload
