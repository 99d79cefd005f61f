-- Slow inspections, busy nodes and failed nodes are distinguished.
local fake = require "support.fake_ngx"

local PASS = "HTTP/1.1 204 No Content\r\nInspector-Verdict: pass\r\nInspector-Context: c1\r\n\r\n"
local BUSY = "HTTP/1.1 503 x\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"
local MIB = 1024 * 1024

local function status(code)
  return "HTTP/1.1 " .. code .. " x\r\nContent-Length: 0\r\n\r\n"
end

describe("deadline, busy nodes and the breaker", function()
  local server, conf, logged

  before_each(function()
    fake.fresh()
    server = fake.install()
    logged = {}
    conf = fake.conf({ breaker_failures = 1 })
  end)

  -- A step of a script that takes time.
  local function after(seconds, result)
    return function()
      server.clock = server.clock + seconds
      return result
    end
  end

  local function log(text) logged[#logged + 1] = text end

  local function ask(...)
    server.scripts, server.sockets, server.connects = { ... }, {}, {}
    return fake.require("inspect").request(conf, log, { route = "r" }, function() return true end)
  end

  local function set_of() return fake.require("settings").of(conf) end

  local function breaker_state() return fake.require("breaker").state(set_of()) end

  local function sent(number) return table.concat(server.sockets[number].sent) end

  local function deadline_of(number) return tonumber(sent(number):match("\r\nInspector%-Deadline: (%d+)\r\n")) end

  -- The name of the node has these addresses.
  local function node_at(...)
    local list = { ... }
    -- A new table: settings are compiled once for each.
    conf = fake.conf(conf)
    conf.wallarm_node_address = "http://node.test:5000"
    ngx.thread = {
      spawn = function(work) return coroutine.create(work) end,
      wait = function(thread) return coroutine.resume(thread) end,
      kill = function() end,
    }
    local addresses = fake.require("addresses")
    addresses.use(function() return list end)
    addresses.pick(set_of())
    table.remove(server.timers)(false)
  end

  local function counted()
    local report = fake.require("coverage").snapshot(set_of(), { id = "i", worker = 0, connector = "c/1.0.0" })
    local counters = {}
    for _, entry in ipairs(report.coverage) do
      counters[entry.inspected .. " " .. entry.reason] = entry.requests
    end
    return counters
  end

  describe("deadline", function()
    it("is what remains of the time when the call is sent", function()
      ask({ PASS })
      assert.equal(1000, deadline_of(1))
      ask({ connect = after(0.3), PASS })
      assert.equal(700, deadline_of(1))
    end)

    it("is less on a retry", function()
      ask({ reused = 1, after(0.2, { "closed" }) }, { connect = after(0.1), PASS })
      assert.same({ 1000, 700 }, { deadline_of(1), deadline_of(2) })
      assert.matches("\r\nInspector-Attempt: 2\r\n", sent(2), 1, true)
      assert.is_nil(sent(1):find("Inspector-Attempt", 1, true))
    end)

    it("is at least 1", function()
      ask({ connect = after(0.9985), PASS })
      assert.equal(1, deadline_of(1))
    end)

    it("is not later than the connector waits for a response", function()
      conf = fake.conf({ timeout_ms = 5000, read_timeout_ms = 200 })
      ask({ PASS })
      assert.equal(200, deadline_of(1))
    end)

    it("is on the call with the head alone, after the node refused a body", function()
      server.request.version, server.request.body = 2, "abc"
      local outcome = ask({ after(0.25, status(413)) }, { PASS })
      assert.same({ "pass", "partial", "too_large" }, { outcome.verdict, outcome.inspected, outcome.part })
      assert.same({ 1000, 750 }, { deadline_of(1), deadline_of(2) })
    end)

    it("never repeats the header of a second attempt", function()
      server.request.version, server.request.body = 2, "abc"
      ask({ status(413) }, { reused = 1, { "closed" } }, { PASS })
      local _, count = sent(3):gsub("Inspector%-Attempt: 2\r\n", "")
      assert.equal(1, count)
    end)

    it("is on no call for which no client waits", function()
      local delivery = fake.require("delivery")
      for _, leg in ipairs({ "requests", "responses" }) do
        server.scripts, server.sockets = { { PASS } }, {}
        delivery.send(set_of(), log, { delivery.entry(set_of(), leg, "i", "Inspector-Request-Id: i\r\n", "x") })
        assert.is_nil(deadline_of(1))
      end
    end)

    it("is on the call about a response that the client waits for", function()
      _G.kong = {
        ctx = { shared = { kong_lua = ask({ PASS }) } },
        client = { get_consumer = function() end },
        service = { response = { get_raw_body = function() return "body" end } },
        response = { get_status = function() return 200 end },
      }
      server.scripts, server.sockets = { { PASS } }, {}
      package.loaded["kong.plugins.kong-lua-response.handler"] = nil
      require("kong.plugins.kong-lua-response.handler"):response({ response_max_body_bytes = 10, timeout_ms = 250 })
      assert.equal(250, deadline_of(1))
    end)
  end)

  describe("body", function()
    before_each(function() server.request.version = 2 end)

    it("is sent up to 8 MiB by default", function()
      server.request.body = ("a"):rep(8 * MIB)
      local outcome = ask({ PASS })
      assert.same({ "full", "complete" }, { outcome.inspected, outcome.part })
      assert.matches("\r\n\r\n" .. server.request.body, sent(1), 1, true)
      server.request.body = ("a"):rep(8 * MIB) .. "b"
      outcome = ask({ PASS })
      assert.same({ "partial", "prefix" }, { outcome.inspected, outcome.part })
      assert.matches("Inspector-Body: prefix; sent=8388608; total=8388609\r\n", sent(1), 1, true)
      assert.equal("a", sent(1):sub(-1))
    end)

    it("of any size arrives whole", function()
      for _, size in ipairs({ 1, MIB / 4 - 1, MIB / 4, MIB / 4 + 1, MIB / 2, MIB / 2 + 1 }) do
        local text = ("0123456789"):rep(size / 10 + 1):sub(1, size)
        server.request.body = text
        ask({ PASS })
        assert.equal(text, sent(1):sub(-size))
      end
    end)

    it("that is large ends at the deadline, not after it", function()
      server.request.body = ("a"):rep(8 * MIB)
      local outcome = ask({ send = after(0.3) })
      assert.equal("timeout", outcome.reason)
      assert.equal(4, #server.sockets[1].sent)
      assert.equal("closed", breaker_state())
    end)
  end)

  describe("busy node", function()
    it("is asked at another address, once", function()
      node_at("10.0.0.1", "10.0.0.2")
      local outcome = ask({ after(0.1, BUSY) }, { PASS })
      assert.same({ "pass", "full" }, { outcome.verdict, outcome.inspected })
      local hosts = { server.connects[1].host, server.connects[2].host }
      table.sort(hosts)
      assert.same({ "10.0.0.1", "10.0.0.2" }, hosts)
      assert.not_equal(server.connects[1].pool, server.connects[2].pool)
      assert.same({ 1000, 900 }, { deadline_of(1), deadline_of(2) })
      assert.matches("\r\nInspector-Attempt: 2\r\n", sent(2), 1, true)
      assert.same({ ["full complete"] = 1 }, counted())
    end)

    it("leads to the failure mode if the other address is busy too", function()
      node_at("10.0.0.1", "10.0.0.2", "10.0.0.3")
      local outcome = ask({ BUSY }, { BUSY })
      assert.same({ "bypass", "shed" }, { outcome.verdict, outcome.reason })
      assert.equal(2, #server.sockets)
      assert.same({ ["none shed"] = 1 }, counted())
      conf.failure_mode = "fail_closed"
      assert.equal(503, ask({ BUSY }, { BUSY }).reply.status)
      assert.equal("closed", breaker_state())
    end)

    it("is not asked again without another address", function()
      assert.equal("shed", ask({ BUSY }).reason)
      node_at("10.0.0.1", "10.0.0.1")
      assert.equal("shed", ask({ BUSY }).reason)
      assert.equal("node.test", server.connects[1].host)
      assert.equal("closed", breaker_state())
    end)

    it("is not asked again if too little time is left", function()
      for _, case in ipairs({
        { 1000, 0.75, true }, { 1000, 0.76, false }, { 100, 0.05, true }, { 100, 0.06, false },
      }) do
        local timeout_ms, took, retried = case[1], case[2], case[3]
        conf = fake.conf({ timeout_ms = timeout_ms })
        node_at("10.0.0.1", "10.0.0.2")
        assert.equal(retried and "pass" or "bypass", ask({ after(took, BUSY) }, { PASS }).verdict)
      end
    end)

    it("keeps its reason if the other address gives no response", function()
      node_at("10.0.0.1", "10.0.0.2")
      for _, script in ipairs({ { connect = "connection refused" }, { { "closed" } }, { { "timeout" } } }) do
        assert.equal("shed", ask({ BUSY }, script).reason)
        assert.equal("closed", breaker_state())
      end
    end)

    it("never opens the breaker, and closes it as a probe", function()
      for _, answer in ipairs({ BUSY, status(503) }) do
        for _ = 1, 20 do assert.equal("shed", ask({ answer }).reason) end
        assert.equal("closed", breaker_state())
      end
      ask({ status(500) })
      assert.equal("open", breaker_state())
      server.clock = server.clock + 6
      ask({ BUSY })
      assert.equal("closed", breaker_state())
    end)
  end)

  describe("addresses", function()
    it("are used in turn, and looked up again by a timer", function()
      node_at("10.0.0.1", "10.0.0.2")
      local addresses = fake.require("addresses")
      assert.not_equal(addresses.pick(set_of()), addresses.pick(set_of()))
      assert.same({}, server.timers)
      server.clock = server.clock + 5
      addresses.pick(set_of())
      addresses.pick(set_of())
      assert.equal(1, #server.timers)
    end)

    it("are no longer used when the lookup has failed for a while", function()
      node_at("10.0.0.1", "10.0.0.2")
      local addresses = fake.require("addresses")
      server.clock = server.clock + 29
      local one = addresses.pick(set_of())
      assert.is_string(one)
      server.clock = server.clock + 2
      assert.is_nil(addresses.pick(set_of()))
      assert.is_nil(addresses.other(set_of(), one))
    end)

    it("of version 6 get brackets", function()
      node_at("::1", "[::2]")
      local addresses = fake.require("addresses")
      local found = { addresses.pick(set_of()), addresses.pick(set_of()) }
      table.sort(found)
      assert.same({ "[::1]", "[::2]" }, found)
    end)

    it("survive a resolver that throws or finds nothing", function()
      local addresses = fake.require("addresses")
      conf.wallarm_node_address = "http://node.test:5000"
      for _, resolver in ipairs({ function() error("boom") end, function() return nil, "no" end,
        function() return {} end }) do
        addresses.use(resolver)
        addresses.pick(set_of())
        table.remove(server.timers)(false)
        assert.is_nil(addresses.pick(set_of()))
      end
    end)

    it("come from Kong's own lookup", function()
      local names = {}
      _G.kong = { log = {}, dns = { resolve = function(host)
        names[#names + 1] = host
        return { { address = "10.0.0.1" }, { address = "10.0.0.2" }, { target = "srv.test" } }
      end } }
      package.loaded["kong.plugins.kong-lua.handler"] = nil
      require("kong.plugins.kong-lua.handler"):init_worker()
      conf.wallarm_node_address = "http://node.test:5000"
      local addresses = fake.require("addresses")
      addresses.pick(set_of())
      table.remove(server.timers)(false)
      assert.same({ "node.test" }, names)
      assert.is_string(addresses.pick(set_of()))
    end)
  end)

  describe("breaker", function()
    -- One failure opens the breaker in these tests.
    local function opens(reason, ...)
      local outcome = ask(...)
      assert.equal(reason, outcome.reason)
      assert.equal("open", breaker_state())
    end

    local function leaves_closed(reason, ...)
      local outcome = ask(...)
      assert.equal(reason, outcome.reason)
      assert.equal("closed", breaker_state())
    end

    it("counts a refused connection", function() opens("connect", { connect = "connection refused" }) end)

    it("counts a connection that is not accepted in time", function()
      opens("timeout", { connect = after(0.5, "timeout") })
    end)

    it("counts a reset", function() opens("reset", { { "connection reset by peer" } }) end)

    it("counts a failed TLS handshake", function()
      conf.wallarm_node_address = "https://127.0.0.1:5000"
      opens("tls", { handshake = "certificate verify failed" })
    end)

    it("counts a TLS handshake that is not answered", function()
      conf.wallarm_node_address = "https://127.0.0.1:5000"
      opens("timeout", { handshake = after(0.5, "timeout") })
    end)

    for _, code in ipairs({ 500, 502, 504 }) do
      it("counts the status " .. code, function() opens("status_5xx", { status(code) }) end)
    end

    it("counts what is no response", function() opens("malformed", { "junk\r\n\r\n" }) end)

    it("counts a call that was not answered by the deadline", function()
      opens("timeout", { after(1, { "timeout" }) })
    end)

    it("counts a response that began and did not end by the deadline", function()
      opens("timeout", { "HTTP/1.1 204 No", after(1, { "timeout" }) })
    end)

    it("counts a node that stopped reading", function()
      server.request.version, server.request.body = 2, ("a"):rep(MIB)
      opens("timeout", { send = after(1, "timeout") })
    end)

    it("counts an out-of-band copy of a request that was not answered", function()
      local delivery = fake.require("delivery")
      server.scripts = { { after(1, { "timeout" }) } }
      delivery.send(set_of(), log, { delivery.entry(set_of(), "requests", "i", "", "x") })
      assert.equal("open", breaker_state())
    end)

    it("does not count a copy of a response that takes long to inspect", function()
      local delivery = fake.require("delivery")
      server.scripts = { { after(1, { "timeout" }) } }
      delivery.send(set_of(), log, { delivery.entry(set_of(), "responses", "i", "", "x") })
      assert.equal("closed", breaker_state())
    end)

    it("does not count a call that the node got too late to answer", function()
      leaves_closed("timeout", { connect = after(0.8), after(0.2, { "timeout" }) })
      leaves_closed("timeout", { connect = after(1) })
      server.request.version, server.request.body = 2, ("a"):rep(MIB)
      leaves_closed("timeout", { send = after(0.19), after(0.05, { "timeout" }) })
      leaves_closed("timeout", { send = after(0.3) })
    end)

    for code, reason in pairs({ [400] = "bad_call", [408] = "bad_call", [404] = "bad_call", [431] = "bad_call",
      [401] = "refused", [403] = "refused", [413] = "too_large" }) do
      it("does not count the status " .. code, function() leaves_closed(reason, { status(code) }) end)
    end

    it("does not count a body that the node refuses even as a head alone", function()
      server.request.version, server.request.body = 2, "abc"
      leaves_closed("too_large", { status(413) }, { status(413) })
    end)

    it("does not count a body over the limit, which is not sent", function()
      conf.over_limit, conf.max_body_bytes = "block", 1
      server.request.version, server.request.body = 2, "abc"
      leaves_closed("too_large")
      assert.same({}, server.sockets)
    end)

    it("does not count a body file that the server has cut short", function()
      local path = os.tmpname()
      local file = assert(io.open(path, "wb"))
      file:write(("a"):rep(100000))
      file:close()
      server.request.version, server.request.file = 2, path
      local sleep = ngx.sleep
      ngx.sleep = function()
        ngx.sleep = sleep
        assert(io.open(path, "wb")):close()
      end
      leaves_closed("error", {})
      os.remove(path)
    end)

    it("does not count a client that went away during the call", function()
      local thread = coroutine.create(function()
        ask({ function() return coroutine.yield() end })
      end)
      assert(coroutine.resume(thread))
      assert.equal(1, #server.sockets)
      -- The server ends the thread of such a request; it is never resumed.
      assert.equal("closed", breaker_state())
      assert.is_nil(ngx.shared.kong:get(set_of().breaker_key .. ":failures"))
    end)

    it("does not count a body that the client did not send to its end", function()
      server.request.version, server.request.refuse = 2, "client aborted"
      local outcome = ask({ PASS })
      assert.same({ "pass", "partial", "error" }, { outcome.verdict, outcome.inspected, outcome.part })
      assert.equal("closed", breaker_state())
    end)

    it("stays open after a probe that shows nothing, and probes with the next request", function()
      ask({ status(500) })
      server.clock = server.clock + 6
      ask({ connect = after(0.8), after(0.2, { "timeout" }) })
      assert.equal("half_open", breaker_state())
      assert.equal("pass", ask({ PASS }).verdict)
      assert.equal("closed", breaker_state())
    end)
  end)
end)
