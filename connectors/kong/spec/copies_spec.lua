-- Copies for which no client waits: the queue, batches, what is lost and how it is reported.
local cjson = require "cjson.safe"
local fake = require "support.fake_ngx"

local PASS = "HTTP/1.1 204 No Content\r\nInspector-Verdict: pass\r\n\r\n"

local function accepted(lines)
  return "HTTP/1.1 202 x\r\nInspector-Verdict: accepted\r\n" .. (lines or "") .. "Content-Length: 0\r\n\r\n"
end

local function status(code)
  return "HTTP/1.1 " .. code .. " x\r\nContent-Length: 0\r\n\r\n"
end

-- The answer to a batch whose items got these statuses.
local function results(...)
  local list = {}
  for i, code in ipairs({ ... }) do
    list[i] = '{"status":' .. code .. "}"
  end
  local text = '{"results":[' .. table.concat(list, ",") .. "]}"
  return "HTTP/1.1 202 x\r\nInspector-Verdict: accepted\r\nContent-Length: " .. #text .. "\r\n\r\n" .. text
end

describe("copies", function()
  local server, logged, conf

  before_each(function()
    fake.fresh()
    server = fake.install()
    logged = {}
    conf = fake.conf({ breaker_failures = 0 })
  end)

  local function log(text) logged[#logged + 1] = text end

  local function set_of() return fake.require("settings").of(conf) end

  local function dropped()
    local report = fake.require("coverage").snapshot(set_of(), { id = "i", worker = 0, connector = "c/1.0.0" })
    local counts = {}
    for _, entry in ipairs(report.dropped or {}) do
      counts[entry.leg .. " " .. entry.reason] = entry.count
    end
    return counts
  end

  describe("queue", function()
    local sent, lost, together

    before_each(function() sent, lost, together = {}, {}, false end)

    local function queue_of(max_entries, max_bytes, send)
      return fake.require("spool").new({
        max_entries = max_entries, max_bytes = max_bytes,
        send = send or function(entries)
          local names = {}
          for i, entry in ipairs(entries) do names[i] = entry.name end
          sent[#sent + 1] = table.concat(names, ",")
        end,
        dropped = function(entry, reason) lost[#lost + 1] = entry.name .. " " .. reason end,
        together = function() return together end,
      })
    end

    local function entry(name, size) return { name = name, size = size or 1 } end

    it("drops the oldest beyond its limits and reports the loss", function()
      local queue = queue_of(2, 100)
      for _, name in ipairs({ "a", "b", "c" }) do queue:push(entry(name)) end
      local ok, reason = queue:push(entry("x", 101))
      assert.same({ nil, "queue_full" }, { ok, reason })
      assert.same({ "a queue_full" }, lost)
      queue:push(entry("d", 99))
      server.timers[1]()
      assert.same({ "a queue_full", "b queue_full" }, lost)
      assert.same({ "c", "d" }, sent)
      assert.same({ 0, 0 }, { queue.bytes, queue:count() })
    end)

    it("keeps the order of many more than it holds", function()
      local queue = queue_of(3, 100)
      for i = 1, 20, 2 do
        queue:push(entry(tostring(i)))
        queue:push(entry(tostring(i + 1)))
        server.timers[#server.timers]()
      end
      for i = 1, 20 do assert.equal(tostring(i), sent[i]) end
    end)

    it("counts what is being sent within its bounds, and drops none of it", function()
      local queue
      queue = queue_of(2, 100, function(entries)
        if entries[1].name == "a" and #lost == 0 then
          queue:push(entry("b"))
          queue:push(entry("c"))
        end
      end)
      queue:push(entry("a"))
      server.timers[1]()
      assert.same({ "b queue_full" }, lost)
      assert.equal(0, queue:count())
    end)

    it("sends what may be together in batches, after a short wait", function()
      together = true
      local queue = queue_of(1000, 10000000)
      for i = 1, 250 do queue:push(entry(tostring(i))) end
      server.timers[1]()
      assert.equal(3, #sent)
      assert.matches("^1,2,3,.*,100$", sent[1])
      assert.matches("^201,.*,250$", sent[3])
      -- Only the last batch, which was not full, had to wait. Its wait was over.
      assert.equal(1, server.waits)
      assert.equal(1000.1, server.clock)
    end)

    it("bounds a batch by its bytes", function()
      together = true
      local queue = queue_of(1000, 10000000)
      for i = 1, 3 do queue:push(entry(tostring(i), 600000)) end
      queue:push(entry("large", 2000000))
      server.timers[1]()
      assert.same({ "1", "2", "3", "large" }, sent)
    end)

    it("ends the wait when a batch is full", function()
      together = true
      local queue = queue_of(1000, 10000000)
      queue:push(entry("1"))
      server.on_wait = function()
        server.on_wait = nil
        for i = 2, 101 do queue:push(entry(tostring(i))) end
      end
      server.timers[1]()
      assert.equal(1, server.posts)
      assert.matches(",100$", sent[1])
    end)

    it("tries again only what was not delivered", function()
      together = true
      local times = 0
      local queue = queue_of(10, 100, function(entries)
        times = times + 1
        sent[#sent + 1] = #entries
        return times == 1 and { entries[2] } or nil
      end)
      for i = 1, 3 do queue:push(entry(tostring(i))) end
      server.timers[1]()
      assert.same({ 3, 1 }, sent)
      assert.equal(0, queue:count())
    end)

    it("survives a fault while it sends", function()
      local queue = queue_of(10, 100, function() error("boom") end)
      queue:push(entry("a"))
      server.timers[1]()
      assert.same({ "a lua_error" }, lost)
      assert.equal(0, queue:count())
      assert.is_false(queue.running)
    end)

    it("loses what it cannot send while the worker ends, and reports the loss", function()
      local queue = queue_of(10, 100, function(entries) return entries end)
      queue:push(entry("a"))
      ngx.worker.exiting = function() return true end
      server.timers[1]()
      assert.same({ "a exiting" }, lost)
    end)
  end)

  describe("delivery", function()
    local function push(leg, id, lines, content)
      return fake.require("delivery").enqueue(set_of(), log, leg, id, lines or "", content or "x")
    end

    local function run() server.timers[#server.timers]() end

    it("gives an entry up after a while, and counts it", function()
      local delivery = fake.require("delivery")
      local entry = delivery.entry(set_of(), "responses", "i", "A: b\r\n", "text")
      server.scripts = { { connect = "refused" }, { connect = "refused" } }
      assert.same({ entry }, delivery.send(set_of(), log, { entry }))
      assert.same({}, dropped())
      server.clock = server.clock + 10
      assert.same({}, delivery.send(set_of(), log, { entry }))
      assert.same({ ["response connect"] = 1 }, dropped())
    end)

    it("marks a second attempt", function()
      server.scripts = { { status(503) }, { PASS } }
      push("responses", "i")
      run()
      assert.is_nil(server.sockets[1].sent[1]:find("Inspector-Attempt", 1, true))
      assert.matches("Inspector-Attempt: 2\r\n", server.sockets[2].sent[1], 1, true)
    end)

    it("hands the context of a copied request to its response", function()
      server.scripts = { { accepted("Inspector-Context: tok\r\n") }, { PASS } }
      push("requests", "i")
      push("responses", "i")
      run()
      assert.matches("Inspector-Context: tok\r\n", server.sockets[2].sent[1], 1, true)
    end)

    it("sends no response that the node has no use for", function()
      server.scripts = { { accepted("Inspector-Response: none\r\n") } }
      push("requests", "i")
      push("responses", "i")
      run()
      assert.equal(1, #server.sockets)
      assert.same({}, dropped())
    end)

    it("counts every copy that does not fit, with few lines in the log", function()
      conf = fake.conf({ breaker_failures = 0, queue_max_entries = 10 })
      for i = 1, 17000 do push("responses", tostring(i)) end
      assert.same({ ["response queue_full"] = 16990 }, dropped())
      assert.equal(1, #logged)
      local notice = fake.require("notice")
      notice.flush(log)
      assert.equal(1, #logged)
      server.clock = server.clock + 10
      notice.flush(log)
      notice.flush(log)
      assert.equal(2, #logged)
      assert.matches("^%[weir%] copy of a response not delivered to node [%d.:]+, reason=queue_full", logged[2])
      assert.matches("(16988 more since the last line)", logged[2], 1, true)
    end)

    describe("in batches", function()
      before_each(function() set_of().takes_batches = true end)

      it("puts many responses into one call, with the lines of each", function()
        server.scripts = { { results(202, 202) } }
        push("responses", "a", "Inspector-Request-Id: a\r\n", "one")
        push("responses", "b", "Inspector-Request-Id: b\r\n", "three")
        run()
        local text = server.sockets[1].sent[1]
        assert.matches("^POST /v1/responses HTTP/1.1\r\n", text)
        assert.matches("Content-Type: application/http; msgtype=request\r\n", text, 1, true)
        local items = "POST /v1/responses HTTP/1.1\r\nInspector-Request-Id: a\r\nContent-Length: 3\r\n\r\none"
          .. "POST /v1/responses HTTP/1.1\r\nInspector-Request-Id: b\r\nContent-Length: 5\r\n\r\nthree"
        assert.matches("Content-Length: " .. #items .. "\r\n\r\n" .. items, text, 1, true)
        assert.same({}, dropped())
      end)

      it("sends one alone as a single call", function()
        server.scripts = { { PASS } }
        push("responses", "a")
        run()
        assert.matches("Content-Type: message/http; msgtype=response\r\n", server.sockets[1].sent[1], 1, true)
      end)

      it("keeps copies of requests apart", function()
        server.scripts = { { accepted("Inspector-Response: body; batch\r\n") }, { results(202, 202) }, { accepted() } }
        push("requests", "r")
        push("responses", "a")
        push("responses", "b")
        push("requests", "s")
        run()
        assert.equal(3, #server.sockets)
      end)

      it("sends again only the items that a later attempt may deliver", function()
        server.scripts = { { results(202, 503, 400, 202, 500) }, { results(202, 202) } }
        for _, id in ipairs({ "a", "b", "c", "d", "e" }) do
          push("responses", id, "Inspector-Request-Id: " .. id .. "\r\n")
        end
        run()
        local again = server.sockets[2].sent[1]
        local _, count = again:gsub("POST /v1/responses HTTP/1.1\r\nInspector%-Request%-Id: [be]\r\n"
          .. "Inspector%-Attempt: 2\r\n", "")
        assert.equal(2, count)
        assert.is_nil(again:find("Request-Id: [acd]"))
        assert.same({ ["response bad_call"] = 1 }, dropped())
      end)

      it("reads each result, also after the same words for as many copies", function()
        for _, answer in ipairs({ results(202, 202), results(202, 202), results(202, 400), results(202, 202) }) do
          set_of().takes_batches = true
          server.scripts, server.sockets = { { answer } }, {}
          push("responses", "a")
          push("responses", "b")
          run()
          assert.equal(1, #server.sockets)
        end
        assert.same({ ["response bad_call"] = 1 }, dropped())
      end)

      it("goes back to single calls at a node that takes no batches", function()
        for _, code in ipairs({ 400, 404, 413, 415 }) do
          set_of().takes_batches = true
          server.scripts, server.sockets = { { status(code) }, { PASS }, { PASS } }, {}
          push("responses", "a")
          push("responses", "b")
          run()
          assert.equal(3, #server.sockets)
          assert.is_false(set_of().takes_batches)
        end
        assert.same({}, dropped())
      end)

      it("counts each item of an answer that is not valid", function()
        for _, answer in ipairs({ results(202), accepted(), (results('"x"', 202)) }) do
          set_of().takes_batches = true
          server.scripts, server.sockets = { { answer } }, {}
          push("responses", "a")
          push("responses", "b")
          run()
        end
        assert.same({ ["response malformed"] = 5 }, dropped())
      end)

      it("counts each item of a batch that a refused key loses", function()
        server.scripts = { { status(401) } }
        push("responses", "a")
        push("responses", "b")
        run()
        assert.same({ ["response refused"] = 2 }, dropped())
      end)
    end)
  end)

  describe("what the node wants of a response", function()
    local function ask(lines)
      local head = "HTTP/1.1 204 x\r\nInspector-Verdict: pass\r\nInspector-Context: c\r\n"
      server.scripts = { { head .. lines .. "\r\n" } }
      return fake.require("inspect").request(conf, log, {}, error)
    end

    it("is in its answer, with whether it takes batches", function()
      for lines, wanted in pairs({
        [""] = { "body", false }, ["Inspector-Response: none\r\n"] = { "none", false },
        ["Inspector-Response: head; batch\r\n"] = { "head", true },
        ["Inspector-Response: body; batch\r\n"] = { "body", true },
        ["Inspector-Response: ?\r\n"] = { "body", false },
      }) do
        assert.same(wanted, { ask(lines).wants, set_of().takes_batches })
      end
    end)

    it("limits what is copied", function()
      local payload = fake.require("payload")
      assert.equal(conf.response_max_body_bytes, payload.copy_limit(conf, { wants = "body" }))
      assert.equal(conf.response_max_body_bytes, payload.copy_limit(conf, {}))
      assert.equal(0, payload.copy_limit(conf, { wants = "head" }))
      assert.equal(0, payload.copy_limit(fake.conf({ inspect_response_body = false }), { wants = "body" }))
    end)
  end)

  it("stand-in writes the results that the module reads", function()
    assert.equal(503, cjson.decode(results(202, 503):match("{.*")).results[2].status)
  end)
end)
