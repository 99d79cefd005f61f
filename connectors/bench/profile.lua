-- Looks into the worker's Lua, for BENCH_PROFILE=FILE and BENCH_TRACES=FILE: samples of where it spends its time, by LuaJIT's
-- profiler, which slows the worker down; and what LuaJIT compiled, or gave up to compile and why. Both are complete once the
-- worker exits.
local profile = {}

function profile.start(samples, traces)
  if traces then
    require("jit.v").start(traces)
  end
  if samples then
    local p = require "jit.p"
    p.start("Fli1m0", samples)
    ngx.timer.every(0.2, function(premature)
      if premature then
        p.stop()
      end
    end)
  end
end

return profile
