-- Gives places back. ARGV: members. Answers how many of them were held.
if #ARGV == 1 then
    local was_held = redis.call('ZREM', leases, ARGV[1])
    if was_held == 1 then
        give_back(ARGV)
    end
    return was_held
end
local scores = redis.call('ZMSCORE', leases, unpack(ARGV))
local ended, seen = {}, {}
for at, member in ipairs(ARGV) do
    if scores[at] and not seen[member] then
        seen[member] = true
        ended[#ended + 1] = member
    end
end
if 0 < #ended then
    redis.call('ZREM', leases, unpack(ended))
    give_back(ended)
end
return #ended
