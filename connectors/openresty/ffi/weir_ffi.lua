-- weir's inspection in the worker of nginx, by LuaJIT's FFI: no call over the network. An experiment: see
-- docs/in-process.md, which says what it costs and what it cannot do.
local ffi = require "ffi"

-- As in crates/weir-ffi/include/weir.h. The library refuses structures of another size.
ffi.cdef [[
typedef struct { const uint8_t *data; size_t length; } WeirBytes;
typedef struct WeirHandle WeirHandle;
typedef struct {
  uint32_t size, no_builtin_rules, monitoring_only, max_body, time_limit_us;
  WeirBytes rules, policy, trusted, real_ip, original_host;
} WeirConfig;
typedef struct {
  uint32_t size, body, chunked, https, time_limit_us;
  int64_t application;
  WeirBytes message, client, request_id;
} WeirRequest;
typedef struct {
  uint32_t size, block, would_block, status;
  uint64_t generation, bytes_left;
  WeirBytes content_type, headers, body, not_inspected, hit;
} WeirVerdict;
uint32_t weir_abi_version(void);
int weir_new(const WeirConfig *config, WeirHandle **handle, char *error, size_t error_size);
int weir_reload(const WeirHandle *handle, const WeirConfig *config, char *error, size_t error_size);
int weir_inspect(const WeirHandle *handle, const WeirRequest *request, WeirVerdict **verdict, char *error,
                 size_t error_size);
void weir_verdict_free(WeirVerdict *verdict);
void weir_free(WeirHandle *handle);
]]

local ABI_VERSION = 1
local BODY_COMPLETE, BODY_PREFIX = 0, 1
local NO_APPLICATION = -1
local ERROR_SIZE = 1024

local weir = {}
weir.__index = weir

-- Buffers of the worker, which handles one request between two waits.
local failure = ffi.new("char[?]", ERROR_SIZE)
local verdict_at = ffi.new("WeirVerdict *[1]")
local request = ffi.new("WeirRequest", { size = ffi.sizeof("WeirRequest"), application = NO_APPLICATION })

-- The text must be kept by the caller for as long as the library reads it.
local function set(bytes, text)
  bytes.data, bytes.length = ffi.cast("const uint8_t *", text), #text
end

local function text_of(bytes)
  return bytes.length == 0 and "" or ffi.string(bytes.data, tonumber(bytes.length))
end

local function read(path, most)
  local file, err = io.open(path, "rb")
  if not file then
    return nil, err
  end
  local text = file:read(most or "*a") or ""
  file:close()
  return text
end

-- Calls `with` with the configuration of the library.
local function configured(self, with)
  local policy = ""
  if self.policy_file then
    local text, err = read(self.policy_file)
    if not text then
      return nil, err
    end
    policy = text
  end
  local config = ffi.new("WeirConfig", { size = ffi.sizeof("WeirConfig"), max_body = self.max_body })
  config.time_limit_us = self.time_limit_ms * 1000
  set(config.policy, policy)
  set(config.trusted, self.trusted)
  set(config.real_ip, self.real_ip)
  if with(config) ~= 0 then
    return nil, ffi.string(failure)
  end
  self.policy = policy
  return true
end

-- Options: `library` (path), `policy_file`, `max_body` (bytes of a body that are inspected), `time_limit_ms`,
-- `trusted` and `real_ip` (proxies and their header), `fail_closed` (503 without a verdict), `on_hit` (called with the
-- masked record of each malicious request, as JSON). For init_by_lua; an error stops nginx.
function weir.new(options)
  local library = ffi.load(options.library)
  local version = library.weir_abi_version()
  if version ~= ABI_VERSION then
    error(("%s has version %d of the interface; this file needs %d"):format(options.library, version, ABI_VERSION))
  end
  local self = setmetatable({
    library = library, policy_file = options.policy_file, max_body = options.max_body or 65536,
    time_limit_ms = options.time_limit_ms or 20, trusted = options.trusted or "", real_ip = options.real_ip or "",
    fail_closed = options.fail_closed, on_hit = options.on_hit,
  }, weir)
  local made = ffi.new("WeirHandle *[1]")
  local ok, err = configured(self, function(config) return library.weir_new(config, made, failure, ERROR_SIZE) end)
  if not ok then
    error("weir: " .. err)
  end
  self.handle = ffi.gc(made[0], library.weir_free)
  return self
