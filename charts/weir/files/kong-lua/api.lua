-- Kong looks for Admin API routes of a plugin under this name.
return require "kong.plugins.kong-lua.views"
