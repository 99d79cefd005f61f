-- What the schemas accept, and what they say about the rest.
local cjson = require "cjson.safe"
local fake = require "support.fake_ngx"

-- Typedefs as far as the schemas use them.
local typedefs = { no_consumer = { type = "foreign", eq = "null" }, protocols_http = { type = "set" } }

local function load_schema(name)
  local real, before = require, package.loaded["kong.db.schema.typedefs"]
  package.loaded["kong.db.schema.typedefs"] = typedefs
  -- A control plane may have the schema alone.
  _G.require = function(module)
    assert(not module:find("^kong%.plugins"), "the schema needs " .. module)
    return real(module)
  end
  local ran, schema = pcall(dofile, "kong/plugins/" .. name .. "/schema.lua")
  _G.require, package.loaded["kong.db.schema.typedefs"] = real, before
  assert(ran, schema)
  for _, field in ipairs(schema.fields) do
    if field.config then
      return schema, field.config
    end
  end
end

local function rule_of(config, name)
  for _, field in ipairs(config.fields) do
    if field[name] then
      return field[name]
    end
  end
end

local function pem(label, text)
  return "-----BEGIN " .. label .. "-----\n" .. (text or "AAAA") .. "\n-----END " .. label .. "-----\n"
end

describe("schemas", function()
  for _, name in ipairs({ "kong-lua", "kong-lua-response" }) do
    it(name .. " names itself and describes every field within Kong's own terms", function()
      local schema, config = load_schema(name)
      assert.equal(name, schema.name)
      local known = { description = 1, type = 1, required = 1, default = 1, between = 1, one_of = 1, match = 1,
        len_max = 1, referenceable = 1, encrypted = 1, custom_validator = 1, err = 1 }
      for _, field in ipairs(config.fields) do
        local key, rule = next(field)
        assert.is_nil(next(field, key))
        assert.is_string(rule.description)
        for attribute in pairs(rule) do
          assert.is_truthy(known[attribute], key .. "." .. attribute)
        end
        if rule.type == "integer" then
          assert.is_table(rule.between, key .. " has no bounds")
        elseif rule.type == "string" and not rule.one_of then
          assert.is_number(rule.len_max, key .. " has no bound")
        end
        if rule.match then
          assert.is_string(rule.err, key .. " does not say the form expected")
        end
        if rule.encrypted then
          assert.is_true(rule.referenceable)
        end
      end
    end)
  end

  it("keep the names and defaults of the replaced plugin", function()
    local _, config = load_schema("kong-lua")
    local rules = {}
    for _, field in ipairs(config.fields) do
      local key, rule = next(field)
      rules[key] = rule
    end
    assert.is_true(rules.wallarm_node_address.required)
    assert.equal(1000, rules.timeout_ms.default)
    assert.is_true(rules.inspect_response.default)
    assert.is_true(rules.inspect_response_body.default)
    assert.is_true(rules.blocking.default)
    assert.equal("fail_open", rules.failure_mode.default)
    assert.equal(8 * 1024 * 1024, rules.max_body_bytes.default)
    assert.equal("prefix", rules.over_limit.default)
    for key, rule in pairs(rules) do
      assert.is_true(not rule.required or key == "wallarm_node_address", key .. " breaks existing resources")
    end
  end)

  -- Each value is accepted or refused with a text that says what is expected.
  local function check(field, good, bad)
    local _, config = load_schema("kong-lua")
    local validator = rule_of(config, field).custom_validator
    for _, value in ipairs(good) do
      assert.is_true(validator(value), value)
    end
    for _, value in ipairs(bad) do
      local ok, err = validator(value)
      assert.is_nil(ok, value)
      assert.matches("^expected ", err)
    end
  end

  -- The same examples hold for `weir kong check`.
  local file = assert(io.open("spec/values.json"))
  local examples = assert(cjson.decode(file:read("*a")))
  file:close()

  for field, values in pairs(examples) do
    it("judge examples of " .. field .. " as listed", function()
      check(field, values.accepted, values.refused)
    end)
  end

  it("accept only addresses that the plugin understands", function()
    fake.fresh()
    fake.install()
    for _, address in ipairs(examples.wallarm_node_address.accepted) do
      local conf = fake.conf()
      conf.wallarm_node_address = address
      assert.is_string(fake.require("settings").compile(conf).node)
    end
  end)

  describe("of client certificates", function()
    local openssl = { "resty.openssl.x509", "resty.openssl.pkey" }

    after_each(function()
      for _, name in ipairs(openssl) do package.loaded[name], package.preload[name] = nil, nil end
    end)

    -- Objects of a library whose key is the text itself.
    local function install_library()
      for _, name in ipairs(openssl) do
        package.loaded[name] = { new = function(text)
          if text:find("BAD", 1, true) then
            return nil, "no"
          end
          local object = { to_PEM = function() return text:match("(KEY%d)") end }
          function object.get_pubkey() return object end
          return object
        end }
      end
    end

    it("accept PEM by its form where the library is missing", function()
      local chain = pem("CERTIFICATE") .. pem("CERTIFICATE")
      check("client_certificate", { pem("CERTIFICATE"), chain, pem("CERTIFICATE", "BAD") }, {})
      check("client_key", { pem("PRIVATE KEY"), pem("EC PRIVATE KEY"), pem("RSA PRIVATE KEY") }, {})
    end)

    it("parse PEM where the library is there", function()
      install_library()
      check("client_certificate", { pem("CERTIFICATE") }, { pem("CERTIFICATE", "BAD") })
      check("client_key", { pem("PRIVATE KEY") }, { pem("PRIVATE KEY", "BAD") })
    end)

    it("refuse a key of another certificate", function()
      local _, config = load_schema("kong-lua")
      local fn
      for _, entry in ipairs(config.entity_checks) do
        fn = entry.custom_entity_check and entry.custom_entity_check.fn or fn
      end
      local function pair(one, two)
        return fn({ client_certificate = one, client_key = two })
      end
      assert.is_true(pair(pem("CERTIFICATE", "KEY1"), pem("PRIVATE KEY", "KEY2")))
      install_library()
      assert.is_true(pair(pem("CERTIFICATE", "KEY1"), pem("PRIVATE KEY", "KEY1")))
      local ok, err = pair(pem("CERTIFICATE", "KEY1"), pem("PRIVATE KEY", "KEY2"))
      assert.same({ nil, "client_key is not the key of client_certificate" }, { ok, err })
      -- What a vault holds is not known yet.
      assert.is_true(pair("{vault://env/chain}", pem("PRIVATE KEY", "KEY2")))
      assert.is_true(pair(nil, nil))
    end)
  end)

  it("let vault references through, whose values are checked at use", function()
    fake.fresh()
    fake.install()
    local _, config = load_schema("kong-lua")
    for _, name in ipairs({ "connector_key", "client_certificate", "client_key" }) do
      -- Kong skips the validators of such a field for a reference.
      assert.is_true(rule_of(config, name).referenceable)
    end
    local settings = fake.require("settings")
    for _, value in ipairs({ "", "a b", "a\r\nb", "{vault://env/unresolved}" }) do
      local ran, err = pcall(settings.compile, fake.conf({ connector_key = value }))
      assert.is_false(ran)
      assert.matches("^connector_key: expected ", err)
    end
  end)

  it("refuse gRPC for kong-lua-response with a sentence", function()
    local schema = load_schema("kong-lua-response")
    for _, field in ipairs(schema.fields) do
      if field.protocols then
        assert.same({ "http", "https" }, field.protocols.default)
        local validator = field.protocols.elements.custom_validator
        assert.is_true(validator("https"))
        local ok, err = validator("grpcs")
        assert.is_nil(ok)
        assert.matches("^kong%-lua%-response cannot inspect grpcs: ", err)
      end
    end
  end)

  it("hold for the OpenResty adapter too", function()
    fake.fresh()
    fake.install()
    local options = require "weir.options"
    assert.equal("7", options.resolve({ wallarm_node_address = "http://n", application_id = 7 }).application_id)
    for _, given in ipairs({
      {}, { wallarm_node_address = "node:5000" }, { wallarm_node_address = "http://n", timeout_ms = 0 },
      { wallarm_node_address = "http://n", failure_mode = "open" }, { wallarm_node_address = "http://n", typo = 1 },
      { wallarm_node_address = "http://n", connector_key = "a\r\nb" },
      { wallarm_node_address = "http://n", connector_key = "{vault://env/key}" },
      { wallarm_node_address = "http://n", application_id = "shop" },
      { wallarm_node_address = "http://n", upstream_verdict_header = "Host" },
      { wallarm_node_address = "http://n", client_key = pem("PRIVATE KEY") },
    }) do
      assert.has_error(function() options.resolve(given) end)
    end
  end)
end)
