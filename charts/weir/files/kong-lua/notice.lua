-- Log lines about the connector itself, at a limited rate. The first line of a kind is
-- written at once. Further ones within the interval are counted, and one line at its end
-- says how many there were.
local now = require "kong.plugins.kong-lua.clock"
local notice = {}

-- What every line begins with, so that one pattern finds them all.
local PREFIX = "[weir] "
local INTERVAL_S = 1
-- There are few kinds; this limit holds even if a caller makes a mistake.
local MAX_KINDS = 256

-- By kind: when the last line was written, the interval, and what was held back since.
local kinds, kind_count = {}, 0

local function write_line(write, state, message, at)
  local more = state.held
  state.last, state.held, state.message = at, 0, nil
  write(PREFIX .. message .. (more > 0 and " (" .. more .. " more since the last line)" or ""))
end

-- write: a function that logs one line; kind: what the line is about.
function notice.emit(write, kind, message, interval)
  local at = now()
  local state = kinds[kind]
  if state and at - state.last < state.interval then
    state.held, state.message = state.held + 1, message
    return false
  end
  if not state then
    if kind_count >= MAX_KINDS then
      kinds, kind_count = {}, 0
    end
    kind_count = kind_count + 1
    state = { held = 0, interval = interval or INTERVAL_S }
    kinds[kind] = state
  end
  write_line(write, state, message, at)
  return true
end

-- Writes the lines of kinds whose interval is over and of which some were held back.
function notice.flush(write)
  local at = now()
  for _, state in pairs(kinds) do
    if state.held > 0 and at - state.last >= state.interval then
      local message = state.message
      -- This line is the last of those held back.
      state.held = state.held - 1
      write_line(write, state, message, at)
    end
  end
end

-- A line at no limited rate, for what happens seldom.
function notice.say(write, message)
  write(PREFIX .. message)
end

return notice
