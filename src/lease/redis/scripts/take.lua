-- One decision: takes a place in every pool of a chain, or in none.
-- ARGV: epoch, how long it lasts (ms), member, 1 if it is held already, then each pool and its cap.
-- Answers {0, value…} held, {n, value…} the n-th pool is full, {-1} another epoch, {-2, ms} holders register again for so long.
local names = {}
for at = 5, #ARGV, 2 do
    names[#names + 1] = ARGV[at]
end
local said = redis.call('HMGET', held, '!epoch', '!opens', unpack(names))
if said[1] ~= ARGV[1] then
    return {-1}
end
local is_held_already = ARGV[4] == '1'
local opens = tonumber(said[2])
if now < opens and not is_held_already then
    return {-2, opens - now}
end
local answer, counted = {0}, {}
for level = 1, #names do
    local value = tonumber(said[level + 2] or 0)
    if answer[1] == 0 and not is_held_already and tonumber(ARGV[4 + 2 * level]) <= value then
        answer[1] = level
    end
    answer[level + 1] = value
    counted[2 * level - 1] = names[level]
    counted[2 * level] = value + 1
end
if 0 < answer[1] then
    return answer
end
redis.call('ZADD', leases, now + tonumber(ARGV[2]), ARGV[3])
redis.call('HSET', held, unpack(counted))
for level = 1, #names do
    answer[level + 1] = answer[level + 1] + 1
end
return answer
