-- What the client gets when its request is not forwarded.
local cjson = require "cjson.safe"

local reply = {}

local find, gsub, format, byte, lower = string.find, string.gsub, string.format, string.byte, string.lower

-- The same reply the node gives by default: used where a block verdict arrives
-- without a usable one. The verdict is valid; only its text is missing.
local DEFAULT_STATUS = 403
local DEFAULT_BODY = '{"error": {"code": 403, "message": "request blocked"}}'
local JSON = "application/json"

-- Verdicts come from the operator's own policy, but a mistake in one must not
-- make a reply that cannot be sent.
local MAX_REPLY_HEADERS = 64

local UNSENDABLE = {
  ["content-length"] = true,
  ["transfer-encoding"] = true,
  ["connection"] = true,
  ["keep-alive"] = true,
  ["upgrade"] = true,
  ["trailer"] = true,
  ["te"] = true,
  ["proxy-connection"] = true,
}

local GRPC_CODES = {
  [400] = 3, [401] = 16, [403] = 7, [404] = 5, [413] = 8, [429] = 8, [503] = 14, [504] = 4,
}
local GRPC_PERMISSION_DENIED = 7
local GRPC_UNAVAILABLE = 14

local ID_HEADER = "Inspector-Request-Id"
-- No cache may keep a reply, whatever its status.
local CACHE_HEADER, NO_STORE = "Cache-Control", "no-store"

local function grpc_message(text)
  return (gsub(text, "[^ -$&-~]", function(c)
    return format("%%%02X", byte(c))
  end))
end

-- grpc_type: the content type of a gRPC call, or nil for any other request. A client of
-- a gRPC route that says nothing of gRPC gets a plain reply.
function reply.grpc_type(about)
  local content_type = about.grpc and ngx.var.content_type
  if content_type and find(content_type, "^application/grpc") then
    return content_type
  end
end

-- A gRPC client reads its outcome from grpc-status in the headers of a body-less
-- response whose HTTP status is 200; anything else looks like a transport error.
local function grpc_reply(status, message, id, grpc_type)
  return {
    status = 200,
    body = "",
    headers = {
      ["Content-Type"] = find(grpc_type, "^application/grpc%-web") and "application/grpc-web"
        or "application/grpc",
      ["grpc-status"] = tostring(GRPC_CODES[status]
        or (status >= 500 and GRPC_UNAVAILABLE or GRPC_PERMISSION_DENIED)),
      ["grpc-message"] = grpc_message(message),
      [CACHE_HEADER] = NO_STORE,
      [ID_HEADER] = id,
    },
  }
end

-- A reply that the connector makes itself.
function reply.own(status, message, id, grpc_type)
  if grpc_type then
    return grpc_reply(status, message, id, grpc_type)
  end
  return {
    status = status,
    body = format('{"error": {"code": %d, "message": "%s"}}', status, message),
    headers = { ["Content-Type"] = JSON, [CACHE_HEADER] = NO_STORE, [ID_HEADER] = id },
  }
end

local function usable_headers(list)
  local headers, count = {}, 0
  if type(list) ~= "table" then
    return headers
  end
  for i = 1, #list do
    local pair = list[i]
    local name = type(pair) == "table" and pair[1]
    local value = type(pair) == "table" and pair[2]
    if type(value) == "number" then
      value = tostring(value)
    end
    if type(name) == "string" and type(value) == "string" and count < MAX_REPLY_HEADERS
      and find(name, "^[%w!#$%%&'*+.^_`|~-]+$") and not find(value, "[\r\n%z]")
      and not UNSENDABLE[lower(name)]
    then
      count = count + 1
      name = lower(name)
      local before = headers[name]
      if before == nil then
        headers[name] = value
      elseif type(before) == "table" then
        before[#before + 1] = value
      else
        headers[name] = { before, value }
      end
    end
  end
  return headers
end

-- text: the JSON of a block verdict, or nil if it did not arrive completely.
function reply.of_verdict(text, id, grpc_type)
  local verdict = text and cjson.decode(text)
  local wanted = type(verdict) == "table" and verdict.reply
  local status, content, headers
  if type(wanted) == "table" then
    status = wanted.status
    headers = usable_headers(wanted.headers)
    if type(wanted.body_base64) == "string" then
      content = ngx.decode_base64(wanted.body_base64)
    elseif type(wanted.body) == "string" then
      content = wanted.body
    end
  end
  if type(status) ~= "number" or status % 1 ~= 0 or status < 200 or status > 599 then
    status, content = DEFAULT_STATUS, nil
  end
  if not content then
    content = DEFAULT_BODY
    headers = { ["content-type"] = JSON }
  end
  if grpc_type then
    return grpc_reply(status, "request blocked", id, grpc_type)
  end
  headers["cache-control"] = headers["cache-control"] or NO_STORE
  headers[ID_HEADER] = id
  return { status = status, body = content, headers = headers }
end

return reply
