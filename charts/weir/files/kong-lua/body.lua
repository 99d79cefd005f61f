-- Reads a request body as far as the settings allow, and records what was not read.
--
-- state.extent is "complete", "prefix" or "unread"; state.reason is the token for
-- an unread body. state.data or state.file holds the bytes, state.size is how many
-- of them to send, and state.total is the whole length if it is known.
local body = {}

-- Slice of a body that nginx wrote to disk: long enough that a mebibyte takes few
-- calls, short enough that reading it does not block the worker for long.
local SLICE_BYTES = 64 * 1024
-- Slice of a body in memory: one slice must not take much of a call's time, because
-- the deadline is checked between slices.
local MEMORY_SLICE_BYTES = 256 * 1024

local EMPTY = { extent = "complete", size = 0, total = 0 }

local function unread(reason, total)
  return { extent = "unread", reason = reason, size = 0, total = total }
end

local function limited(state, limit, over_limit)
  if state.total <= limit then
    state.extent, state.size = "complete", state.total
    return state
  end
  if over_limit ~= "prefix" or limit == 0 then
    body.close(state)
    return unread("too_large", state.total)
  end
  state.extent, state.size = "prefix", limit
  if state.data then
    state.data = state.data:sub(1, limit)
  end
  return state
end

-- streaming: the gateway's own configuration says that bodies on this route may
-- never end. A client header alone must not make a request a stream, because
-- clients could then avoid inspection by sending that header. plain: whether the head is
-- known to have neither Transfer-Encoding nor Upgrade.
function body.read(conf, streaming, plain)
  local var = ngx.var
  local limit, over_limit = conf.max_body_bytes, conf.over_limit
  local length = tonumber(var.content_length)
  local http1 = ngx.req.http_version() < 2
  local coded = http1 and not plain and var.http_transfer_encoding ~= nil

  if coded then
    length = nil
  elseif http1 and (length or 0) == 0 then
    if not plain and var.http_upgrade then
      return unread("upgrade")
    end
    return EMPTY
  end

  if streaming and not conf.read_body then
    if length == 0 then
      return EMPTY
    end
    return unread("stream", length)
  end

  if length and length > limit and (over_limit ~= "prefix" or limit == 0) then
    return unread("too_large", length)
  end

  local read, err = true, nil
  if http1 then
    -- Not by pcall(), with which LuaJIT compiles neither this call nor what is around it.
    ngx.req.read_body()
  else
    -- Some ngx_lua releases refuse HTTP/2 bodies without a length by throwing.
    read, err = pcall(ngx.req.read_body)
  end
  if not read then
    return unread("error", length), err
  end

  local data = ngx.req.get_body_data()
  if data then
    return limited({ extent = "unread", size = 0, data = data, total = #data }, limit, over_limit)
  end

  local path = ngx.req.get_body_file()
  if not path then
    return EMPTY
  end
  local file
  file, err = io.open(path, "rb")
  if not file then
    return unread("error", length), err
  end
  local total
  total, err = file:seek("end")
  if not total then
    file:close()
    return unread("error", length), err
  end
  return limited({ extent = "unread", size = 0, file = file, total = total }, limit, over_limit)
end

-- Whether the bytes are in memory and few enough to be sent at once.
function body.is_small(state)
  return state.data ~= nil and state.size <= MEMORY_SLICE_BYTES
end

local function each_in_memory(state, write)
  for at = 1, state.size, MEMORY_SLICE_BYTES do
    local ok, err = write(state.data:sub(at, math.min(at + MEMORY_SLICE_BYTES - 1, state.size)))
    if not ok then
      return nil, err
    end
  end
  return true
end

body.ENDED_EARLY = "the file with the body ended early"

-- Calls `write` with the bytes, slice by slice. May be called again for a retry.
function body.each(state, write)
  if state.data then
    return each_in_memory(state, write)
  end
  if not state.file then
    return true
  end
  state.file:seek("set", 0)
  local left = state.size
  while left > 0 do
    local slice = state.file:read(left < SLICE_BYTES and left or SLICE_BYTES)
    if not slice then
      return nil, body.ENDED_EARLY
    end
    local ok, err = write(slice)
    if not ok then
      return nil, err
    end
    left = left - #slice
    if left > 0 then
      ngx.sleep(0)
    end
  end
  return true
end

-- The bytes as one string, for copies that outlive the request.
function body.string(state)
  if state.data then
    return state.data
  end
  local slices = {}
  local ok, err = body.each(state, function(slice)
    slices[#slices + 1] = slice
    return true
  end)
  if not ok then
    return nil, err
  end
  return table.concat(slices)
end

function body.close(state)
  if state.file then
    state.file:close()
    state.file = nil
  end
end

return body
