local fake = require "support.fake_ngx"

local PASS = "HTTP/1.1 204 No Content\r\nInspector-Verdict: pass\r\nInspector-Context: c1\r\n\r\n"

describe("modules of kong-lua", function()
  local server

  before_each(function()
    fake.fresh()
    server = fake.install()
  end)

  describe("settings", function()
    local function compile(changes)
      return fake.require("settings").compile(fake.conf(changes))
    end

    it("parses addresses once", function()
      for address, wanted in pairs({
        ["http://node:5000"] = { "node", 5000, false },
        ["http://next-processing.wallarm-node.svc.cluster.local:5000"] =
          { "next-processing.wallarm-node.svc.cluster.local", 5000, false },
        ["https://node"] = { "node", 443, true },
        ["http://10.0.0.1/"] = { "10.0.0.1", 80, false },
        ["http://[::1]:81"] = { "[::1]", 81, false },
      }) do
        local set = compile({ wallarm_node_address = address })
        assert.same(wanted, { set.host, set.port, set.tls })
      end
    end)

    it("knows which addresses need no resolver", function()
      assert.is_true(compile({ wallarm_node_address = "http://10.0.0.1:1" }).numeric)
      assert.is_true(compile({ wallarm_node_address = "http://[::1]:1" }).numeric)
      assert.is_false(compile({ wallarm_node_address = "http://10.example:1" }).numeric)
    end)

    it("puts a path of the address before /v1 and the key into the fixed lines", function()
      local set = compile({ wallarm_node_address = "http://n:1/edge/", connector_key = "k", application_id = "9" })
      assert.matches("^POST /edge/v1/requests HTTP/1.1\r\nHost: n:1\r\n", set.requests)
      assert.matches("\r\nAuthorization: Bearer k\r\n", set.requests, 1, true)
      assert.matches("\r\nInspector-Application: 9\r\n", set.requests, 1, true)
    end)

    it("keeps TLS pools of different identities apart", function()
      local a = compile({ wallarm_node_address = "https://n", tls_verify = true })
      local b = compile({ wallarm_node_address = "https://n", tls_verify = false })
      assert.not_equal(a.pool, b.pool)
    end)

    it("throws on an unusable address and caches by configuration", function()
      assert.has_error(function() compile({ wallarm_node_address = "http://n:99999" }) end)
      local conf = fake.conf()
      local settings = fake.require("settings")
      local before = settings.of(conf)
      assert.equal(before, settings.of(conf))
      conf.connector_key = "rotated"
      assert.matches("Bearer rotated", settings.of(conf).requests)
    end)
  end)

  describe("body", function()
    local function read(changes, streaming)
      return fake.require("body").read(fake.conf(changes), streaming)
    end

    local function spill(text)
      local path = os.tmpname()
      local file = assert(io.open(path, "wb"))
      file:write(text)
      file:close()
      server.request.file = path
      return path
    end

    it("waits for nothing where HTTP/1 declares no body", function()
      assert.equal("complete", read().extent)
      assert.is_nil(server.request.was_read)
    end)

    it("reads an HTTP/2 body without a length", function()
      server.request.version, server.request.body = 2, "abc"
      local state = read()
      assert.same({ "complete", 3 }, { state.extent, state.size })
    end)

    it("declares what a refusing server kept back", function()
      server.request.version, server.request.refuse = 2, "http2 requests not supported yet"
      local state = read()
      assert.same({ "unread", "error" }, { state.extent, state.reason })
    end)

    it("ignores Content-Length where a transfer coding rules", function()
      ngx.var.http_transfer_encoding, ngx.var.content_length = "chunked", "0"
      server.request.body = "attack"
      assert.equal(6, read().size)
    end)

    it("cuts at the limit, by policy", function()
      ngx.var.content_length, server.request.body = "10", "0123456789"
      local state = read({ max_body_bytes = 4 })
      assert.same({ "prefix", 4, 10, "0123" }, { state.extent, state.size, state.total, state.data })
      assert.equal("complete", read({ max_body_bytes = 10 }).extent)
      assert.equal("too_large", read({ max_body_bytes = 4, over_limit = "pass" }).reason)
      assert.equal("too_large", read({ max_body_bytes = 0 }).reason)
    end)

    it("reads a spilled body in slices, twice when asked", function()
      local text = ("x"):rep(200000) .. "end"
      local path = spill(text)
      ngx.var.content_length = tostring(#text)
      local body = fake.require("body")
      local state = body.read(fake.conf(), false)
      assert.equal(text, body.string(state))
      local slices = 0
      assert.is_true(body.each(state, function() slices = slices + 1 return true end))
      assert.equal(4, slices)
      body.close(state)
      os.remove(path)
    end)

    it("never waits for a stream, and never calls one what only a client says is one", function()
      ngx.var.content_length, server.request.body = "5", "hello"
      assert.equal("stream", read({}, true).reason)
      assert.is_nil(server.request.was_read)
      assert.equal("complete", read({ read_body = true }, true).extent)
      ngx.var.http_upgrade = "websocket"
      assert.equal("complete", read().extent)
      ngx.var.content_length = nil
      assert.equal("upgrade", read().reason)
    end)
  end)

  describe("ids", function()
    local ids

    before_each(function() ids = fake.require("ids") end)

    it("are of the contract's form, all different", function()
      local seen, lengths = {}, {}
      for i = 1, 4000 do
        local of_call = i % 2 == 0
        local id = of_call and ids.of_call() or ids.of_request()
        assert.matches("^[%w_-]+$", id)
        if of_call then
          lengths[#id] = (lengths[#id] or 0) + 1
        else
          assert.equal(22, #id)
        end
        assert.is_nil(seen[id])
        seen[id] = true
      end
      -- Those of calls have all lengths equally often: see ids.lua.
      for length = 8, 40 do
        assert.is_true(lengths[length] >= 60)
      end
      assert.is_nil(lengths[41])
    end)

    it("are drawn anew in another process", function()
      -- One read of the generator serves many identifiers.
      local base64, reads = package.loaded["ngx.base64"], 0
      local encode = base64.encode_base64url
      base64.encode_base64url = function(text)
        reads = reads + 1
        return encode(text)
      end
      package.loaded["kong.plugins.kong-lua.ids"] = nil
      ids = fake.require("ids")
      ids.of_request()
      ids.of_call()
      local before = reads
      ngx.worker.pid = function() return 2 end
      ids.of_call()
      assert.same({ 1, 2 }, { before, reads })
    end)
  end)

  describe("payload", function()
    local payload

    before_each(function() payload = fake.require("payload") end)

    it("rebuilds an HTTP/2 head with every duplicate in order", function()
      server.request.version = 2
      ngx.var.server_protocol, ngx.var.request_uri = "HTTP/2.0", "/a?b"
      server.request.headers = { host = "h", ["x-b"] = { "1", "2" }, ["x-a"] = "" }
      local head, rebuilt = payload.request_head()
      assert.equal("GET /a?b HTTP/2.0\r\nhost: h\r\nx-a: \r\nx-b: 1\r\nx-b: 2\r\n\r\n", head)
      assert.is_true(rebuilt)
    end)

    it("restores the spaces that the server's guess turned into line feeds", function()
      for mangled, wanted in pairs({
        ["GET / HTTP/1.1\r\nA: v\n\r\nB: w\r\n\r\n"] = "GET / HTTP/1.1\r\nA: v \r\nB: w\r\n\r\n",
        ["GET / HTTP/1.1\r\nA: v\n\r\n\r\n"] = "GET / HTTP/1.1\r\nA: v \r\n\r\n",
        ["GET / HTTP/1.1\r\nA: v\n  \r\n\r\n"] = "GET / HTTP/1.1\r\nA: v   \r\n\r\n",
        ["GET / HTTP/1.1\nA: v\n\n"] = "GET / HTTP/1.1\nA: v\n\n",
        ["GET / HTTP/1.1\nA: v\n\r\n"] = "GET / HTTP/1.1\nA: v\n\r\n",
      }) do
        server.request.raw = mangled
        assert.equal(wanted, (payload.request_head()))
      end
    end)

    it("rebuilds a head that has no end", function()
      server.request.raw = "GET /x\r\n"
      local head, rebuilt = payload.request_head()
      assert.is_true(rebuilt)
      assert.matches("\r\n\r\n$", head)
    end)

    it("knows heads without the headers that are asked for one by one", function()
      local usual = "GET /up?traceparent=tr HTTP/1.1\r\nHost: upgrade\r\nUser-Agent: tr\r\nTE: trailers\r\n"
        .. "Upgrade-Insecure-Requests: 1\r\nIf-None-Match: x\r\nX-Upgrade: y\r\n"
      local function is_plain(head)
        server.request.raw = head
        return (select(3, payload.request_head()))
      end
      assert.is_true(is_plain(usual .. "\r\n"))
      assert.is_true(is_plain("GET / HTTP/1.1\n\n"))
      for _, name in ipairs({ "Upgrade", "upgrade", "UPGRADE", "Transfer-Encoding", "tRANSFER-eNCODING", "traceparent",
        "TraceParent", "Inspector-Request-Id", "inspector_request_id", "INSPECTOR-REQUEST-ID" })
      do
        for _, ending in ipairs({ "\r\n", "\n" }) do
          assert.is_false(is_plain(usual .. name .. ": x" .. ending .. "\r\n"), name)
          local first = "GET / HTTP/1.1" .. ending .. name .. ":x" .. ending
          assert.is_false(is_plain(first .. "A: b" .. ending .. ending))
        end
      end
    end)

    it("asks for those headers only where they may be", function()
      local asked = {}
      ngx.var = setmetatable({}, { __index = function(_, name)
        asked[#asked + 1] = name:match("^http_.*$")
        return name == "http_upgrade" and "websocket" or name == "remote_addr" and "127.0.0.1" or nil
      end })
      local body = fake.require("body")
      assert.equal("complete", body.read(fake.conf(), false, true).extent)
      payload.common_lines("id", { scheme = "http" }, nil, true)
      assert.same({}, asked)
      assert.equal("upgrade", body.read(fake.conf(), false, false).reason)
      assert.same({ "http_transfer_encoding", "http_upgrade" }, asked)
    end)

    it("names client and peer, bracketed where need be", function()
      ngx.var.remote_addr, ngx.var.remote_port = "2001:db8::1", "443"
      ngx.var.realip_remote_addr, ngx.var.realip_remote_port = "10.0.0.9", "0"
      local common = payload.common_lines("id", { route = "r x", service = "s" })
      local lines = payload.request_lines(common, true, { extent = "complete" })
      assert.matches("Inspector-Client: [2001:db8::1]:443\r\n", lines, 1, true)
      assert.matches("Inspector-Peer: 10.0.0.9\r\n", lines, 1, true)
      assert.matches("Inspector-Route: r%20x\r\n", lines, 1, true)
      assert.matches("Inspector-Head: rebuilt\r\n", lines, 1, true)
      ngx.var.remote_addr = "unix:"
      assert.matches("Inspector-Client: 127.0.0.1\r\n", payload.common_lines("id", {}), 1, true)
    end)

    it("states the extent", function()
      assert.equal("", payload.body_line({ extent = "complete" }))
      assert.equal("Inspector-Body: prefix; sent=4; total=9\r\n",
        payload.body_line({ extent = "prefix", size = 4, total = 9 }))
      assert.equal("Inspector-Body: unread; reason=stream\r\n",
        payload.body_line({ extent = "unread", reason = "stream" }))
    end)

    it("keeps no more of a response than allowed", function()
      local outcome = { id = "i", about = {}, context = "c" }
      outcome.copy = payload.new_copy(5)
      for _ = 1, 4 do payload.collect(outcome, "abc") end
      local lines, text = payload.response_copy(outcome, "bob")
      assert.matches("Inspector-Body: prefix; sent=5; total=12\r\n", lines, 1, true)
      assert.matches("Inspector-Consumer: bob\r\n", lines, 1, true)
      assert.matches("\r\n\r\nabcab$", text)
    end)

    it("gives a copy of a response nothing of the one before", function()
      for _, case in ipairs({ { { "first" }, "first" }, { {}, "" }, { { "a", "b", "c" }, "abc" }, { { "" }, "" } }) do
        local outcome = { id = "i", about = {}, copy = payload.new_copy(100) }
        for _, chunk in ipairs(case[1]) do payload.collect(outcome, chunk) end
        local _, text = payload.response_copy(outcome)
        assert.equal(case[2], text:match("\r\n\r\n(.*)$"))
      end
      local _, without = payload.response_copy({ id = "i", about = {} })
      assert.equal("", without:match("\r\n\r\n(.*)$"))
    end)
  end)

  describe("client", function()
    local set

    local function call(content)
      return fake.require("client").call(set, {
        fixed = set.requests, lines = "Inspector-Request-Id: i\r\n", head = "HEAD\r\n\r\n", content = content,
        deadline = ngx.now() + 1, timeout_ms = 1000,
      })
    end

    before_each(function() set = fake.require("settings").compile(fake.conf()) end)

    it("sends one framed call and keeps the connection", function()
      server.scripts = { { PASS } }
      local answer = call({ data = "body", size = 4 })
      assert.same({ 204, "pass", "c1" }, { answer.status, answer.verdict, answer.context })
      assert.matches("Content%-Length: 12\r\n\r\nHEAD\r\n\r\nbody$", server.sockets[1].sent[1])
      assert.is_true(server.sockets[1].kept)
    end)

    it("reads answers in any pieces", function()
      local pieces = {}
      for c in PASS:gmatch(".") do pieces[#pieces + 1] = c end
      server.scripts = { pieces }
      assert.equal("pass", call().verdict)
    end)

    it("obeys Connection: close and never keeps a connection with bytes left over", function()
      for _, answer in ipairs({
        "HTTP/1.1 204 x\r\nInspector-Verdict: pass\r\nConnection: close\r\n\r\n", PASS .. "extra",
        "HTTP/1.0 204 x\r\nInspector-Verdict: pass\r\n\r\n",
        "HTTP/1.1 204 x\r\nInspector-Verdict: pass\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 204 x\r\nInspector-Verdict: pass\r\nContent-Length: x\r\n\r\n",
        "HTTP/1.1 204 x\r\nInspector-Verdict: pass\r\nTransfer-Encoding: chunked\r\n\r\n",
      }) do
        server.scripts, server.sockets = { { answer } }, {}
        assert.equal("pass", call().verdict)
        assert.is_nil(server.sockets[1].kept)
        assert.is_true(server.sockets[1].closed)
      end
    end)

    it("reads each answer by itself, however alike they are", function()
      local function answer(before, context, after)
        server.scripts = { { "HTTP/1.1 204 x\r\n" .. before .. context .. after .. "\r\n" } }
        local got, reason = call()
        return got and { got.verdict, got.context, got.attack, got.wishes } or reason
      end
      local pass, none = "Inspector-Verdict: pass\r\n", ""
      for _ = 1, 2 do
        for _, name in ipairs({ "inspector-context: ", "Inspector-Context: ", "INSPECTOR-CONTEXT:" }) do
          for i = 1, 40 do
            local wanted = { "pass", "c" .. i, i % 2 == 0 and "sqli" or nil, nil }
            assert.same(wanted, answer(pass, name .. "c" .. i .. "\r\n", "Date: " .. i .. "\r\n"
              .. (i % 2 == 0 and "Inspector-Attack: sqli\r\n" or "")))
          end
          assert.same({ "pass", "a\tb" }, answer(pass, name .. " a\tb \r\n", none))
          assert.same({ "pass", "" }, answer(pass, name .. "\r\n", none))
          for _, bad in ipairs({ "a\rb", "a\0b", "a\nb" }) do
            assert.equal("malformed", answer(pass, name .. bad .. "\r\n", none))
          end
          assert.equal("malformed", answer(pass .. name .. "c\r\n", name .. "d\r\n", none))
          assert.equal("malformed", answer(pass, name .. "c\r\n", pass))
          -- A line feed in a context would add a line of its own.
          assert.equal("malformed", answer(none, name .. "c\nInspector-Verdict: pass\r\n", none))
        end
        assert.same({ "pass" }, answer(pass, none, none))
        assert.same({ nil, "c" }, answer(none, "Inspector-Context: c\r\n", none))
      end
    end)

    it("retries once, marked, when a pooled connection was dead", function()
      server.scripts = { { reused = 3, { "closed" } }, { PASS } }
      assert.equal("pass", call().verdict)
      assert.matches("Inspector-Attempt: 2\r\n", server.sockets[2].sent[1], 1, true)
      assert.not_equal(server.connects[1].pool, server.connects[2].pool)
      server.scripts = { { reused = 3, send = "broken pipe" }, { { "closed" } } }
      local answer, reason = call()
      assert.same({ nil, "reset" }, { answer, reason })
    end)

    it("does not retry a fresh connection, a time-out, or after a byte of answer", function()
      for _, script in ipairs({
        { { "closed" } }, { reused = 1, { "timeout" } }, { reused = 1, "HTTP/1.1 2", { "closed" } },
      }) do
        server.scripts = { script }
        assert.is_nil((call()))
      end
    end)

    it("refuses what is no answer", function()
      for _, text in ipairs({
        "garbage\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/2 204\r\n\r\n",
        "HTTP/1.1 204 x\r\nInspector-Verdict: pass\r\ninspector-verdict: block\r\n\r\n",
        "HTTP/1.1 204 x\r\nno colon\r\n\r\n", "HTTP/1.1 204 x\r\nno colon\r\nA: b\r\n\r\n",
        "HTTP/1.1 204 x\r\nA: b\nInspector-Verdict: pass\r\n\r\n", "HTTP/1.1 204 x\r\nA: b\rc\r\n\r\n",
        "HTTP/1.1 204 x\r\nA: b\0\r\n\r\n", "HTTP/1.1 204 x\r\n: b\r\n\r\n",
        "HTTP/1.1 204 x\r\nA b: c\r\n\r\n", "HTTP/1.1 204\nA: b\r\n\r\n",
        "HTTP/1.1 204 x\r\n" .. ("A: b\r\n"):rep(4000) .. "\r\n",
      }) do
        server.scripts = { { text } }
        local answer, reason = call()
        assert.same({ nil, "malformed" }, { answer, reason })
      end
    end)

    it("reads values without the blanks around them", function()
      for _, line in ipairs({ "Inspector-Attack:sqli", "INSPECTOR-attack: sqli", "inspector-attack: \t sqli \t" }) do
        server.scripts = { { "HTTP/1.1 204 x\r\n" .. line .. "\r\nA:\r\n\r\n" } }
        assert.equal("sqli", call().attack)
      end
      server.scripts = { { "HTTP/1.1 204 x\r\nInspector-Attack: \r\nInspector-Context: a b: c\r\n\r\n" } }
      local answer = call()
      assert.same({ "", "a b: c" }, { answer.attack, answer.context })
    end)

    it("reads lines that come again as it did before, however many there are", function()
      for round = 1, 3 do
        for i = 1, 200 do
          local context = i % 2 == 0 and "c" .. i or ("c"):rep(80) .. i
          server.scripts = { { "HTTP/1.1 204 x\r\nInspector-Verdict: pass\r\nInspector-Context: " .. context
            .. "\r\nA: b\r\n\r\n" } }
          local answer = call()
          assert.same({ round, "pass", context }, { round, answer.verdict, answer.context })
        end
      end
      for _ = 1, 2 do
        local line = "Inspector-Verdict: pass\r\n"
        server.scripts = { { "HTTP/1.1 204 x\r\n" .. line .. line .. "\r\n" } }
        assert.equal("malformed", (select(2, call())))
        server.scripts = { { "HTTP/1.1 204 x\r\nno colon\r\n\r\n" } }
        assert.equal("malformed", (select(2, call())))
      end
    end)

    it("reads a chunked body and refuses a broken one", function()
      local head = "HTTP/1.1 200 OK\r\nInspector-Verdict: block\r\nTransfer-Encoding: chunked\r\n\r\n"
      server.scripts = { { head .. "3\r\nabc\r\n", "2;x=y\r\nde\r\n0\r\n", "\r\n" } }
      assert.equal("abcde", call().body)
      server.scripts = { { head .. "zz\r\n" .. ("x"):rep(100) } }
      assert.is_nil(call().body)
    end)

    it("bounds the body of an answer", function()
      server.scripts = { { "HTTP/1.1 200 OK\r\nInspector-Verdict: block\r\nContent-Length: 99999999\r\n\r\n" } }
      local answer = call()
      assert.same({ "block", nil }, { answer.verdict, answer.body })
    end)
  end)

  describe("breaker", function()
    local breaker, set

    before_each(function()
      breaker = fake.require("breaker")
      set = fake.require("settings").compile(fake.conf({ breaker_failures = 3, breaker_open_ms = 1000 }))
    end)

    it("opens after consecutive failures only", function()
      breaker.failure(set)
      breaker.failure(set)
      breaker.success(set)
      breaker.failure(set)
      breaker.failure(set)
      assert.is_true(breaker.allow(set))
      assert.is_true(breaker.failure(set))
      assert.is_false(breaker.allow(set))
      assert.equal("open", breaker.state(set))
    end)

    it("lets one probe through and acts on it", function()
      for _ = 1, 3 do breaker.failure(set) end
      server.clock = server.clock + 1.1
      local allowed, probe = breaker.allow(set)
      assert.same({ true, "probe" }, { allowed, probe })
      assert.is_false((breaker.allow(set)))
      breaker.failure(set, probe)
      assert.is_false((breaker.allow(set)))
      server.clock = server.clock + 1.1
      allowed, probe = breaker.allow(set)
      assert.is_true(allowed)
      assert.is_true(breaker.success(set, probe))
      assert.is_true((breaker.allow(set)))
    end)

    it("learns in a moment what another worker saw, and at once what it saw itself", function()
      assert.is_true(breaker.allow(set))
      ngx.shared.kong:set(set.breaker_key, server.clock + 1)
      server.clock = server.clock + 0.03
      assert.is_false((breaker.allow(set)))
      server.clock = server.clock + 1.1
      local _, probe = breaker.allow(set)
      breaker.success(set, probe)
      assert.is_true(breaker.allow(set))
      for _ = 1, 3 do breaker.failure(set) end
      assert.is_false((breaker.allow(set)))
    end)

    it("forgets another worker's failures after a success", function()
      ngx.shared.kong:incr(set.breaker_key .. ":failures", 2, 0, 60)
      assert.is_true(breaker.allow(set))
      breaker.success(set)
      assert.is_false(breaker.failure(set))
    end)

    it("sends another probe when one vanished", function()
      for _ = 1, 3 do breaker.failure(set) end
      server.clock = server.clock + 1.1
      breaker.allow(set)
      server.clock = server.clock + 3
      assert.is_true((breaker.allow(set)))
    end)

    it("works without a shared dictionary, and can be off", function()
      ngx.shared = {}
      fake.fresh()
      breaker = fake.require("breaker")
      for _ = 1, 3 do breaker.failure(set) end
      assert.is_false((breaker.allow(set)))
      set.conf.breaker_failures = 0
      assert.is_true((breaker.allow(set)))
    end)
  end)

  describe("reply", function()
    local reply

    before_each(function() reply = fake.require("reply") end)

    it("gives the node's default where a verdict has no usable reply", function()
      for _, text in ipairs({ "", "{", "[]", '{"reply":1}', '{"reply":{"status":"x"}}', '{"reply":{"status":99}}' }) do
        local r = reply.of_verdict(text, "id", nil)
        assert.same({ 403, '{"error": {"code": 403, "message": "request blocked"}}' }, { r.status, r.body })
      end
      assert.equal(403, reply.of_verdict(nil, "id", nil).status)
    end)

    it("carries status, headers and binary body, and drops what cannot be sent", function()
      local r = reply.of_verdict('{"reply":{"status":429,"headers":[["Retry-After",5],["a","1"],["A","2"],'
        .. '["Content-Length","9"],["x","a\\r\\nb"],["bad name","1"],7,[1,2]],"body_base64":"AP8="}}', "id", nil)
      assert.same({ ["retry-after"] = "5", a = { "1", "2" }, ["Inspector-Request-Id"] = "id",
        ["cache-control"] = "no-store" }, r.headers)
      assert.same({ 429, "\0\255" }, { r.status, r.body })
    end)

    it("speaks gRPC to gRPC clients", function()
      local r = reply.of_verdict(nil, "id", "application/grpc+proto")
      assert.equal("no-store", r.headers["Cache-Control"])
      assert.same({ 200, "", "7", "application/grpc" },
        { r.status, r.body, r.headers["grpc-status"], r.headers["Content-Type"] })
      assert.equal("14", reply.own(503, "service unavailable", "id", "application/grpc").headers["grpc-status"])
      assert.equal("8", reply.own(413, "x", "id", "application/grpc").headers["grpc-status"])
    end)
  end)

  describe("notice", function()
    it("writes the first of a kind at once and counts the rest", function()
      local notice, lines = fake.require("notice"), {}
      local function write(text) lines[#lines + 1] = text end
      for _ = 1, 5 do notice.emit(write, "a", "x") end
      notice.emit(write, "b", "y")
      server.clock = server.clock + 1
      notice.emit(write, "a", "x")
      assert.same({ "[weir] x", "[weir] y", "[weir] x (4 more since the last line)" }, lines)
    end)

    it("stays bounded", function()
      local notice = fake.require("notice")
      for i = 1, 5000 do notice.emit(function() end, "kind" .. i, "x") end
    end)
  end)

  describe("compiled settings", function()
    it("are kept while in use, and dropped some time after their configuration", function()
      local settings, kept = fake.require("settings"), fake.conf()
      local seen = setmetatable({}, { __mode = "k" })
      local set = settings.of(kept)
      do
        local gone = fake.conf()
        seen[gone] = true
        settings.of(gone)
      end
      for _ = 1, 3 do
        for _ = 1, 1000 do settings.of(fake.conf()) end
        assert.equal(set, settings.of(kept))
      end
      collectgarbage()
      collectgarbage()
      assert.is_nil(next(seen))
    end)
  end)

  describe("coverage", function()
    it("bounds the routes it tells apart", function()
      local coverage = fake.require("coverage")
      local set = fake.require("settings").compile(fake.conf())
      for i = 1, 2000 do coverage.count(set.node, "r" .. i, "full", "complete", 1, 0) end
      local report = coverage.snapshot(set, { id = "i", worker = 0, connector = "c/1.0.0" })
      assert.is_true(#report.coverage <= 501)
      local total = 0
      for _, entry in ipairs(report.coverage) do total = total + entry.requests end
      assert.equal(2000, total)
    end)

    it("keeps what it stores at the gateway small, and throws out nothing of others", function()
      local cjson = require "cjson.safe"
      local coverage, set = fake.require("coverage"), fake.require("settings").compile(fake.conf())
      local dict = fake.require("breaker").dict()
      local stored
      dict.safe_set = function(_, _, text)
        stored = text
        return true
      end
      local function publish()
        local report = coverage.snapshot(set, { id = "i", worker = 0, connector = "c/1.0.0" })
        assert.is_true(coverage.publish(set, report, cjson.encode(report), cjson.encode))
        return cjson.decode(stored)
      end
      coverage.count(set.node, "one", "none", "shed", 1, 2)
      assert.equal("one", publish().coverage[1].route)
      ngx.worker.count = function() return 64 end
      for i = 1, 400 do coverage.count(set.node, "route " .. i, "none", "shed", 1, 2) end
      assert.same({ { route = "(all)", inspected = "none", reason = "shed", requests = 401, bytes_inspected = 401,
        bytes_uninspected = 802, passed = 0 } }, publish().coverage)
      assert.is_true(#stored < 4096)
    end)

    it("tells what went on uninspected from what was refused, and when", function()
      local coverage, set = fake.require("coverage"), fake.require("settings").compile(fake.conf())
      local function report() return coverage.snapshot(set, { id = "i", worker = 0, connector = "c/1.0.0" }) end
      coverage.count(set.node, "shop", "full", "complete", 1, 0)
      coverage.count(set.node, "shop", "none", "connect", 0, 0, false)
      coverage.dropped(set.node, "response", "upgrade", true)
      assert.is_false(coverage.is_urgent(set.node))
      coverage.count(set.node, "shop", "none", "connect", 0, 0, true)
      assert.is_true(coverage.is_urgent(set.node))
      local found = report()
      for _, entry in ipairs(found.coverage) do
        local none = entry.inspected == "none"
        assert.equal(none and 1 or nil, entry.passed)
        assert.equal(none and math.floor(ngx.now() * 1000) or nil, entry.last)
      end
      assert.same({ 1, 0 }, { found.dropped[1].count, found.dropped[1].passed })
      coverage.reported(set.node)
      coverage.count(set.node, "shop", "none", "connect", 0, 0, true)
      assert.is_false(coverage.is_urgent(set.node))
      coverage.count(set.node, "pay", "partial", "error", 0, 3, true)
      assert.is_true(coverage.is_urgent(set.node))
    end)
  end)

  describe("inspect", function()
    local function ask(changes, script, about)
      local inspect = fake.require("inspect")
      server.scripts = type(script) == "table" and { script } or {}
      return inspect.request(fake.conf(changes), function(text) server.logged[#server.logged + 1] = text end,
        about or { route = "r" }, function() return true end)
    end

    it("passes", function()
      local outcome = ask({}, { PASS })
      assert.same({ "pass", "full", "c1" }, { outcome.verdict, outcome.inspected, outcome.context })
      assert.is_nil(outcome.reply)
    end)

    it("bypasses for each failure, loudly, and refuses under fail_closed", function()
      for _, script in ipairs({
        { connect = "connection refused" }, { connect = "timeout" }, { { "timeout" } }, { "junk\r\n\r\n" },
        { "HTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n" }, { "HTTP/1.1 401 x\r\nContent-Length: 0\r\n\r\n" },
        { "HTTP/1.1 200 x\r\nContent-Length: 0\r\n\r\n" }, { "HTTP/1.1 202 x\r\nInspector-Verdict: accepted\r\n\r\n" },
      }) do
        fake.fresh()
        server.logged = {}
        assert.is_nil(ask({ breaker_failures = 0 }, script).reply)
        assert.matches("forwarded uninspected, reason=", server.logged[1])
        local outcome = ask({ breaker_failures = 0, failure_mode = "fail_closed", failure_status = 502 }, script)
        assert.equal(502, outcome.reply.status)
      end
    end)

    it("turns a fault of its own into the failure policy", function()
      ngx.req.http_version = function() error("boom") end
      assert.equal("lua_error", ask({}).reason)
      assert.equal(503, ask({ failure_mode = "fail_closed" }).reply.status)
      assert.equal("lua_error", ask({ wallarm_node_address = "nonsense" }).reason)
    end)

    it("follows over_limit on the node's 413", function()
      local too_large = "HTTP/1.1 413 x\r\nContent-Length: 0\r\n\r\n"
      server.request.version, server.request.body = 2, "abc"
      local inspect = fake.require("inspect")
      server.scripts = { { too_large }, { PASS } }
      local outcome = inspect.request(fake.conf(), print, {}, nil)
      assert.same({ "pass", "partial", "too_large" }, { outcome.verdict, outcome.inspected, outcome.part })
      server.scripts = { { too_large } }
      assert.equal(413, inspect.request(fake.conf({ over_limit = "block" }), print, {}, nil).reply.status)
    end)

    it("summarises for the upstream", function()
      local inspect = fake.require("inspect")
      assert.equal("uninspected; reason=timeout", inspect.summary({ verdict = "bypass", reason = "timeout" }))
      assert.equal("pass; attack=sqli; partial=prefix",
        inspect.summary({ verdict = "pass", attack = "sqli", inspected = "partial", part = "prefix" }))
    end)
  end)
end)
