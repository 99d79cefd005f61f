local recent = require "kong.plugins.kong-lua.recent"

describe("recent entries", function()
  it("are kept while they are used, in bounded memory", function()
    local kept = recent.new(10)
    kept:put("used", 1)
    for i = 1, 1000 do
      kept:put(i, i)
      assert.equal(1, kept:get("used"))
    end
    assert.equal(1000, kept:get(1000))
    assert.is_nil(kept:get(1))
    local size = 0
    for _, generation in ipairs({ kept.young, kept.old }) do
      for _ in pairs(generation) do
        size = size + 1
      end
    end
    assert.is_true(size <= 20)
  end)

  it("can be replaced, false, and taken once", function()
    local kept = recent.new(2)
    kept:put("a", false)
    assert.is_false(kept:get("a"))
    kept:put("a", "new")
    kept:put("b", 2)
    kept:put("c", 3)
    assert.equal("new", kept:take("a"))
    assert.is_nil(kept:take("a"))
    assert.is_nil(kept:get("a"))
    assert.equal(3, kept:take("c"))
    assert.is_nil(kept:get("c"))
    assert.equal(2, kept:get("b"))
  end)
end)