end

-- Reads the policy file and, if it has changed, swaps policy and rules of this worker. All its clients wait meanwhile.
-- With a mistake in the file, the old policy stays in use.
function weir:reload()
  if not self.policy_file or read(self.policy_file) == self.policy then
    return false
  end
  local ok, err = configured(self, function(config)
    return self.library.weir_reload(self.handle, config, failure, ERROR_SIZE)
  end)
  if not ok then
    ngx.log(ngx.ERR, "weir: the policy stays as it was: ", err)
  end
  return ok
end

-- For init_worker_by_lua: each worker has rules and policy of its own, and looks every `seconds` whether the file
-- changed.
function weir:watch(seconds)
  local ok, err = ngx.timer.every(seconds, function(premature)
    if not premature then
      self:reload()
    end
  end)
  if not ok then
    ngx.log(ngx.ERR, "weir: the policy file is not watched: ", err)
  end
end

-- Head as the client sent it. In HTTP/2 there are no lines: they are made of what nginx has read.
local function head()
  if ngx.req.http_version() < 2 then
    return ngx.req.raw_header()
  end
  local lines = { ngx.req.get_method() .. " " .. ngx.var.request_uri .. " HTTP/2.0\r\n" }
  for name, value in pairs(ngx.req.get_headers(0, true)) do
    for _, one in ipairs(type(value) == "table" and value or { value }) do
      lines[#lines + 1] = name .. ": " .. tostring(one) .. "\r\n"
    end
  end
  lines[#lines + 1] = "\r\n"
  return table.concat(lines)
end

-- The body, or its first bytes if nginx has written it to a file.
local function body(most)
  ngx.req.read_body()
  local data = ngx.req.get_body_data()
  if data then
    return data, BODY_COMPLETE
  end
  local path = ngx.req.get_body_file()
  if not path then
    return "", BODY_COMPLETE
  end
  local text, err = read(path, most + 1)
  if not text then
    return nil, err
  end
  return text:sub(1, most), #text > most and BODY_PREFIX or BODY_COMPLETE
end

local function without_verdict(self, why)
  ngx.log(ngx.ERR, "weir: no verdict: ", why)
  if self.fail_closed then
    return ngx.exit(503)
  end
end

-- For access_by_lua: answers a malicious request, and lets any other pass.
function weir:access()
  local data, state = body(self.max_body)
  if not data then
    return without_verdict(self, state)
  end
  local message, client, id = head() .. data, ngx.var.remote_addr, ngx.var.request_id
  request.body, request.https = state, ngx.var.scheme == "https" and 1 or 0
  set(request.message, message)
  set(request.client, client)
  set(request.request_id, id)
  if self.library.weir_inspect(self.handle, request, verdict_at, failure, ERROR_SIZE) ~= 0 then
    return without_verdict(self, ffi.string(failure))
  end
  local verdict = verdict_at[0]
  local block, status = verdict.block == 1, verdict.status
  local hit = verdict.hit.length > 0 and self.on_hit and text_of(verdict.hit)
  local reply, kind, headers = "", "", ""
  if block then
    reply, kind, headers = text_of(verdict.body), text_of(verdict.content_type), text_of(verdict.headers)
  end
  self.library.weir_verdict_free(verdict)
  if hit then
    self.on_hit(hit)
  end
  if not block then
    return
  end
  ngx.status = status
  ngx.header["Content-Type"] = kind
  for name, value in headers:gmatch("([^\n]-): ([^\n]*)\n") do
    ngx.header[name] = value
  end
  ngx.header["Content-Length"] = #reply
  ngx.print(reply)
  return ngx.exit(status)
end

return weir
