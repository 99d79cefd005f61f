-- Samples where the worker's Lua spends its time, by LuaJIT's profiler, and writes the
-- samples when the worker exits. For BENCH_PROFILE=FILE; slows the worker down.
local profile = {}

function profile.start(path)
  local p = require "jit.p"
  p.start("Fli1m0", path)
  ngx.timer.every(0.2, function(premature)
    if premature then
      p.stop()
    end
  end)
end

return profile
