-- This file requires nothing but Kong's own typedefs: control planes that get only
-- the schema (Konnect) must be able to load it. It is also the only list of
-- settings and defaults: the OpenResty adapter reads it too.
local typedefs = require "kong.db.schema.typedefs"

local MAX_TIMEOUT_MS = 60000
local MIB = 1024 * 1024

local ADDRESS_FORM = "expected http://HOST:PORT or https://HOST:PORT, with an optional path, "
  .. "an IPv6 address in brackets and a port from 1 to 65535; or unix:/PATH of a socket"
-- The path of a socket that the system can connect to.
local MAX_SOCKET_PATH = 107

local function is_port(text)
  local port = #text <= 5 and text:find("^%d+$") and tonumber(text)
  return port and port >= 1 and port <= 65535
end

local function is_ipv4(text)
  local count = 0
  for number in (text .. "."):gmatch("(%d+)%.") do
    if #number > 3 or tonumber(number) > 255 or number:find("^0%d") then
      return false
    end
    count = count + 1
  end
  return count == 4 and text:find("^%d+%.%d+%.%d+%.%d+$") ~= nil
end

-- The number of groups of 16 bits in a part of an IPv6 address, or nil if it is not valid.
local function ipv6_groups(part)
  local count = 0
  if part == "" then
    return 0
  end
  local ipv4 = part:match("[^:]*$")
  if ipv4:find(".", 1, true) then
    if not is_ipv4(ipv4) then
      return nil
    end
    part = part:sub(1, -#ipv4 - 1) .. "0:0"
  end
  for group in (part .. ":"):gmatch("([^:]*):") do
    if not group:find("^%x%x?%x?%x?$") then
      return nil
    end
    count = count + 1
  end
  return count
end

local function is_ipv6(text)
  local before, after = text:match("^(.-)::(.*)$")
  if not before then
    return ipv6_groups(text) == 8
  end
  local first, second = ipv6_groups(before), ipv6_groups(after)
  return first ~= nil and second ~= nil and first + second < 8 and not before:find(".", 1, true)
end

-- What ends in a number is no name, but an address.
local function is_host(host)
  local ipv6 = host:match("^%[([%x:.]+)%]$")
  if ipv6 then
    return is_ipv6(ipv6)
  elseif host:find("%f[^.%z]%d+%.?$") then
    return is_ipv4(host)
  end
  return #host <= 253 and host:find("^[%w_][%w._-]*$") ~= nil and not host:find("..", 1, true)
end

local function check_address(address)
  local path = address:match("^unix:(/[%w/._-]+)$")
  if path then
    return #path <= MAX_SOCKET_PATH or nil, ADDRESS_FORM
  end
  local authority, rest = address:match("^https?://([^/]+)(.*)$")
  local host, port
  if authority then
    host, port = authority:match("^(.-):([^:%]]*)$")
  end
  if not authority or not is_host(host or authority) or port and not is_port(port) or rest:find("[%s?#@]") then
    return nil, ADDRESS_FORM
  end
  return true
end

local function check_application(id)
  if id:find("^%d+$") and #id <= 18 then
    return true
  end
  return nil, "expected a whole number in quotes, such as \"7\""
end

-- Header names that a gateway, its other plugins or the transport use themselves.
local TAKEN_PREFIXES = {
  "x-forwarded-", "x-kong-", "x-consumer-", "x-credential-", "x-authenticated-", "inspector-", "proxy-", "sec-", "if-",
}
local TAKEN = {}
for name in ([[accept accept-charset accept-encoding accept-language authorization cache-control connection
  content-encoding content-language content-length content-range content-type cookie date expect forwarded from
  host keep-alive max-forwards origin pragma range referer te traceparent tracestate trailer transfer-encoding
  upgrade user-agent via warning x-real-ip x-request-id x-anonymous-consumer]]):gmatch("%S+") do
  TAKEN[name] = true
end

local function check_header(name)
  local lower = name:lower()
  local taken = TAKEN[lower]
  for _, prefix in ipairs(TAKEN_PREFIXES) do
    taken = taken or lower:sub(1, #prefix) == prefix
  end
  if taken or not name:find("^%a[%w-]*$") then
    return nil, "expected the name of a header that nothing else uses, in letters, digits and hyphens, "
      .. "such as X-Weir-Verdict"
  end
  return true
end

-- A library of the gateway that may be missing, for example where only the schema is
-- loaded: then the form of a PEM is all that is checked.
local function library(name)
  local found, module = pcall(require, name)
  return found and type(module) == "table" and module or nil
end

-- What the library makes of a PEM: an object, false if it cannot be parsed, nil without
-- the library.
local function parsed(name, pem)
  local module = library(name)
  if not module then
    return nil
  end
  local ran, object = pcall(module.new, pem)
  return ran and object or false
end

local DASHES = ("%-"):rep(5)

-- label: a pattern.
local function has_block(pem, label)
  return pem:find(DASHES .. "BEGIN " .. label .. DASHES .. "[%w+/=%s]+" .. DASHES .. "END " .. label .. DASHES) ~= nil
end

local function check_certificate(pem)
  if not has_block(pem, "CERTIFICATE")
    or parsed("resty.openssl.x509", pem) == false
  then
    return nil, "expected a certificate chain in PEM, from -----BEGIN CERTIFICATE----- on"
  end
  return true
end

local function check_key(pem)
  if not has_block(pem, "[%u ]*PRIVATE KEY")
    or pem:find("ENCRYPTED", 1, true) or parsed("resty.openssl.pkey", pem) == false
  then
    return nil, "expected a private key in PEM without a passphrase, from -----BEGIN PRIVATE KEY----- on"
  end
  return true
end

-- A value that is known only at use.
local function is_reference(value)
  return value:find("^{vault://.+}$") ~= nil
end

local function check_pair(config)
  local chain, pem = config.client_certificate, config.client_key
  if type(chain) ~= "string" or type(pem) ~= "string" or is_reference(chain) or is_reference(pem) then
    return true
  end
  local certificate = parsed("resty.openssl.x509", chain)
  local key = parsed("resty.openssl.pkey", pem)
  if not certificate or not key then
    return true
  end
  local ran, same = pcall(function() return certificate:get_pubkey():to_PEM() == key:to_PEM("public") end)
  if ran and not same then
    return nil, "client_key is not the key of client_certificate"
  end
  return true
end

return {
  name = "kong-lua",
  fields = {
    -- The plugin runs before authentication, so a consumer scope could never match.
    { consumer = typedefs.no_consumer },
    { protocols = typedefs.protocols_http },
    { config = {
      type = "record",
      fields = {
        { wallarm_node_address = {
          description = "URL of the node's processing service, for example "
            .. "http://next-processing.wallarm-node.svc.cluster.local:5000. "
            .. "A path in it is put before /v1. unix:/PATH is a socket on the same host.",
          type = "string", required = true, len_max = 1024, custom_validator = check_address,
        } },
        { timeout_ms = {
          description = "Limit in milliseconds for a whole inspection: name "
            .. "resolution, connect, retry and reply together.",
          type = "integer", default = 1000, between = { 1, MAX_TIMEOUT_MS },
        } },
        { connect_timeout_ms = {
          description = "Milliseconds for name resolution and connect, within timeout_ms.",
          type = "integer", default = 500, between = { 1, MAX_TIMEOUT_MS },
        } },
        { send_timeout_ms = {
          description = "Milliseconds between two successful writes, within timeout_ms.",
          type = "integer", default = 1000, between = { 1, MAX_TIMEOUT_MS },
        } },
        { read_timeout_ms = {
          description = "Milliseconds between two reads of the response, within timeout_ms.",
          type = "integer", default = 1000, between = { 1, MAX_TIMEOUT_MS },
        } },
        { blocking = {
          description = "true waits for the verdict and applies it. false sends the "
            .. "node a copy out of band and never blocks.",
          type = "boolean", default = true,
        } },
        { inspect_response = {
          description = "Send a copy of status and headers of each response to the node afterwards.",
          type = "boolean", default = true,
        } },
        { inspect_response_body = {
          description = "Also send the first response_max_body_bytes of the response "
            .. "body. Needs inspect_response.",
          type = "boolean", default = true,
        } },
        { response_max_body_bytes = {
          description = "How much of a response body is copied to the node.",
          type = "integer", default = 65536, between = { 0, 8 * MIB },
        } },
        { failure_mode = {
          description = "What happens when there is no verdict: fail_open forwards "
            .. "the request uninspected, fail_closed answers failure_status.",
          type = "string", default = "fail_open", one_of = { "fail_open", "fail_closed" },
        } },
        { failure_status = {
          description = "Status of the reply under fail_closed.",
          type = "integer", default = 503, between = { 400, 599 },
        } },
        { max_body_bytes = {
          description = "How much of a request body is sent for inspection.",
          type = "integer", default = 8 * MIB, between = { 0, 64 * MIB },
        } },
        { over_limit = {
          description = "What happens to a body over max_body_bytes or one that cannot be "
            .. "read: prefix inspects the head and the first max_body_bytes, pass "
            .. "inspects the head alone, block answers 413 (failure_status for a body "
            .. "that cannot be read).",
          type = "string", default = "prefix", one_of = { "prefix", "pass", "block" },
        } },
        { read_body = {
          description = "Also read the bodies of gRPC calls and of routes with request "
            .. "buffering off. This waits for the end of the body, so streams on "
            .. "such routes stop flowing.",
          type = "boolean", default = false,
        } },
        { breaker_failures = {
          description = "Consecutive failures, over all workers, after which the node is "
            .. "not called for a while. 0 switches the breaker off.",
          type = "integer", default = 5, between = { 0, 10000 },
        } },
        { breaker_open_ms = {
          description = "How long the breaker stays open before one request probes the node.",
          type = "integer", default = 5000, between = { 100, 600000 },
        } },
        { keepalive_pool_size = {
          description = "Idle connections kept per worker and node address.",
          type = "integer", default = 64, between = { 1, 10000 },
        } },
        { keepalive_idle_ms = {
          description = "How long an idle connection is kept.",
          type = "integer", default = 30000, between = { 1000, 3600000 },
        } },
        { tls_verify = {
          description = "Verify the node's certificate against the gateway's "
            .. "lua_ssl_trusted_certificate.",
          type = "boolean", default = true,
        } },
        { tls_server_name = {
          description = "Name for SNI and verification, if it differs from the host of the "
            .. "address. Needed if that is an IP address: the gateway compares names only, not "
            .. "the IP addresses of a certificate.",
          type = "string", len_max = 253, match = "^[%w._-]+$", err = "expected a host name",
        } },
        { client_certificate = {
          description = "PEM chain for mutual TLS with the node.",
          type = "string", referenceable = true, len_max = 65536, custom_validator = check_certificate,
        } },
        { client_key = {
          description = "PEM private key of client_certificate.",
          type = "string", referenceable = true, encrypted = true, len_max = 65536,
          custom_validator = check_key,
        } },
        { connector_key = {
          description = "Key that authenticates this connector to the node.",
          type = "string", referenceable = true, encrypted = true, len_max = 4096,
          match = "^[!-~]+$", err = "expected visible ASCII without spaces",
        } },
        { upstream_verdict_header = {
          description = "Name of a request header with the outcome for the upstream. A "
            .. "header of that name from the client is always removed. Unset: nothing "
            .. "is added.",
          type = "string", len_max = 64, custom_validator = check_header,
        } },
        { application_id = {
          description = "Application id of these requests: a whole number, in quotes.",
          type = "string", len_max = 64, custom_validator = check_application,
        } },
        { queue_max_entries = {
          description = "Entries that may wait in each worker to be sent to the node: response "
            .. "copies and out-of-band requests. Beyond it the oldest are dropped.",
          type = "integer", default = 1000, between = { 1, 100000 },
        } },
        { queue_max_bytes = {
          description = "Bytes that may wait in each worker to be sent to the node.",
          type = "integer", default = 16 * MIB, between = { 65536, 1024 * MIB },
        } },
        { coverage_interval_s = {
          description = "Seconds between two coverage reports to the node. 0 sends none.",
          type = "integer", default = 10, between = { 0, 3600 },
        } },
      },
      entity_checks = {
        { mutually_required = { "client_certificate", "client_key" } },
        { custom_entity_check = { field_sources = { "client_certificate", "client_key" }, fn = check_pair } },
      },
    } },
  },
}
