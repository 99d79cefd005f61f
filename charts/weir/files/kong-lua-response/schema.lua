local typedefs = require "kong.db.schema.typedefs"

local MIB = 1024 * 1024

local function check_protocol(name)
  if name == "http" or name == "https" then
    return true
  end
  return nil, "kong-lua-response cannot inspect " .. name .. ": Kong buffers HTTP responses only. "
    .. "Expected http or https; use kong-lua alone on gRPC routes"
end

return {
  name = "kong-lua-response",
  fields = {
    { consumer = typedefs.no_consumer },
    { protocols = {
      type = "set", required = true, default = { "http", "https" },
      elements = { type = "string", custom_validator = check_protocol },
    } },
    { config = {
      type = "record",
      fields = {
        { response_max_body_bytes = {
          description = "How much of the response body is inspected. Kong itself buffers "
            .. "the whole body on routes with this plugin.",
          type = "integer", default = MIB, between = { 0, 64 * MIB },
        } },
        { timeout_ms = {
          description = "Limit in milliseconds for a whole inspection of a response.",
          type = "integer", default = 1000, between = { 1, 60000 },
        } },
      },
    } },
  },
}
