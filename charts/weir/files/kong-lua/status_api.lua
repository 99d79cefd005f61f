-- Kong looks for Status API routes of a plugin under this name; a hybrid data
-- plane has no other API.
return require "kong.plugins.kong-lua.views"
