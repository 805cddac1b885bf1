-- What a node asks when it comes, and each second: which epoch it is. ARGV: the server's run, an epoch to begin if there is none, how long holders then register (ms).
-- A server that was started anew, or another than the one that kept the leases, may have lost some: what is left of them is dropped and a new epoch begins.
-- Answers {epoch, ms until decisions are made}.
local said = redis.call('HMGET', held, '!epoch', '!run', '!opens')
if said[1] and said[2] == ARGV[1] and redis.call('ZSCORE', leases, '!' .. said[1]) then
    return {said[1], math.max(0, tonumber(said[3]) - now)}
end
redis.call('DEL', held, leases)
redis.call('HSET', held, '!epoch', ARGV[2], '!run', ARGV[1], '!opens', now + tonumber(ARGV[3]))
redis.call('ZADD', leases, '+inf', '!' .. ARGV[2])
return {ARGV[2], tonumber(ARGV[3])}
