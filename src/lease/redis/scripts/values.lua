-- ARGV: epoch, pools. Answers {-1} another epoch, or {0, value…}.
local said = redis.call('HMGET', held, '!epoch', unpack(ARGV, 2))
if said[1] ~= ARGV[1] then
    return {-1}
end
local answer = {0}
for at = 2, #ARGV do
    answer[at] = tonumber(said[at] or 0)
end
return answer
