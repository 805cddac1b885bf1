-- When the next one may begin: `pace.rs` in the server. KEYS: the pace. ARGV: interval, tolerance, longest wait, all in microseconds.
-- Answers {1, wait} its turn, {0, wait} no room for so long.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local due = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
local wait = math.max(0, due - tonumber(ARGV[2]) - now)
local over = wait - tonumber(ARGV[3])
if 0 < over then
    return {0, over}
end
due = due + tonumber(ARGV[1])
redis.call('SET', KEYS[1], string.format('%.0f', due), 'PX', string.format('%.0f', math.ceil((due - now) / 1000) + 1))
return {1, wait}
