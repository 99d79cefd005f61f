-- Turns the current request or response into what the node is sent: the
-- Inspector-* lines of the call, and the inner message head.
local payload = {}

local find, gsub, byte, format = string.find, string.gsub, string.byte, string.format
local concat, sort = table.concat, table.sort

-- Identifiers are drawn from the system's generator in blocks, so that one read
-- serves many requests.
local ID_BYTES = 16
local ID_BLOCK = 256
local URL_SAFE = { ["+"] = "-", ["/"] = "_" }

local pool, pool_at, pool_pid = "", 1, nil

local function refill()
  local source = assert(io.open("/dev/urandom", "rb"))
  pool = source:read(ID_BYTES * ID_BLOCK)
  source:close()
  pool_at = 1
  -- A block drawn before a fork would give every worker the same identifiers.
  pool_pid = ngx.worker.pid()
end

function payload.mint_id()
  if pool_at > #pool or pool_pid ~= ngx.worker.pid() then
    refill()
  end
  local id = ngx.encode_base64(pool:sub(pool_at, pool_at + ID_BYTES - 1), true)
  pool_at = pool_at + ID_BYTES
  if find(id, "[+/]") then
    id = gsub(id, "[+/]", URL_SAFE)
  end
  return id
end

-- Names of routes and services are free text to the gateway: whatever cannot
-- stand in a header line is percent-encoded.
function payload.token(text)
  if find(text, "[^!-$&-~]") then
    text = gsub(text, "[^!-$&-~]", function(c)
      return format("%%%02X", byte(c))
    end)
  end
  return text
end

local function endpoint(address, port)
  if not address or address == "" or address:sub(1, 5) == "unix:" then
    -- A local socket has no address; its peer is a process on this host.
    return "127.0.0.1"
  end
  if find(address, ":", 1, true) then
    address = "[" .. address .. "]"
  end
  if not port or port == "" or port == "0" then
    return address
  end
  return address .. ":" .. port
end

-- A header value can hold no line break: nginx refuses such requests. Checked
-- all the same where a value is put on a line of its own.
local function one_line(text)
  return not find(text, "[\r\n%z]")
end

local function traceparent_line(value)
  if value and find(value, "^%x%x%-%x+%-%x+%-%x%x$") and #value == 55 then
    return "traceparent: " .. value .. "\r\n"
  end
  return ""
end

-- Order between names is lost on HTTP/2, so names are sorted: the same request
-- always gives the same bytes. Order within a name is kept.
local function append_headers(lines, headers)
  local names = {}
  for name in pairs(headers) do
    names[#names + 1] = name
  end
  sort(names)
  for i = 1, #names do
    local name = names[i]
    local value = headers[name]
    if type(value) == "table" then
      for j = 1, #value do
        lines[#lines + 1] = name .. ": " .. tostring(value[j])
      end
    else
      lines[#lines + 1] = name .. ": " .. tostring(value)
    end
  end
end

local function protocol_of(var)
  local protocol = var.server_protocol
  if protocol and protocol ~= "" then
    return protocol
  end
  return "HTTP/0.9"
end

local function rebuilt_head(var)
  local lines = { var.request_method .. " " .. (var.request_uri or "/") .. " " .. protocol_of(var) }
  local headers = ngx.req.get_headers(0, true)
  if not headers.host and not headers.Host and var.http_host then
    lines[2] = "host: " .. var.http_host
  end
  append_headers(lines, headers)
  lines[#lines + 1] = "\r\n"
  return concat(lines, "\r\n")
end

-- nginx overwrites the first of the spaces that end a header value, and the Lua
-- module guesses a line feed back in its place. With a single such space that
-- makes an empty line in the middle of the head, behind which a node would read
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

-- The head as the client sent it, and whether it had to be rebuilt.
function payload.request_head()
  local version = ngx.req.http_version() or 0
  if version >= 1 and version < 2 then
    local ok, head = pcall(ngx.req.raw_header)
    -- Lines may end in a bare LF, and that is for the node to see; but a head
    -- without its empty line would run into the body.
    if ok and head and (find(head, "\n\r\n$", -3) or find(head, "\n\n$", -2)) then
      return restore_spaces(head), false
    end
  end
  return rebuilt_head(ngx.var), true
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

-- Everything about a request that its response leg repeats.
local function common_lines(id, about)
  local var = ngx.var
  local client = endpoint(var.remote_addr, var.remote_port)
  local peer_line = ""
  local peer_address = var.realip_remote_addr
  if peer_address and peer_address ~= var.remote_addr then
    peer_line = "Inspector-Peer: " .. endpoint(peer_address, var.realip_remote_port) .. "\r\n"
  end
  return "Inspector-Request-Id: " .. id
    .. "\r\nInspector-Client: " .. client
    .. "\r\n" .. peer_line
    .. "Inspector-Scheme: " .. (about.scheme or var.scheme)
    .. "\r\nInspector-Protocol: " .. protocol_of(var)
    .. "\r\n" .. (about.service and "Inspector-Service: " .. payload.token(about.service) .. "\r\n" or "")
    .. (about.route and "Inspector-Route: " .. payload.token(about.route) .. "\r\n" or "")
    .. traceparent_line(var.http_traceparent)
end

function payload.request_lines(id, about, rebuilt)
  return common_lines(id, about) .. (rebuilt and "Inspector-Head: rebuilt\r\n" or "")
end

-- consumer: who authentication found the client to be, known by now.
function payload.response_lines(id, about, context, consumer)
  return common_lines(id, about)
    .. (context and one_line(context) and "Inspector-Context: " .. context .. "\r\n" or "")
    .. (consumer and "Inspector-Consumer: " .. payload.token(consumer) .. "\r\n" or "")
end

function payload.response_head(status, headers)
  local lines = { "HTTP/1.1 " .. status .. " " }
  append_headers(lines, headers)
  lines[#lines + 1] = "\r\n"
  return concat(lines, "\r\n")
end

-- Keeps the first `limit` bytes of a response body as it passes by.
function payload.collect(outcome, limit, chunk)
  if not chunk or chunk == "" then
    return
  end
  local have = outcome.copied or 0
  outcome.passed = (outcome.passed or 0) + #chunk
  if have >= limit then
    return
  end
  if have + #chunk > limit then
    chunk = chunk:sub(1, limit - have)
  end
  local pieces = outcome.pieces
  if not pieces then
    pieces = {}
    outcome.pieces = pieces
  end
  pieces[#pieces + 1] = chunk
  outcome.copied = have + #chunk
end

-- Lines and content of the response leg, once the response has gone.
function payload.response_copy(outcome, consumer)
  local copied, passed = outcome.copied or 0, outcome.passed or 0
  local lines = payload.response_lines(outcome.id, outcome.about, outcome.context, consumer)
    .. body_line({ extent = copied < passed and "prefix" or "complete", size = copied, total = passed })
  local head = payload.response_head(ngx.status, ngx.resp.get_headers(0, true))
  return lines, head .. (outcome.pieces and concat(outcome.pieces) or "")
end

return payload
