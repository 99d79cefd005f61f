-- The addresses of a node whose name has several: to which of them a call goes, and
-- which other one can be asked when the first is busy.
--
-- Requests never wait for a lookup. They use the result of the last one, and a timer
-- repeats it. Without a resolver, or while fewer than two addresses are known, calls
-- are sent to the name, and the gateway chooses the address.
local addresses = {}

local now = require "kong.plugins.kong-lua.clock"

-- Time between two lookups of a name that is in use.
local REFRESH_S = 5
-- Addresses that could not be looked up again for this long are no longer used.
local VALID_S = 30
-- A larger list is cut.
local MAX_ADDRESSES = 64

local resolve

-- By compiled settings: the last result, and when the next lookup is due.
local known = setmetatable({}, { __mode = "k" })

-- resolver(host) returns a list of numeric addresses, or nil and an error. It may wait.
function addresses.use(resolver)
  resolve = resolver
  known = setmetatable({}, { __mode = "k" })
end

local function distinct(found)
  local list, seen = {}, {}
  for i = 1, math.min(#found, MAX_ADDRESSES) do
    local address = found[i]
    -- The socket expects IPv6 addresses in brackets.
    if address:find(":", 1, true) and address:sub(1, 1) ~= "[" then
      address = "[" .. address .. "]"
    end
    if not seen[address] then
      seen[address] = true
      list[#list + 1] = address
    end
  end
  return list
end

-- A function of its own, and not one made in pick(): LuaJIT compiles no function that has
-- a closure over its variables, nor what calls it.
local function refresh(premature, entry, host)
  if premature then
    return
  end
  local ran, found = pcall(resolve, host)
  if ran and found and #found > 0 then
    entry.list, entry.valid_until = distinct(found), now() + VALID_S
  end
end

-- The current list if it has at least two addresses.
local function list_of(set)
  local entry = known[set]
  if entry and now() < entry.valid_until and #entry.list > 1 then
    return entry.list, entry
  end
end

-- The address for the next call, in turn; nil to connect to the name.
function addresses.pick(set)
  if not resolve or set.numeric then
    return nil
  end
  local entry = known[set]
  if not entry then
    entry = { list = {}, turn = 0, due = 0, valid_until = 0 }
    known[set] = entry
  end
  local at = now()
  if at >= entry.due then
    entry.due = at + REFRESH_S
    ngx.timer.at(0, refresh, entry, set.host)
  end
  local list = list_of(set)
  if list then
    entry.turn = entry.turn % #list + 1
    return list[entry.turn]
  end
end

-- An address of the node other than this one, or nil.
function addresses.other(set, address)
  local list, entry = list_of(set)
  if not list or not address then
    return nil
  end
  for i = 1, #list do
    local other = list[(entry.turn + i - 1) % #list + 1]
    if other ~= address then
      return other
    end
  end
end

return addresses
