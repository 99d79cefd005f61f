-- A bounded queue of this worker for copies that are sent later, emptied by one timer.
-- When it is full it drops the oldest waiting entry and reports it, which Kong's own
-- queue does not. An entry is a table whose `size` is its number of bytes.
local semaphore = require "ngx.semaphore"
local now = require "kong.plugins.kong-lua.clock"

local spool = {}
spool.__index = spool

local FIRST_DELAY_S = 0.05
local MAX_DELAY_S = 1

-- Bounds of a batch. A batch waits at most this long for further entries.
local BATCH_ENTRIES = 100
local BATCH_BYTES = 1024 * 1024
local BATCH_WAIT_S = 0.1

-- options:
--   max_entries, max_bytes  bounds of the queue, entries that are being sent included
--   send(entries)           sends some entries and returns those to be tried again, or
--                           nil if none is left
--   dropped(entry, reason, detail)  is called for each entry that is lost
--   together(entry)         whether an entry may be sent with others
function spool.new(options)
  return setmetatable({
    -- A ring. Free places hold false and not nil, so that the table keeps its layout
    -- as the entries move.
    entries = {}, first = 1, waiting = 0, waiting_bytes = 0,
    -- What a running send() has, and what it gave back.
    taken = {}, held = 0, bytes = 0, running = false, full = nil,
    max_entries = options.max_entries, max_bytes = options.max_bytes,
    send = options.send, dropped = options.dropped, together = options.together,
  }, spool)
end

function spool:count()
  return self.held
end

function spool:shift()
  local entry = self.entries[self.first]
  self.entries[self.first] = false
  self.first = self.first % self.max_entries + 1
  self.waiting = self.waiting - 1
  self.waiting_bytes = self.waiting_bytes - entry.size
  return entry
end

-- Forgets an entry, which was sent or lost.
function spool:finish(entry)
  self.held = self.held - 1
  self.bytes = self.bytes - entry.size
end

function spool:is_batch_full()
  return self.waiting >= BATCH_ENTRIES or self.waiting_bytes >= BATCH_BYTES
end

-- Waits for more entries if the first one may be sent with others.
function spool:wait_for_batch()
  local first = self.entries[self.first]
  if not self.together(first) or self:is_batch_full() or ngx.worker.exiting() then
    return
  end
  local left = first.since + BATCH_WAIT_S - now()
  if left > 0 then
    self.full = semaphore.new()
    self.full:wait(left)
    self.full = nil
  end
end

-- The next entries to be sent: several only if all of them may be sent together.
function spool:take()
  if #self.taken > 0 then
    return self.taken
  end
  self:wait_for_batch()
  local batch, bytes = {}, 0
  while self.waiting > 0 and #batch < BATCH_ENTRIES do
    local entry = self.entries[self.first]
    local apart = not self.together(entry)
    if #batch > 0 and (apart or bytes + entry.size > BATCH_BYTES) then
      break
    end
    batch[#batch + 1] = self:shift()
    bytes = bytes + entry.size
    if apart then
      break
    end
  end
  self.taken = batch
  return batch
end

-- Entries that send() did not give back are done.
function spool:settle(batch, left)
  local again = {}
  for i = 1, #left do
    again[left[i]] = true
  end
  for i = 1, #batch do
    if not again[batch[i]] then
      self:finish(batch[i])
    end
  end
  self.taken = left
end

function spool:lose(batch, reason, detail)
  for i = 1, #batch do
    self.dropped(batch[i], reason, detail)
    self:finish(batch[i])
  end
  self.taken = {}
end

function spool:drain()
  local delay = FIRST_DELAY_S
  while self.held > 0 do
    local batch = self:take()
    local ran, left = pcall(self.send, batch)
    if not ran then
      self:lose(batch, "lua_error", left)
    elseif left and #left > 0 then
      self:settle(batch, left)
      if ngx.worker.exiting() then
        self:lose(left, "exiting")
      else
        ngx.sleep(delay)
        delay = math.min(delay * 2, MAX_DELAY_S)
      end
    else
      self:settle(batch, {})
      delay = FIRST_DELAY_S
    end
  end
end

local function run(premature, self)
  local ran, err = pcall(self.drain, self)
  self.running = false
  if not ran and not premature then
    -- A fault in this module; what was being sent is lost, the rest is sent later.
    self:lose(self.taken, "lua_error", err)
  end
end

function spool:start()
  self.running = true
  return ngx.timer.at(0, run, self)
end

-- Returns true, or nil, a reason and a detail if the entry was not taken.
function spool:push(entry)
  local size = entry.size
  if size > self.max_bytes then
    return nil, "queue_full", "a copy of " .. size .. " bytes is larger than the queue"
  end
  while self.held >= self.max_entries or self.bytes + size > self.max_bytes do
    if self.waiting == 0 then
      return nil, "queue_full"
    end
    local oldest = self:shift()
    self:finish(oldest)
    self.dropped(oldest, "queue_full")
  end
  entry.since = now()
  self.entries[(self.first + self.waiting - 1) % self.max_entries + 1] = entry
  self.waiting = self.waiting + 1
  self.waiting_bytes = self.waiting_bytes + size
  self.held = self.held + 1
  self.bytes = self.bytes + size

  if not self.running then
    local ok, err = self:start()
    if not ok then
      self.running = false
      -- The entry stays: the next push starts the timer again.
      return true, err
    end
  elseif self.full and self:is_batch_full() then
    self.full:post(1)
    self.full = nil
  end
  return true
end

return spool
