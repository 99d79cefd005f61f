//! What the server of shared counters does with a batch.

/// Adds a batch to a counter, unless it has been added already, and returns the counts of all replicas.
///
/// KEYS: counts by slot and the last batch of each node; different values by time; the stream of announcements.
/// ARGV: node, number of the batch, window in milliseconds, limit, key, number of slots, slot and count of each, values.
/// Returns slots with counts, and the number of different values. Slots are by the server's time, as nodes know it.
pub(super) const SCRIPT: &str = r"
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local batch, window, limit, slots = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[6])
local last = tonumber(redis.call('HGET', KEYS[1], 'n:' .. ARGV[1]) or '0')
local values, lowered = 7 + 2 * slots, false
if slots > 0 and last < batch then
  for at = 7, values - 1, 2 do
    redis.call('HINCRBY', KEYS[1], ARGV[at], ARGV[at + 1])
    lowered = lowered or tonumber(ARGV[at + 1]) < 0
  end
  redis.call('HSET', KEYS[1], 'n:' .. ARGV[1], ARGV[2])
  redis.call('PEXPIRE', KEYS[1], 2 * window + 10000)
end
for at = values, #ARGV do
  redis.call('ZADD', KEYS[2], now, ARGV[at])
end
local distinct = 0
if values <= #ARGV then
  redis.call('ZREMRANGEBYSCORE', KEYS[2], 0, now - window)
  redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -4097)
  redis.call('PEXPIRE', KEYS[2], window + 10000)
  distinct = redis.call('ZCARD', KEYS[2])
end
local all, out, sum = redis.call('HGETALL', KEYS[1]), {}, 0
local oldest = math.floor(now / math.max(math.floor(window / 16), 1)) - 17
for at = 1, #all, 2 do
  local slot = tonumber(all[at])
  if slot and slot < oldest then
    redis.call('HDEL', KEYS[1], all[at])
  elseif slot then
    out[#out + 1] = all[at]
    out[#out + 1] = all[at + 1]
    sum = sum + tonumber(all[at + 1])
  end
end
if lowered or 2 * sum >= limit or 2 * distinct >= limit then
  local text = ARGV[3] .. ' ' .. ARGV[4] .. ' ' .. distinct .. ' ' .. ARGV[5] .. ' ' .. table.concat(out, ' ')
  redis.call('XADD', KEYS[3], 'MAXLEN', '~', 20000, '*', 'h', text)
end
return {out, distinct}
";

/// Slots and counts, as the script returns them.
pub(super) fn parse_counts(words: &[String]) -> Vec<(u64, i32)> {
    let pair = |pair: &[String]| Some((pair[0].parse().ok()?, pair[1].parse().ok()?));
    words.chunks_exact(2).filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_and_garbage_is_left_out() {
        let words = ["10", "3", "x", "1", "11", "-2", "12"].map(str::to_owned);
        assert_eq!(parse_counts(&words), [(10, 3), (11, -2)]);
    }
}
