-- Extends leases from now on. ARGV: epoch, how long (ms), members. Answers {-1} another epoch, or 1 for each that was there and 0 for each that was not.
if redis.call('HGET', held, '!epoch') ~= ARGV[1] or not redis.call('ZSCORE', leases, '!' .. ARGV[1]) then
    return {-1}
end
local members = {}
for at = 3, #ARGV do
    members[#members + 1] = ARGV[at]
end
local until_when = now + tonumber(ARGV[2])
local scores = redis.call('ZMSCORE', leases, unpack(members))
local extended, answer = {}, {}
for at, member in ipairs(members) do
    if scores[at] then
        extended[#extended + 1] = until_when
        extended[#extended + 1] = member
        answer[at] = 1
    else
        answer[at] = 0
    end
end
if 0 < #extended then
    redis.call('ZADD', leases, 'XX', unpack(extended))
end
return answer
