-- Reads the node's response: strictly, with limits on size and one deadline.
local budget = require "kong.plugins.kong-lua.budget"
local recent = require "kong.plugins.kong-lua.recent"

local answer = {}

local byte, find, match, sub, lower = string.byte, string.find, string.match, string.sub, string.lower
local concat = table.concat
local tonumber = tonumber

-- The head of a response is a few short lines.
local MAX_HEAD_BYTES = 16 * 1024
-- Block pages are small; anything larger is not a valid verdict.
local MAX_BODY_BYTES = 256 * 1024
-- A problem document is read only so that its connection can be used again.
local MAX_PROBLEM_BYTES = 16 * 1024
local READ_BYTES = 16 * 1024
-- The plugin never requests an interim response (100 Continue).
local FIRST_FINAL_STATUS = 200

local SPACE, TAB = 32, 9

-- LuaJIT makes a table with a place for each field of its constructor, but not for a
-- constant nil. A table without such a place is copied when the field is set.
local unset = nil

local WANTED = {
  ["inspector-verdict"] = "verdict",
  ["inspector-context"] = "context",
  ["inspector-attack"] = "attack",
  ["inspector-response"] = "wishes",
  ["inspector-call-id"] = "id",
  ["connection"] = "connection",
  ["content-length"] = "content_length",
  ["transfer-encoding"] = "transfer_encoding",
}

-- Caches the results of `work`, which reads every byte with patterns: a node sends
-- the same few status lines and header names again and again. After `limit`
-- entries, further inputs are computed each time.
local function remembered(limit, work)
  local results, count = {}, 0
  return function(text)
    local result = results[text]
    if result == nil then
      result = work(text)
      if result ~= nil and count < limit then
        results[text] = result
        count = count + 1
      end
    end
    return result
  end
end

-- The status and whether HTTP/1.1 was spoken, or nil.
local status_of = remembered(64, function(line)
  local minor, status = match(line, "^HTTP/1%.([01]) (%d%d%d)[^\r\n]*\r\n$")
  status = tonumber(status)
  if status and status >= FIRST_FINAL_STATUS then
    return { code = status, keep = minor == "1" }
  end
end)

local function is_blank(char)
  return char == SPACE or char == TAB
end

local function value_of(line, from)
  if byte(line, from) == SPACE then
    from = from + 1
  end
  local value = sub(line, from, -3)
  if is_blank(byte(value, 1)) or is_blank(byte(value, -1)) then
    value = match(value, "^[ \t]*(.-)[ \t]*$")
  end
  return value
end

-- The name of a header if it is needed, false if not, or nil if this is no header name.
local name_of = remembered(64, function(name)
  if not find(name, "^[!#-'*+.^-z|~%-%w]+$") then
    return nil
  end
  name = lower(name)
  return WANTED[name] and name or false
end)

-- What a line with its line end says: the header's name and value, false if it is not
-- needed, or nil if it is malformed.
local function read_line(line)
  local colon = find(line, ":", 1, true)
  -- CR and LF may occur only together, as a line end.
  if not colon or find(line, "\r", 1, true) ~= #line - 1 or find(line, "\0", 1, true) then
    return nil
  end
  local name = name_of(sub(line, 1, colon - 1))
  return name and { name = name, field = WANTED[name], value = value_of(line, colon + 1) } or name
end

-- Most lines come again with each response. Those of the id come once, as do long lines, as that
-- of the context.
local LONGEST_REMEMBERED = 64
local lines = recent.new(64)

local function line_of(line)
  if #line > LONGEST_REMEMBERED then
    return read_line(line)
  end
  local known = lines:get(line)
  if known == nil then
    known = read_line(line)
    if known ~= nil and not (known and known.field == "id") then
      lines:put(line, known)
    end
  end
  return known
end

