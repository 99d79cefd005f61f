-- A bounded queue of this worker, emptied by one timer. It replaces Kong's own queue
-- where there is no Kong. When it is full, it drops the oldest entry.
local spool = {}
spool.__index = spool

local FIRST_DELAY_S = 0.05
local MAX_DELAY_S = 1

-- send(entry) returns true if the entry is finished, or nil and an error to try it
-- again. The queue calls dropped(entry, reason) for each entry that it drops.
function spool.new(max_entries, max_bytes, send, dropped)
  return setmetatable({
    -- A ring. Free places hold false and not nil, so that the table keeps its layout
    -- as the entries move.
    entries = {}, first = 1, held = 0, bytes = 0, running = false,
    max_entries = max_entries, max_bytes = max_bytes, send = send, dropped = dropped,
  }, spool)
end

function spool:count()
  return self.held
end

function spool:shift()
  local entry = self.entries[self.first]
  self.entries[self.first] = false
  self.first = self.first % self.max_entries + 1
  self.held = self.held - 1
  self.bytes = self.bytes - #entry
  return entry
end

function spool:drain()
  local delay = FIRST_DELAY_S
  while self:count() > 0 do
    local entry = self.entries[self.first]
    local ok, sent = pcall(self.send, entry)
    if not ok or sent then
      -- It may have been dropped to make room while it was being sent.
      if self.entries[self.first] == entry then
        self:shift()
      end
      if not ok then
        self.dropped(entry, "lua_error", sent)
      end
      delay = FIRST_DELAY_S
    else
      if ngx.worker.exiting() then
        break
      end
      ngx.sleep(delay)
      delay = math.min(delay * 2, MAX_DELAY_S)
    end
  end
end

function spool:push(entry)
  if #entry > self.max_bytes then
    return nil, "entry larger than the queue"
  end
  while self:count() > 0
    and (self:count() >= self.max_entries or self.bytes + #entry > self.max_bytes)
  do
    self.dropped(self:shift(), "queue_full")
  end
  self.entries[(self.first + self.held - 1) % self.max_entries + 1] = entry
  self.held = self.held + 1
  self.bytes = self.bytes + #entry

  if not self.running then
    self.running = true
    local ok, err = ngx.timer.at(0, function()
      self:drain()
      self.running = false
    end)
    if not ok then
      self.running = false
      return nil, err
    end
  end
  return true
end

return spool
