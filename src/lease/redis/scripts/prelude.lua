-- What all decisions begin with: the time, and counting out what has expired, up to a thousand leases: more are left to the next decision, and count until then.
--   held     hash: how many are held in each pool; `!epoch`, `!run`, `!opens` (see open.lua)
--   leases   sorted set: `<lease>|<pool>|<pool>…` by when it expires, in milliseconds; `!<epoch>` never does, and shows that the set is whole
local held, leases = KEYS[1], KEYS[2]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- Counts these leases out of their pools. They are not in the set any more.
local function give_back(members)
    local less, names = {}, {}
    for _, member in ipairs(members) do
        for name in string.gmatch(member, '|([^|]+)') do
            if not less[name] then
                less[name] = 0
                names[#names + 1] = name
            end
            less[name] = less[name] + 1
        end
    end
    if #names == 0 then
        return
    end
    local values = redis.call('HMGET', held, unpack(names))
    local counted, empty = {}, {}
    for at, name in ipairs(names) do
        local value = tonumber(values[at] or 0) - less[name]
        if 0 < value then
            counted[#counted + 1] = name
            counted[#counted + 1] = value
        else
            empty[#empty + 1] = name
        end
    end
    if 0 < #counted then
        redis.call('HSET', held, unpack(counted))
    end
    if 0 < #empty then
        redis.call('HDEL', held, unpack(empty))
    end
end

for _ = 1, 5 do
    local gone = redis.call('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, 200)
    if #gone == 0 then
        break
    end
    redis.call('ZREM', leases, unpack(gone))
    give_back(gone)
end
