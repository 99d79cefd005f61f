-- An answer counts for the call that it names, and for no other.
local fake = require "support.fake_ngx"

describe("answers and calls", function()
  local server, set, stray

  before_each(function()
    fake.fresh()
    server = fake.install()
    set = fake.require("settings").compile(fake.conf())
  end)

  local function ask()
    local call = {
      fixed = set.requests, lines = "Inspector-Request-Id: i\r\n", head = "HEAD\r\n\r\n",
      deadline = ngx.now() + 1, timeout_ms = 1000,
    }
    local answer, reason, detail, excused = fake.require("client").call(set, call)
    stray = call.stray
    return answer, reason, detail, excused
  end

  local function id_of(socket) return table.concat(socket.sent):match("\r\nInspector%-Call%-Id: ([%w_-]+)\r\n") end

  -- Makes an answer with these header lines, in which ID stands for the id of the call it answers.
  local function named(lines)
    return function()
      return "HTTP/1.1 204 x\r\n" .. lines:gsub("ID", id_of(server.sockets[#server.sockets])) .. "\r\n"
    end
  end

  local OWN = named("inspector-verdict: pass\r\ninspector-context: own\r\ninspector-call-id: ID\r\n")
  local OTHER = named("inspector-verdict: pass\r\ninspector-context: other\r\ninspector-call-id: xxxxxxxx\r\n")
  local UNNAMED = named("inspector-verdict: pass\r\ninspector-context: unnamed\r\n")
  local BUSY = "HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n"

  -- What came of a call, by the context of the answer that counted or the reason that none did.
  local function outcome(...)
    server.scripts, server.sockets, server.connects = { ... }, {}, {}
    local answer, reason = ask()
    assert.equal(0, #server.scripts)
    return answer and answer.context or reason
  end

  local function kept()
    local list = {}
    for i, socket in ipairs(server.sockets) do
      assert.not_equal(socket.kept, socket.closed)
      list[i] = socket.kept or false
    end
    return list
  end

  it("gives each attempt an id of its own", function()
    local seen, count = {}, 0
    for _ = 1, 300 do
      assert.equal("own", outcome({ reused = 1, { "closed" } }, { OWN }))
      for _, socket in ipairs(server.sockets) do
        local id = id_of(socket)
        assert.is_nil(seen[id])
        seen[id], count = true, count + 1
      end
    end
    assert.equal(600, count)
  end)

  it("asks again on a new connection where a kept one has an answer to another call", function()
    assert.equal("own", outcome({ reused = 3, OTHER }, { OWN }))
    assert.same({ false, false }, kept())
    assert.is_true(stray)
    assert.matches("\r\nInspector-Attempt: 2\r\n", server.sockets[2].sent[1], 1, true)
    assert.not_equal(server.connects[1].pool, server.connects[2].pool)
    assert.equal("own", outcome({ OWN }))
    assert.same({ true }, kept())
    assert.is_nil(stray)
    assert.not_equal(server.connects[1].pool:match(":alone$"), ":alone")
  end)

  it("takes an answer to another call for a failure where it comes again, or on a new connection", function()
    assert.equal("malformed", outcome({ reused = 3, OTHER }, { OTHER }))
    assert.same({ false, false }, kept())
    assert.equal("malformed", outcome({ OTHER }))
    assert.same({ false }, kept())
  end)

  it("reports it, and counts it as a fault of the node only where it comes again", function()
    local conf, logged = fake.conf({ breaker_failures = 1 }), {}
    local inspect = fake.require("inspect")
    local function request(...)
      server.scripts, server.sockets = { ... }, {}
      return inspect.request(conf, function(text) logged[#logged + 1] = text end, {}, function() end)
    end
    assert.equal("pass", request({ reused = 1, OTHER }, { OWN }).verdict)
    assert.equal(1, #logged)
    assert.matches("sent an answer that belongs to no call", logged[1], 1, true)
    local found = request({ reused = 1, OTHER }, { OTHER })
    assert.same({ "bypass", "malformed" }, { found.verdict, found.reason })
    assert.equal("breaker_open", request().reason)
  end)

  it("has no more time for the second attempt than was left", function()
    server.scripts = { { reused = 1, function() server.clock = server.clock + 2; return OTHER() end }, {} }
    server.sockets, server.connects = {}, {}
    local answer, reason, _, excused = ask()
    assert.same({ nil, "timeout", true }, { answer, reason, excused })
    assert.equal(1, #server.connects)
  end)

  it("takes a node of an older version as before", function()
    for _ = 1, 3 do
      assert.equal("unnamed", outcome({ reused = 1, UNNAMED }))
      assert.same({ true }, kept())
    end
  end)

  it("believes an answer that names no call only on a new connection, where others named theirs", function()
    assert.equal("own", outcome({ OWN }))
    assert.equal("own", outcome({ reused = 1, UNNAMED }, { OWN }))
    -- An older node in place of the newer one.
    assert.equal("unnamed", outcome({ reused = 1, UNNAMED }, { UNNAMED }))
    assert.equal("unnamed", outcome({ reused = 1, UNNAMED }))
    assert.same({ true }, kept())
    assert.equal("own", outcome({ OWN }))
    assert.equal("unnamed", outcome({ UNNAMED }))
  end)

  it("does not ask again for an answer without a verdict, but closes its connection", function()
    assert.equal("own", outcome({ OWN }))
    server.scripts, server.sockets = { { reused = 1, BUSY } }, {}
    assert.equal(503, ask().status)
    assert.same({ false }, kept())
  end)

  it("checks the answers about copies, batches and reports as well", function()
    local delivery, log = fake.require("delivery"), function() end
    set.takes_batches = true
    local function entry(id)
      return delivery.entry(set, "responses", id, "Inspector-Request-Id: " .. id .. "\r\n", "x")
    end
    local function accepted(id)
      local text = '{"results":[{"status":202},{"status":202}]}'
      return "HTTP/1.1 202 x\r\nInspector-Verdict: accepted\r\ninspector-call-id: " .. id .. "\r\nContent-Length: "
        .. #text .. "\r\n\r\n" .. text
    end
    local function own() return accepted(id_of(server.sockets[#server.sockets])) end
    server.scripts, server.sockets = { { reused = 1, accepted("other") }, { own } }, {}
    assert.same({}, delivery.send(set, log, { entry("a"), entry("b") }))
    assert.equal(2, #server.sockets)
    server.scripts = { { reused = 1, accepted("other") }, { accepted("other") } }
    delivery.send(set, log, { entry("a"), entry("b") })
    local report = fake.require("coverage").snapshot(set, { id = "i", worker = 0, connector = "c/1.0.0" })
    assert.same({ { "malformed", 2 } }, { { report.dropped[1].reason, report.dropped[1].count } })
  end)

  it("reads the id in the same way in whatever form and pieces it comes", function()
    local verdict, context = "inspector-verdict: pass\r\n", "inspector-context: c\r\n"
    local attack = "inspector-attack: sqli\r\n"
    local ids = {
      none = "", own = "inspector-call-id: ID\r\n", capital = "Inspector-Call-Id: ID\r\n",
      other = "inspector-call-id: xxxxxxxx\r\n",
      longer = "inspector-call-id: IDx\r\n", shorter = "inspector-call-id: xxx\r\n", empty = "inspector-call-id:\r\n",
      blanks = "inspector-call-id: \tID \r\n", in_value = "x: inspector-call-id: ID\r\n", only_value = "x: ID\r\n",
      twice = "inspector-call-id: ID\r\ninspector-call-id: ID\r\n", feed = "inspector-call-id: ID\n\r\n",
      another = "inspector-call-id: ID\r\ninspector-call-id: xxxxxxxx\r\n",
    }
    local wanted = { own = true, capital = true, blanks = true, none = "nil", in_value = "nil", only_value = "nil",
      twice = "malformed", feed = "malformed", another = "malformed" }
    local contexts = { "", context, "Inspector-Context: c\r\n", "inspector-context: \r\n",
      "inspector-context: a b\r\n" }
    local answers, conf = fake.require("answer"), fake.conf()
    local function read(text, id, bytewise)
      local at, sock = 0, { settimeouts = function() end }
      function sock.receiveany()
        at = at + 1
        if bytewise then
          return text:sub(at, at)
        end
        return at == 1 and text or nil, "closed"
      end
      local answer, err = answers.receive(sock, conf, ngx.now() + 60, nil, id)
      if answer then
        return { tostring(answer.own), answer.verdict, answer.context, answer.attack, answer.keep }
      end
      return { answer, err }
    end
    local function compare(name, text)
      local slow = read(text, "abcd-_19", true)
      for _ = 1, 2 do
        assert.same(slow, read(text, "abcd-_19", false), name .. ": " .. text)
      end
      local got = slow[1] or "malformed"
      assert.equal(tostring(wanted[name] == nil and "false" or wanted[name]), tostring(got), name .. ": " .. text)
    end
    for name, line in pairs(ids) do
      line = line:gsub("ID", "abcd-_19")
      for _, about in ipairs(contexts) do
        for _, lines in ipairs({ verdict .. about .. line, verdict .. line .. about, line .. about .. verdict,
          about .. verdict .. line, verdict .. about .. line .. attack, verdict .. about .. attack .. line }) do
          compare(name, "HTTP/1.1 204 No Content\r\n" .. lines .. "\r\n")
        end
      end
    end
  end)
end)