-- Reads the lines of a head whose last byte is at `stop` into a table. Returns it with the
-- status, or nil and what is wrong.
local function read_head(text, stop)
  local at = find(text, "\r\n", 1, true) + 2
  local status = status_of(sub(text, 1, at - 1))
  if not status then
    return nil, "not an HTTP/1.1 answer"
  end
  local fields = {}
  local last = stop - 1
  while at < last do
    local feed = find(text, "\n", at, true)
    local line = line_of(sub(text, at, feed))
    if line then
      if fields[line.field] then
        return nil, "repeated " .. line.name
      end
      fields[line.field] = line.value
    elseif line == nil then
      return nil, "malformed header line"
    end
    at = feed + 1
  end
  return fields, status
end

-- Whether the node closes the connection, or announces a body where there is none: its bytes
-- would be taken for the answer to the next call.
local function ends_connection(fields, status)
  return fields.connection ~= nil and find(lower(fields.connection), "close", 1, true) ~= nil
    or status.code == 204 and (fields.transfer_encoding ~= nil or (fields.content_length or "0") ~= "0")
end

-- What the connector makes of a head. own: whether the head names the call to which it belongs as
-- this one, or nil if it names none. Few fields, because each answer has a table of its own.
local function answer_of(fields, status, context, own)
  return {
    status = status.code, keep = status.keep and not ends_connection(fields, status), verdict = fields.verdict,
    context = context, attack = fields.attack, wishes = fields.wishes, own = own, body = unset,
  }
end

-- Heads of answers without a body, which differ in little but the context of the request and the id
-- of the call: by the text before these lines and by the text after them, what they say. The text
-- after them has the date, so it is new each second.
local shapes = recent.new(16)
local LONGEST_SHAPE = 1024
local CONTEXT_LINES = { "\r\ninspector-context: ", "\r\nInspector-Context: " }
local ID_LINE = "\r\ninspector-call-id: "
local FEED, RETURN = 10, 13

local function is_visible(char)
  return char ~= nil and char > SPACE and char < 127
end

-- Finds the line of the context. Returns where the line end before it and the one after it begin,
-- and the context; or nil if there is none, or it is not of the usual form.
local function find_context(text)
  local at, value_at = find(text, CONTEXT_LINES[1], 1, true)
  if not at then
    at, value_at = find(text, CONTEXT_LINES[2], 1, true)
  end
  local stop = at and find(text, "\r", value_at + 1, true)
  if not stop or byte(text, stop + 1) ~= FEED
    or not is_visible(byte(text, value_at + 1)) or not is_visible(byte(text, stop - 1))
  then
    return nil
  end
  local context = sub(text, value_at + 1, stop - 1)
  if find(context, "\n", 1, true) or find(context, "\0", 1, true) then
    return nil
  end
  return at, stop, context
end

-- Where the line with this id ends, if it follows the line end at `at`.
local function end_of_id(text, at, id)
  local value_at = at + #ID_LINE
  local stop = value_at + #id
  if sub(text, at, value_at - 1) == ID_LINE and sub(text, value_at, stop - 1) == id
    and byte(text, stop) == RETURN and byte(text, stop + 1) == FEED
  then
    return stop
  end
end

-- Splits a text at the lines of the context and of the id, as a node writes them: one after the other.
-- Returns what is before them, what is after them, the context, and true if the id was there.
local function split(text, id)
  local at, stop, context = find_context(text)
  if not at then
    at = find(text, ID_LINE, 1, true)
    stop = at
  end
  local id_stop = at and end_of_id(text, stop, id)
  stop = id_stop or stop
  if not at or at == stop then
    return text, "", nil, nil
  end
  return sub(text, 1, at + 1), sub(text, stop + 2), context, id_stop and true
end

-- Remembers what a head without context and id says, if it is valid and all of an answer.
local function read_shape(before, after)
  local text = before .. after
  local _, stop = find(text, "\r\n\r\n", 1, true)
  if #text > LONGEST_SHAPE or stop ~= #text then
    return nil
  end
  local fields, status = read_head(text, stop)
  if not fields or status.code ~= 204 or fields.context or fields.id then
    return nil
  end
  local shape = { fields = fields, status = status }
  local by_after = shapes:get(before)
  if not by_after then
    by_after = recent.new(16)
    shapes:put(before, by_after)
  end
  by_after:put(after, shape)
  return shape
