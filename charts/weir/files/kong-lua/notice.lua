-- Log lines about the connector itself, at a limited rate. The first line of a kind
-- is written at once; further ones within the interval are counted, and the next
-- line says how many there were.
local notice = {}

local INTERVAL_S = 1
-- There are few kinds; this limit holds even if a caller makes a mistake.
local MAX_KINDS = 256

local last, held, kinds = {}, {}, 0

-- write: a function that logs one line; kind: what the line is about.
function notice.emit(write, kind, message)
  local at = ngx.now()
  local before = last[kind]
  if before and at - before < INTERVAL_S then
    held[kind] = (held[kind] or 0) + 1
    return false
  end
  if not before then
    kinds = kinds + 1
    if kinds > MAX_KINDS then
      last, held, kinds = {}, {}, 1
    end
  end
  local more = held[kind]
  last[kind], held[kind] = at, nil
  write("kong-lua: " .. message .. (more and " (" .. more .. " more since the last line)" or ""))
  return true
end

return notice
