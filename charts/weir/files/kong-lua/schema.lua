-- This file requires nothing but Kong's own typedefs: control planes that get only
-- the schema (Konnect) must be able to load it. It is also the only list of
-- settings and defaults: the OpenResty adapter reads it too.
local typedefs = require "kong.db.schema.typedefs"

local MAX_TIMEOUT_MS = 60000
local MIB = 1024 * 1024

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
            .. "A path in it is put before /v1.",
          type = "string", required = true, len_max = 1024,
          match = "^https?://[^%s/@?#]+[^%s@?#]*$",
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
          description = "Name for SNI and verification, if it differs from the host "
            .. "of the address.",
          type = "string", len_max = 253, match = "^[%w._-]+$",
        } },
        { client_certificate = {
          description = "PEM chain for mutual TLS with the node.",
          type = "string", referenceable = true, len_max = 65536,
        } },
        { client_key = {
          description = "PEM private key of client_certificate.",
          type = "string", referenceable = true, encrypted = true, len_max = 65536,
        } },
        { connector_key = {
          description = "Key that authenticates this connector to the node.",
          type = "string", referenceable = true, encrypted = true, len_max = 4096,
          match = "^[!-~]+$",
        } },
        { upstream_verdict_header = {
          description = "Name of a request header with the outcome for the upstream. A "
            .. "header of that name from the client is always removed. Unset: nothing "
            .. "is added.",
          type = "string", len_max = 64, match = "^%a[%w-]*$",
        } },
        { application_id = {
          description = "Application id of these requests.",
          type = "string", len_max = 64, match = "^[%w._-]+$",
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
      },
    } },
  },
}
