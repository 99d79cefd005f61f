local fake = require "support.fake_ngx"
local fake_kong = require "support.fake_kong"

local CONTEXT = "Inspector-Context: c1\r\n"
local PASS = "HTTP/1.1 204 No Content\r\nInspector-Verdict: pass\r\n" .. CONTEXT .. "\r\n"
local VERDICT = '{"verdict":"block","reply":{"status":403,"headers":[["content-type","application/json"]],'
  .. '"body":"no"}}'
local BLOCK = "HTTP/1.1 200 OK\r\nInspector-Verdict: block\r\n" .. CONTEXT .. "Content-Length: "
  .. #VERDICT .. "\r\n\r\n" .. VERDICT

local ACCEPTED = "HTTP/1.1 202 x\r\nInspector-Verdict: accepted\r\n" .. CONTEXT .. "Content-Length: 0\r\n\r\n"

describe("plugins in Kong", function()
  local server, state, handler

  before_each(function()
    fake.fresh()
    package.loaded["kong.plugins.kong-lua-response.handler"] = nil
    server = fake.install()
    state = fake_kong.install()
    handler = fake.require("handler")
  end)

  it("declare what Kong demands of a handler", function()
    local response = require "kong.plugins.kong-lua-response.handler"
    for _, one in ipairs({ handler, response }) do
      assert.matches("^%d+%.%d+%.%d+$", one.VERSION)
      assert.equal(0, one.PRIORITY % 1)
    end
    assert.equal(fake.require("settings").VERSION, handler.VERSION)
    -- Below cors (2000), session (1900) and acme (1705); above every authentication
    -- plugin, the highest of which is Enterprise's oauth2-introspection (1700).
    assert.is_true(handler.PRIORITY < 1705 and handler.PRIORITY > 1700)
    assert.is_true(response.PRIORITY < handler.PRIORITY and response.PRIORITY > 1700)
    assert.is_nil(handler.response)
    assert.is_nil(response.header_filter)
    assert.is_nil(response.body_filter)
  end)

  it("let a pass through, with the verdict for Kong's log and none for the upstream", function()
    server.scripts = { { PASS } }
    state.route, state.service = { name = "shop" }, { name = "web" }
    assert.is_nil(state.run("access", handler, fake.conf()))
    assert.equal("pass", state.serialized.weir.verdict)
    assert.equal(22, #state.serialized.weir.request_id)
    assert.same({}, state.upstream)
    local sent = server.sockets[1].sent[1]
    for _, line in ipairs({ "Inspector-Route: shop", "Inspector-Service: web", "Inspector-Scheme: https",
      "Inspector-Connector: kong-lua/1.0.0" }) do
      assert.matches(line .. "\r\n", sent, 1, true)
    end
  end)

  it("give the verdict's reply", function()
    server.scripts = { { BLOCK } }
    local exit = state.run("access", handler, fake.conf())
    assert.same({ 403, "no" }, { exit.status, exit.body })
    assert.equal(state.serialized.weir.request_id, exit.headers["Inspector-Request-Id"])
  end)

  it("replace the client's own verdict header in both spellings", function()
    state.upstream["x_waf"], state.upstream["x-waf"] = "forged", "forged"
    server.scripts = { { PASS } }
    state.run("access", handler, fake.conf({ upstream_verdict_header = "X-WAF" }))
    assert.same({ ["x-waf"] = "pass" }, state.upstream)
  end)

  it("take streams from Kong's configuration alone", function()
    ngx.var.content_length, server.request.body = "3", "abc"
    for _, case in ipairs({
      { { request_buffering = false }, nil, true }, { { protocols = { "grpc", "grpcs" } }, nil, true },
      { {}, { protocol = "grpcs" }, true }, { { protocols = { "http" } }, { protocol = "http" }, false },
    }) do
      state.route, state.service = case[1], case[2]
      server.scripts, server.sockets = { { PASS } }, {}
      ngx.var.content_type = "application/grpc"
      state.run("access", handler, fake.conf())
      assert.equal(case[3], server.sockets[1].sent[1]:find("reason=stream", 1, true) ~= nil)
    end
  end)

  it("survive faults around the inspection", function()
    kong.router.get_route = function() error("phase") end
    assert.is_nil(state.run("access", handler, fake.conf()))
    assert.equal(503, state.run("access", handler, fake.conf({ failure_mode = "fail_closed" })).status)
    -- A verdict that was had holds.
    fake.fresh()
    state = fake_kong.install()
    handler = fake.require("handler")
    kong.log.set_serialize_value = function() error("full") end
    server.scripts = { { BLOCK } }
    assert.equal(403, state.run("access", handler, fake.conf()).status)
  end)

  it("stay quiet in later phases of requests that never had access", function()
    local conf = fake.conf()
    state.run("body_filter", handler, conf)
    state.run("log", handler, conf)
    assert.is_nil(server.timers)
  end)

  it("send the response leg after the fact, with context and consumer", function()
    server.scripts = { { PASS } }
    local conf = fake.conf({ response_max_body_bytes = 4 })
    state.run("access", handler, conf)
    ngx.arg[1] = "hello"
    state.run("body_filter", handler, conf)
    ngx.arg[1] = ""
    state.run("body_filter", handler, conf)
    state.consumer, server.headers = { username = "ann" }, { ["Set-Cookie"] = { "a", "b" } }
    state.run("log", handler, conf)
    server.scripts, server.sockets = { { PASS } }, {}
    server.timers[1]()
    local sent = server.sockets[1].sent[1]
    for _, line in ipairs({ "POST /v1/responses HTTP/1.1", "Inspector-Context: c1", "Inspector-Consumer: ann",
      "Inspector-Blocking: false",
      "Inspector-Body: prefix; sent=4; total=5", "Set-Cookie: a\r\nSet-Cookie: b" }) do
      assert.matches(line .. "\r\n", sent, 1, true)
    end
    assert.matches("\r\n\r\nhell$", sent)
  end)

  it("owe no response leg for blocks, bypasses or when switched off", function()
    for _, case in ipairs({ { BLOCK }, { "junk\r\n\r\n" }, { PASS, { inspect_response = false } } }) do
      fake.fresh()
      state = fake_kong.install()
      handler = fake.require("handler")
      server.scripts = { { case[1] } }
      local conf = fake.conf(case[2])
      state.run("access", handler, conf)
      state.run("log", handler, conf)
      assert.is_nil(server.timers)
    end
  end)

  it("copy out of band through the queue and never block", function()
    local conf = fake.conf({ blocking = false, failure_mode = "fail_closed" })
    assert.is_nil(state.run("access", handler, conf))
    server.scripts = { { ACCEPTED } }
    server.timers[1]()
    assert.matches("Inspector-Blocking: false\r\n", server.sockets[1].sent[1], 1, true)
    assert.equal("accepted", state.serialized.weir.verdict)
  end)

  it("report coverage from configure and the timer, and show it", function()
    state.phase = "init_worker"
    handler:init_worker()
    handler:configure({ fake.conf(), fake.conf() })
    server.scripts = { { PASS } }
    state.run("access", handler, fake.conf())
    server.scripts, server.sockets = { { "HTTP/1.1 204 No Content\r\n\r\n" } }, {}
    server.every(false)
    local sent = server.sockets[1].sent[1]
    assert.matches("^POST /v1/coverage HTTP/1.1\r\n", sent)
    assert.matches('"inspected":"full"', sent, 1, true)
    handler:configure(nil)
    server.every(false)
    assert.equal("function", type(require("kong.plugins.kong-lua.api")["/kong-lua/coverage"].GET))
    assert.equal("function", type(require("kong.plugins.kong-lua.status_api")["/kong-lua/coverage"].GET))
  end)

  it("report on when the configuration changes while a report is sent", function()
    state.phase = "init_worker"
    handler:init_worker()
    local two = { fake.conf(), fake.conf({ wallarm_node_address = "http://127.0.0.2:5000" }) }
    local client, calls = fake.require("client"), 0
    client.call = function()
      calls = calls + 1
      handler:configure({ two[1] })
      return { status = 204 }
    end
    handler:configure(two)
    server.every(false)
    assert.equal(2, calls)
    assert.same({}, server.logged)
  end)

  it("have one timer for each worker, however often they are loaded", function()
    local timers = 0
    local function every()
      timers = timers + 1
      return true
    end
    local reporter = fake.require("reporter")
    assert.is_true(reporter.start(every, error, "a"))
    assert.is_true(reporter.start(every, error, "a"))
    assert.equal(1, timers)
  end)

  it("report a bypass at the next second, through an address that answers", function()
    state.phase = "init_worker"
    handler:init_worker()
    local conf = fake.conf({ wallarm_node_address = "http://node.test:5000", breaker_failures = 0 })
    ngx.thread = {
      spawn = function(work) return coroutine.create(work) end,
      wait = function(thread) return coroutine.resume(thread) end,
      kill = function() end,
    }
    local addresses, set = fake.require("addresses"), fake.require("settings").of(conf)
    addresses.use(function() return { "10.0.0.1", "10.0.0.2" } end)
    addresses.pick(set)
    table.remove(server.timers)(false)
    handler:configure({ conf })
    local function taken() return { "HTTP/1.1 204 No Content\r\n\r\n" } end
    local function tick(...)
      server.scripts, server.sockets, server.connects = { ... }, {}, {}
      server.every(false)
      return #server.sockets
    end
    assert.equal(1, tick(taken()))
    assert.equal(0, tick(taken()), "the interval is not over")
    local refused = { connect = "connection refused" }
    server.scripts = { refused }
    assert.is_nil(state.run("access", handler, conf))
    assert.equal(2, tick(refused, refused), "both addresses are asked")
    assert.equal(0, tick(taken()), "not at once again")
    server.clock = server.clock + 2
    assert.equal(2, tick(refused, taken()))
    local sent = server.sockets[2].sent[1]
    assert.matches('"passed":1', sent, 1, true)
    assert.equal(0, tick(taken()), "it has been taken")
  end)

  it("keep a client's own request id from the upstream", function()
    for name, seen in pairs({ ["inspector-request-id"] = "forged", ["inspector_request_id"] = "forged" }) do
      state.upstream[name] = seen
    end
    server.request.raw = "GET / HTTP/1.1\r\nHost: h\r\ninSPECTOR-Request-Id: forged\r\n\r\n"
    ngx.var.http_inspector_request_id = "forged"
    server.scripts = { { PASS } }
    state.run("access", handler, fake.conf())
    assert.same({}, state.upstream)
  end)

  it("choose the form of a reply by what Kong proxies", function()
    ngx.var.content_type = "application/grpc"
    for _, case in ipairs({ { { protocol = "http" }, 403 }, { { protocol = "grpc" }, 200 } }) do
      state.service, state.exited = case[1], nil
      server.scripts = { { BLOCK } }
      assert.equal(case[2], state.run("access", handler, fake.conf()).status)
    end
    -- Another client of a gRPC service gets a plain reply.
    ngx.var.content_type, state.exited = "application/json", nil
    server.scripts = { { BLOCK } }
    assert.equal(403, state.run("access", handler, fake.conf()).status)
  end)

  describe("kong-lua-response", function()
    local response, conf

    before_each(function()
      response = require "kong.plugins.kong-lua-response.handler"
      conf = { response_max_body_bytes = 3, timeout_ms = 500 }
    end)

    local function dropped()
      local set = fake.require("settings").of(fake.conf())
      local report = fake.require("coverage").snapshot(set, { id = "i", worker = 0, connector = "c/1.0.0" })
      local counts = {}
      for _, entry in ipairs(report.dropped or {}) do
        counts[entry.leg .. " " .. entry.reason] = entry.count
      end
      return counts
    end

    -- Both plugins of a request, until it would go to the upstream.
    local function both(changes)
      state.exited = nil
      server.scripts = { { PASS } }
      state.run("access", handler, fake.conf(changes))
      return state.run("access", response, conf)
    end

    it("lets no header of the upstream into a reply that replaces its response", function()
      local upstream = { ["Content-Encoding"] = "gzip", ["ETag"] = "x", ["Set-Cookie"] = { "a", "b" }, Vary = "*",
        ["Cache-Control"] = "public", ["Last-Modified"] = "x", ["X-Secret"] = "1", Date = "now", Server = "x/1",
        Connection = "keep-alive" }
      for mode, answer in pairs({ fail_open = BLOCK, fail_closed = "junk\r\n\r\n" }) do
        both({ failure_mode = mode })
        server.headers, ngx.header = {}, {}
        for name, value in pairs(upstream) do
          server.headers[name], ngx.header[name] = value, value
        end
        server.scripts = { { answer } }
        local exit = state.run("response", response, conf)
        assert.same({ Connection = "keep-alive" }, ngx.header)
        assert.equal("no-store", exit.headers["cache-control"] or exit.headers["Cache-Control"])
      end
    end)

    it("applies the failure mode to what Kong will not buffer", function()
      local function upgrade() ngx.var.upstream_upgrade = "websocket" end
      local function http2() server.request.version, kong.version = 2, "3.8.1" end
      for reason, make in pairs({ upgrade = upgrade, unbuffered = http2 }) do
        ngx.var.upstream_upgrade, server.request.version, kong.version = "", 1.1, "3.9.0"
        assert.is_nil(both())
        make()
        fake.require("coverage").reset()
        assert.is_nil(both())
        assert.equal(503, both({ failure_mode = "fail_closed" }).status)
        assert.same({ ["response " .. reason] = 2 }, dropped())
        local lines = table.concat(server.logged, "\n")
        assert.matches("%[weir%] response to %S+ passed uninspected, reason=" .. reason, lines)
      end
    end)

    it("takes HTTP/2 as buffered from Kong 3.9 on", function()
      server.request.version = 2
      for version, status in pairs({ ["3.4.2"] = 503, ["3.8.0.0-enterprise-edition"] = 503, ["3.9.0"] = false,
        ["3.10.0"] = false, ["4.0.1"] = false }) do
        kong.version = version
        local exit = both({ failure_mode = "fail_closed" })
        assert.equal(status, exit and exit.status or false)
      end
    end)

    it("leaves gRPC unbuffered, and counts it", function()
      state.service = { protocol = "grpc" }
      ngx.ctx.buffered_proxying = true
      assert.is_nil(both({ failure_mode = "fail_closed" }))
      assert.is_nil(ngx.ctx.buffered_proxying)
      assert.same({ ["response grpc"] = 1 }, dropped())
    end)

    it("counts a response that was not buffered against expectation", function()
      both()
      state.run("log", handler, fake.conf())
      assert.same({ ["response unbuffered"] = 1 }, dropped())
      -- A reply of another plugin is no response of the upstream.
      fake.require("coverage").reset()
      both()
      state.exited = { status = 401 }
      state.run("log", handler, fake.conf())
      assert.same({}, dropped())
    end)

    it("counts and logs a response without a verdict", function()
      both()
      server.scripts = { { { "timeout" } } }
      assert.is_nil(state.run("response", response, conf))
      assert.same({ ["response timeout"] = 1 }, dropped())
      both()
      server.scripts = { { ACCEPTED } }
      assert.is_nil(state.run("response", response, conf))
      assert.equal(1, dropped()["response malformed"])
    end)

    it("sends no response that the node has no use for", function()
      server.scripts = { { (PASS:gsub("\r\n\r\n$", "\r\nInspector-Response: none\r\n\r\n")) } }
      state.run("access", handler, fake.conf())
      state.run("access", response, conf)
      assert.is_nil(state.run("response", response, conf))
      assert.equal(1, #server.sockets)
    end)

    it("says that it needs kong-lua", function()
      assert.is_nil(state.run("response", response, conf))
      assert.matches("%[weir%] kong%-lua%-response inspects nothing on this route", server.logged[1])
    end)

    it("judges the answer and replaces it", function()
      server.scripts = { { PASS }, { BLOCK } }
      local main = fake.conf()
      state.run("access", handler, main)
      state.response_body = "secret"
      local exit = state.run("response", response, conf)
      assert.equal(403, exit.status)
      assert.matches("Inspector-Body: prefix; sent=3; total=6\r\n", server.sockets[2].sent[1], 1, true)
      assert.is_nil(server.sockets[2].sent[1]:find("Inspector-Blocking", 1, true))
      state.run("log", handler, main)
      assert.is_nil(server.timers)
    end)

    it("follows kong-lua's failure policy", function()
      for mode, wanted in pairs({ fail_open = false, fail_closed = 503 }) do
        state.exited = nil
        server.scripts = { { PASS }, { { "timeout" } } }
        state.run("access", handler, fake.conf({ failure_mode = mode }))
        local exit = state.run("response", response, conf)
        assert.equal(wanted, exit and exit.status or false)
      end
    end)
  end)
end)
