-- Compiles a plugin configuration once: parses the address, joins constant header
-- lines, names pool and queue. Requests only read the result.
local recent = require "kong.plugins.kong-lua.recent"

local settings = {
  VERSION = "1.0.0",
}

local DEFAULT_PORTS = { http = 80, https = 443 }

-- Scheme, host, port and path. A socket on this host has its address as the host, and no
-- port. The schema has checked the form, except in a configuration from elsewhere.
local function split_address(address)
  if address:find("^unix:/") then
    return "http", address, nil, ""
  end
  local scheme, authority, path = address:match("^(https?)://([^/]+)(.*)$")
  if not scheme then
    return nil
  end
  local host, port = authority:match("^(%[[%x:.]+%]):?(%d*)$")
  if not host then
    host, port = authority:match("^([^:]+):?(%d*)$")
  end
  if not host then
    return nil
  end
  port = port == "" and DEFAULT_PORTS[scheme] or tonumber(port)
  if not port or port < 1 or port > 65535 then
    return nil
  end
  return scheme, host, port, (path:gsub("/+$", ""))
end

local function parse_client_certificate(conf)
  if not conf.client_certificate then
    return nil
  end
  local ssl = require "ngx.ssl"
  local chain, err = ssl.parse_pem_cert(conf.client_certificate)
  if not chain then
    error("client_certificate: expected a certificate chain in PEM: " .. tostring(err), 0)
  end
  local key
  key, err = ssl.parse_pem_priv_key(conf.client_key)
  if not key then
    error("client_key: expected a private key in PEM: " .. tostring(err), 0)
  end
  return { chain = chain, key = key }
end

local function fixed_lines(conf, endpoint, content_type, prefix, host_header)
  local lines = {
    "POST " .. prefix .. endpoint .. " HTTP/1.1",
    "Host: " .. host_header,
    "Content-Type: " .. content_type,
    "Inspector-Connector: " .. (conf.connector_name or "kong-lua") .. "/" .. settings.VERSION,
  }
  if conf.connector_key then
    lines[#lines + 1] = "Authorization: Bearer " .. conf.connector_key
  end
  if conf.application_id then
    lines[#lines + 1] = "Inspector-Application: " .. conf.application_id
  end
  -- Its value follows with each attempt.
  lines[#lines + 1] = "Inspector-Call-Id: "
  return table.concat(lines, "\r\n")
end

-- A key from a vault is known only now.
local function check_resolved(conf)
  local key = conf.connector_key
  if key and not key:find("^[!-~]+$") or key and key:find("^{vault://") then
    error("connector_key: expected visible ASCII without spaces; a vault reference must resolve to that", 0)
  end
end

function settings.compile(conf)
  local scheme, host, port, prefix = split_address(conf.wallarm_node_address)
  if not scheme then
    error("wallarm_node_address is not a usable URL", 0)
  end

  check_resolved(conf)

  local bare_host = host:match("^%[(.*)%]$") or host
  local node = port and host .. ":" .. port or host
  local host_header = not port and "localhost" or port == DEFAULT_PORTS[scheme] and host or node
  local tls = scheme == "https"
  local server_name = conf.tls_server_name or bare_host
  local identity = ngx.md5(table.concat({
    conf.wallarm_node_address, conf.connector_key or "", conf.client_certificate or "",
    server_name, tostring(conf.tls_verify), conf.application_id or "",
  }, "\0")):sub(1, 12)

  return {
    conf = conf,
    connector_key = conf.connector_key,
    client_certificate = conf.client_certificate,
    client_key = conf.client_key,
    node = node,
    host = host,
    port = port,
    -- A numeric address needs no resolver: the socket's own timer limits the
    -- connect, without the two threads that a name needs.
    numeric = not port or host:match("^%d+%.%d+%.%d+%.%d+$") ~= nil or host:sub(1, 1) == "[",
    tls = tls,
    server_name = server_name,
    certificate = tls and parse_client_certificate(conf) or nil,
    -- Pooled TLS connections keep their verified identity, so configurations that
    -- verify differently must not share a pool.
    pool = "weir:" .. node .. (tls and ":" .. identity or ""),
    queue_name = node .. ":" .. identity .. ":" .. tostring(conf.queue_max_entries) .. ":"
      .. tostring(conf.queue_max_bytes),
    breaker_key = "kong-lua:breaker:" .. node,
    -- Addresses of the node that say in their answers to which call these belong.
    names_calls = recent.new(256), names_call = false,
    requests = fixed_lines(conf, "/v1/requests", "message/http; msgtype=request", prefix, host_header),
    responses = fixed_lines(conf, "/v1/responses", "message/http; msgtype=response", prefix, host_header),
    batch = fixed_lines(conf, "/v1/responses", "application/http; msgtype=request", prefix, host_header),
    coverage = fixed_lines(conf, "/v1/coverage", "application/json", prefix, host_header),
  }
end

-- The key is the configuration table itself: the gateway passes the same table until
-- the configuration changes, and drops it afterwards. Secrets from a vault are the
-- exception: the gateway writes a rotated secret into the same table.
--
-- A weak table would keep every configuration for good, because what was compiled refers
-- to it.
local compiled = recent.new(1024)

function settings.of(conf)
  local found = compiled:get(conf)
  if not found or found.connector_key ~= conf.connector_key
    or found.client_certificate ~= conf.client_certificate or found.client_key ~= conf.client_key
  then
    found = settings.compile(conf)
    compiled:put(conf, found)
  end
  return found
end

return settings
