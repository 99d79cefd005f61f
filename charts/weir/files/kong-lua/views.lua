-- The coverage counters as seen from this gateway, for its own Admin or Status
-- API: reports of all workers, at most one report interval old.
local coverage = require "kong.plugins.kong-lua.coverage"
local reporter = require "kong.plugins.kong-lua.reporter"

return {
  ["/kong-lua/coverage"] = {
    GET = function()
      ngx.header["Content-Type"] = "application/json"
      ngx.print(coverage.gather(reporter.nodes()))
      return ngx.exit(200)
    end,
  },
}
