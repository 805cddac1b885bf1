-- KEYS: a counter. ARGV: how much more, how long it lasts (ms). Answers what it is then.
local value = redis.call('INCRBY', KEYS[1], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return value
