-- Runs a function so that a fault in it stays here. LuaJIT compiles no return from a function
-- that was called by pcall(): it gives up what led there, back to the last place where the
-- worker waited. A call that it does not compile ends the compiled part just before.
local running = coroutine.running

local function run(work, a, b, c, d, e)
  work(a, b, c, d, e)
  running()
end

-- Returns true, or false and the error. Results of `work` are lost.
return function(work, a, b, c, d, e)
  return pcall(run, work, a, b, c, d, e)
end