end

-- The answer, if what arrived is one without a body and nothing else, in a known form.
local function known_answer(text, id)
  if #text > 2 * LONGEST_SHAPE then
    return nil
  end
  local before, after, context, own = split(text, id)
  local by_after = shapes:get(before)
  local shape = by_after and by_after:get(after) or read_shape(before, after)
  return shape and answer_of(shape.fields, shape.status, context, own)
end

-- Decodes as much of a chunked body as has arrived. Returns the text and where it
-- ended, nil while it is incomplete, false if it is not valid.
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

local function receive_some(sock, conf, deadline, before, bytes)
  if not budget.share(sock, conf, deadline, before) then
    return nil, "timeout"
  end
  return sock:receiveany(bytes)
end

-- Reads on until the end of a head that did not arrive at once. Returns what was
-- read and the position of the head's last byte; on failure nil and the error.
local function receive_rest_of_head(sock, conf, deadline, buffer)
  while #buffer <= MAX_HEAD_BYTES do
    local data, err = receive_some(sock, conf, deadline, nil, READ_BYTES)
    if not data then
      return nil, err
    end
    local from = #buffer - 2
    buffer = buffer .. data
    local _, stop = find(buffer, "\r\n\r\n", from > 0 and from or 1, true)
    if stop then
      return buffer, stop
    end
  end
  return nil, "head too long"
end

-- Returns the body of the response, or nil. Sets keep to false unless the
-- connection is exactly at the end of the response. fields: see read_head(); rest: bytes
-- after the head.
local function receive_body(sock, conf, deadline, head, fields, rest)
  local limit = head.status == 200 and MAX_BODY_BYTES or MAX_PROBLEM_BYTES
  if fields.transfer_encoding then
    if lower(fields.transfer_encoding) ~= "chunked" or fields.content_length then
      head.keep = false
      return nil
    end
    while true do
      local text, stop = decode_chunked(rest)
      if text then
        head.keep = head.keep and stop == #rest
        return text
      end
      local data = text == nil and #rest <= 2 * limit
        and receive_some(sock, conf, deadline, nil, READ_BYTES)
      if not data then
        head.keep = false
        return nil
      end
      rest = rest .. data
    end
  end
  local length = match(fields.content_length or "", "^%d+$")
  length = length and tonumber(length)
  if not length or length > limit or #rest > length then
    head.keep = false
    return nil
  end
  local pieces, have = { rest }, #rest
  while have < length do
    local data = receive_some(sock, conf, deadline, nil, length - have)
    if not data then
      head.keep = false
      return nil
    end
    pieces[#pieces + 1] = data
    have = have + #data
  end
  return concat(pieces)
end

-- Returns the response to the call of this id; its `keep` says whether the connection may be used
-- again, its `own` whether it names the call: true, false if it names another one, nil if it names none.
-- On failure returns nil, the error of the socket, and whether any byte arrived.
-- If the response is malformed, returns false and what is wrong with it.
function answer.receive(sock, conf, deadline, before, id)
  local text, err = receive_some(sock, conf, deadline, before, READ_BYTES)
  if not text then
    return nil, err, false
  end
  local known = known_answer(text, id)
  if known then
    return known
  end
  local _, stop = find(text, "\r\n\r\n", 1, true)
  if not stop then
    text, stop = receive_rest_of_head(sock, conf, deadline, text)
    if not text then
      return nil, stop, true
    end
  end
  if stop > MAX_HEAD_BYTES then
    return nil, "head too long", true
  end

  local fields, status = read_head(text, stop)
  if not fields then
    return false, status
  end
  local own = fields.id and fields.id == id
  local head = answer_of(fields, status, fields.context, own)
  if head.status ~= 204 then
    head.body = receive_body(sock, conf, deadline, head, fields, sub(text, stop + 1))
  elseif stop ~= #text then
    head.keep = false
  end
  return head
end

return answer
