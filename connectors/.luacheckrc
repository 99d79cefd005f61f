std = "ngx_lua"
-- Kong calls handlers as methods, whether or not they use it.
self = false
max_line_length = 120
-- Kong's PDK: one global, whose fields plugins read and never set.
files["kong/kong/plugins/"].read_globals = { "kong" }
-- Kong's context tables are written by plugins.
files["kong/kong/plugins/kong-lua/handler.lua"].globals = { "kong" }
files["kong/spec/"].std = "ngx_lua+busted"
-- Specs put stand-ins in place of the server's globals.
files["kong/spec/"].globals = { "ngx", "kong" }
