-- A table of the latest entries in bounded memory: two generations, of which the older is
-- dropped when the newer is full. Values are not nil.
local recent = {}
recent.__index = recent

-- limit: entries of one generation.
function recent.new(limit)
  return setmetatable({ young = {}, old = {}, count = 0, limit = limit }, recent)
end

function recent:put(key, value)
  if self.young[key] == nil then
    if self.count >= self.limit then
      self.young, self.old, self.count = {}, self.young, 0
    end
    self.count = self.count + 1
  end
  self.young[key] = value
end

-- The value, which is among the latest from now on, or nil.
function recent:get(key)
  local value = self.young[key]
  if value == nil then
    value = self.old[key]
    if value ~= nil then
      self:put(key, value)
    end
  end
  return value
end

-- Removes the entry, and returns its value or nil.
function recent:take(key)
  local value = self.young[key]
  if value ~= nil then
    self.young[key] = nil
    self.count = self.count - 1
  else
    value = self.old[key]
  end
  self.old[key] = nil
  return value
end

return recent
