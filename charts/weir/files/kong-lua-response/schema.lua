local typedefs = require "kong.db.schema.typedefs"

local MIB = 1024 * 1024

return {
  name = "kong-lua-response",
  fields = {
    { consumer = typedefs.no_consumer },
    { protocols = typedefs.protocols_http },
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
