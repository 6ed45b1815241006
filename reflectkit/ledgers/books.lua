-- reflectkit/budget/ledger.py, said to Redis: one script, so that an operation, or several, are one
-- round trip and nobody comes between. What the rules mean stands there; a test holds the two to one another.
--
-- KEYS  accounts   hash  account -> "window ends spent reserved extra cap" (cap "-": none given)
--       limits     hash  scope -> {account -> most}, packed
--       holdings   hash  id -> the call, packed
--       waiting    zset  ids in line, by number
--       deadlines  zset  ids by the time at which they expire
--       lines      hash  account -> how many in line stand there
-- ARGV  time ("": the server's), milliseconds that a lease lives, [[operation, payload] ...] as JSON

local ACCOUNTS, LIMITS, HOLDINGS, WAITING, DEADLINES, LINES = unpack(KEYS)
local TTL, PAYLOAD = tonumber(ARGV[2]), nil
local MOST = 9007199254740991
local REMEMBERED, TICKET = 7 * 86400000, 4
local LENGTHS = { minute = 60000, hour = 3600000, day = 86400000 }
local NOW = tonumber(ARGV[1])
if not NOW then
  local time = redis.call("TIME")
  NOW = time[1] * 1000 + math.floor(time[2] / 1000)
end

local function whole(number)
  return string.format("%.0f", number)
end

-- Days since 1970 of the first of a month, months counted from year 0.
local function first_day(months)
  local year, month = math.floor((months - 2) / 12), (months - 2) % 12
  local era = math.floor(year / 400)
  local of_era = year - era * 400
  local days = of_era * 365 + math.floor(of_era / 4) - math.floor(of_era / 100)
  return era * 146097 + days + math.floor((153 * month + 2) / 5) - 719468
end

local function window(per)
  if per == "ever" then return 0, MOST end
  local length = LENGTHS[per]
  if length then
    local begin = NOW - NOW % length
    return begin, begin + length
  end
  local day = math.floor(NOW / 86400000)
  local months = math.floor(day / 30.436875) + 1970 * 12 - 1  -- at most one too few, or one too many
  while first_day(months + 1) <= day do months = months + 1 end
  while first_day(months) > day do months = months - 1 end
  return first_day(months) * 86400000, first_day(months + 1) * 86400000
end

local function parts(key)
  return key:match("^(.*)/([^/]*)/([^/]*)$")
end

-- Accounts: read once, written back at the end.
local known, limits_known = {}, {}

local function roll(account)
  if NOW >= account.ends then
    local _, _, per = parts(account.key)
    account.window, account.ends = window(per)
    account.spent, account.extra = 0, 0
  end
end

local function read(key, text)
  local w, e, s, r, x, c = text:match("^(%S+) (%S+) (%S+) (%S+) (%S+) (%S+)$")
  return {
    key = key, window = tonumber(w), ends = tonumber(e), spent = tonumber(s),
    reserved = tonumber(r), extra = tonumber(x), cap = tonumber(c),
  }
end

local function fresh(key)
  local _, _, per = parts(key)
  local begin, ends = window(per)
  return { key = key, window = begin, ends = ends, spent = 0, reserved = 0, extra = 0 }
end

local function account_of(key)
  local account = known[key]
  if not account then
    local text = redis.call("HGET", ACCOUNTS, key)
    account = text and read(key, text) or fresh(key)
    known[key] = account
  end
  roll(account)
  return account
end

local function save()
  for key, a in pairs(known) do
    local text = table.concat({
      whole(a.window), whole(a.ends), whole(a.spent), whole(a.reserved), whole(a.extra),
      a.cap and whole(a.cap) or "-",
    }, " ")
    redis.call("HSET", ACCOUNTS, key, text)
  end
end

local function limits_of(scope)
  if limits_known[scope] == nil then
    local packed = redis.call("HGET", LIMITS, scope)
    limits_known[scope] = packed and cmsgpack.unpack(packed) or {}
  end
  return limits_known[scope]
end

local function sorted(map)
  local keys = {}
  for key in pairs(map) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

-- Holdings.
local function holding_of(id)
  local packed = redis.call("HGET", HOLDINGS, id)
  return packed and cmsgpack.unpack(packed)
end

local function unline(holding)
  for _, key in ipairs(holding.keys or {}) do
    if redis.call("HINCRBY", LINES, key, -1) <= 0 then redis.call("HDEL", LINES, key) end
  end
end

local function line_up(holding, keys)
  unline(holding)
  holding.keys = keys
  for _, key in ipairs(keys) do redis.call("HINCRBY", LINES, key, 1) end
end

local function put(holding)
  redis.call("HSET", HOLDINGS, holding.id, cmsgpack.pack(holding))
  redis.call("ZADD", DEADLINES, whole(holding.deadline), holding.id)
end

local function drop(holding)
  unline(holding)
  redis.call("HDEL", HOLDINGS, holding.id)
  redis.call("ZREM", DEADLINES, holding.id)
  redis.call("ZREM", WAITING, holding.id)
end

local function deadline(state)
  return NOW + (state == "waiting" and math.floor(TTL / TICKET) or TTL)
end

-- One call at one of its accounts.
local function free(line)
  local a = line.account
  return line.cap + a.extra - a.spent - a.reserved
end

local function needs(line, completion)
  return line.fixed + line.rate * completion
end

local function hopeless(line, completion)
  local a = line.account
  local ever = line.cap + a.extra - a.spent
  if a.ends < MOST then ever = math.max(ever, line.cap) end
  return needs(line, completion) > ever
end

local function amounts_of(demand, key)
  local _, unit = parts(key)
  if unit == "tokens" then return demand.prompt, 1 end
  if unit == "money" then
    return demand.prompt * demand.price_prompt, demand.price_completion
  end
  return demand.calls, 0
end

local function lines_of(order)
  local lines, by_key = {}, {}
  local function join(key, most, shortage)
    local line = by_key[key]
    if not line then
      local fixed, rate = amounts_of(order.demand, key)
      line = {
        account = account_of(key), cap = most, fixed = fixed, rate = rate, shortage = shortage,
      }
      by_key[key], lines[#lines + 1] = line, line
    elseif most < line.cap then
      line.cap = most
    end
  end
  for _, claim in ipairs(order.claims) do
    for _, cap in ipairs(claim.caps) do
      join(cap[1], cap[2], claim.shortage)
    end
    local stored = limits_of(claim.scope)
    for _, key in ipairs(sorted(stored)) do join(key, stored[key], claim.shortage) end
  end
  return lines
end

local function most_of(line, wanted)
  local rest = free(line) - line.fixed
  if rest < 0 then return -1 end
  if line.rate == 0 then return wanted end
  local fits = math.floor(rest / line.rate)
  if fits * line.rate > rest then fits = fits - 1 end
  return math.min(wanted, fits)
end

local function weigh(order, blocked)
  local lines = lines_of(order)
  local weighed = {
    lines = lines, completion = order.demand.completion, bound_by = "", short = {}, queued = {},
  }
  for _, line in ipairs(lines) do
    if line.shortage == "shrink" then
      local most = most_of(line, weighed.completion)
      if most < order.demand.floor then
        line.short = true
        weighed.short[#weighed.short + 1] = line
      elseif most < weighed.completion then
        weighed.completion, weighed.bound_by = most, line.account.key
      end
    end
  end
  for _, line in ipairs(lines) do
    if line.shortage ~= "shrink" and needs(line, weighed.completion) > free(line) then
      line.short = true
      weighed.short[#weighed.short + 1] = line
    elseif blocked[line.account.key] then
      weighed.queued[#weighed.queued + 1] = line
    end
  end
  weighed.fits = #weighed.short == 0 and #weighed.queued == 0
  return weighed
end

local function verdict(weighed)
  local final, first, ends = nil, nil, MOST
  for _, group in ipairs({ weighed.short, weighed.queued }) do
    for _, line in ipairs(group) do
      first = first or line
      ends = math.min(ends, line.account.ends)
      local refuses = line.shortage ~= "wait"
        or (line.short and hopeless(line, weighed.completion))
      if refuses and not final then final = line end
    end
  end
  local line = final or first
  local a = line.account
  return {
    key = a.key, cap = line.cap + a.extra, spent = a.spent, reserved = a.reserved,
    needed = needs(line, weighed.completion), ends = final and a.ends or ends,
    waiting = not final, queued = not line.short,
    hopeless = line.short and hopeless(line, weighed.completion),
  }
end

local function grant(order, weighed, holding)
  if holding then drop(holding) end
  local amounts = {}
  for i, line in ipairs(weighed.lines) do
    local amount = needs(line, weighed.completion)
    line.account.reserved = line.account.reserved + amount
    amounts[i] = { line.account.key, amount }
  end
  put({
    id = order.id, state = "held", deadline = deadline("held"), amounts = amounts,
    completion = weighed.completion, bound_by = weighed.bound_by,
  })
  return { "granted", weighed.completion, weighed.bound_by }
end

local function pass(before)
  local blocked, count, waited = {}, 0, redis.call("HLEN", LINES)
  if waited == 0 then return blocked, false end
  for _, id in ipairs(redis.call("ZRANGE", WAITING, 0, -1)) do
    if id == before or count >= waited then break end
    local holding = holding_of(id)
    local weighed = weigh(holding.order, blocked)
    if weighed.fits then
      grant(holding.order, weighed, holding)
      if next(blocked) then return blocked, true end
    elseif verdict(weighed).waiting then
      for _, line in ipairs(weighed.short) do
        local key = line.account.key
        if not blocked[key] then
          blocked[key] = true
          if redis.call("HEXISTS", LINES, key) == 1 then count = count + 1 end
        end
      end
    else
      drop(holding)
    end
    waited = redis.call("HLEN", LINES)
  end
  return blocked, false
end

local function serve(before)
  for _, key in ipairs(redis.call("HKEYS", LINES)) do account_of(key) end
  local blocked, again
  repeat blocked, again = pass(before) until not again
  return blocked
end

local function expire()
  for _, id in ipairs(redis.call("ZRANGEBYSCORE", DEADLINES, "-inf", whole(NOW))) do
    local holding = holding_of(id)
    drop(holding)
    if holding.state == "held" then
      for _, pair in ipairs(holding.amounts) do
        local account = account_of(pair[1])
        account.reserved = account.reserved - pair[2]
      end
      holding.state, holding.deadline = "expired", NOW + REMEMBERED
      put(holding)
    end
  end
end

local operations = {}

function operations.reserve()
  local order = PAYLOAD
  local holding = holding_of(order.id)
  if holding and holding.state == "held" then
    return { "granted", holding.completion, holding.bound_by }
  end
  if holding and holding.state == "expired" then
    drop(holding)
    holding = nil
  end
  local weighed = weigh(order, serve(order.id))
  for _, claim in ipairs(order.claims) do
    for _, cap in ipairs(claim.caps) do account_of(cap[1]).cap = cap[2] end
  end
  if weighed.fits then return grant(order, weighed, holding) end
  local short = verdict(weighed)
  if not short.waiting then
    if holding then
      drop(holding)
      serve()
    end
  elseif holding then
    holding.deadline = deadline("waiting")
    put(holding)
  else
    local keys = {}
    for i, line in ipairs(weighed.lines) do keys[i] = line.account.key end
    local last = redis.call("ZREVRANGE", WAITING, 0, 0, "WITHSCORES")
    local ticket = { id = order.id, state = "waiting", deadline = deadline("waiting"), order = order }
    line_up(ticket, keys)
    put(ticket)
    redis.call("ZADD", WAITING, (tonumber(last[2]) or 0) + 1, order.id)
  end
  local function bit(value) return value and 1 or 0 end
  return {
    "short", short.key, short.cap, short.spent, short.reserved, short.needed, NOW, short.ends,
    bit(short.waiting), bit(short.queued), bit(short.hopeless),
  }
end

function operations.commit()
  local holding = holding_of(PAYLOAD.id)
  if not holding then return "unknown" end
  drop(holding)
  local touched = holding.state == "waiting"
  for _, pair in ipairs(holding.amounts or {}) do
    local _, unit = parts(pair[1])
    local account = account_of(pair[1])
    account.spent = account.spent + PAYLOAD[unit]
    if holding.state == "held" then account.reserved = account.reserved - pair[2] end
    touched = touched or redis.call("HEXISTS", LINES, pair[1]) == 1
  end
  if touched then serve() end
  return holding.state == "expired" and "late" or "in time"
end

function operations.renew()
  for _, id in ipairs(PAYLOAD.ids) do
    local holding = holding_of(id)
    if holding and holding.state ~= "expired" then
      holding.deadline = deadline(holding.state)
      put(holding)
    end
  end
  serve()
  local states = {}
  for i, id in ipairs(PAYLOAD.ids) do
    local holding = holding_of(id)
    states[i] = holding and holding.state or ""
  end
  return states
end

function operations.top_up()
  local account = account_of(PAYLOAD.key)
  account.extra = account.extra + PAYLOAD.amount
  serve()
end

function operations.limit()
  local scope = parts(PAYLOAD.key)
  local stored = limits_of(scope)
  stored[PAYLOAD.key] = PAYLOAD.most ~= cjson.null and PAYLOAD.most or nil
  if next(stored) then
    redis.call("HSET", LIMITS, scope, cmsgpack.pack(stored))
  else
    redis.call("HDEL", LIMITS, scope)
  end
  for _, id in ipairs(redis.call("ZRANGE", WAITING, 0, -1)) do
    local holding, keys, ours = holding_of(id), {}, false
    for _, claim in ipairs(holding.order.claims) do ours = ours or claim.scope == scope end
    if ours then
      for i, line in ipairs(lines_of(holding.order)) do keys[i] = line.account.key end
      line_up(holding, keys)
      put(holding)
    end
  end
  serve()
end

-- The accounts of one scope, or ("") all, as they stand.
local function accounts_in(scope)
  local found = {}
  local all = redis.call("HGETALL", ACCOUNTS)
  for i = 1, #all, 2 do
    if scope == "" or parts(all[i]) == scope then
      known[all[i]] = known[all[i]] or read(all[i], all[i + 1])
      found[all[i]] = known[all[i]]
    end
  end
  return found
end

function operations.reset()
  save()
  for key, account in pairs(accounts_in(PAYLOAD.scope)) do
    account.spent, account.extra = 0, 0
    if account.reserved == 0 then
      known[key] = nil
      redis.call("HDEL", ACCOUNTS, key)
    end
  end
  serve()
end

function operations.balances()
  serve()
  save()
  local accounts, stored, rows = accounts_in(PAYLOAD.scope), {}, {}
  if PAYLOAD.scope == "" then
    for _, packed in ipairs(redis.call("HVALS", LIMITS)) do
      for key, most in pairs(cmsgpack.unpack(packed)) do stored[key] = most end
    end
  else
    stored = limits_of(PAYLOAD.scope)
  end
  for key in pairs(stored) do accounts[key] = accounts[key] or fresh(key) end
  for i, key in ipairs(sorted(accounts)) do
    local a = accounts[key]
    roll(a)
    local cap = math.min(a.cap or MOST, stored[key] or MOST)
    if not a.cap and not stored[key] then cap = 0 end
    rows[i] = { key, cap, stored[key] and 1 or 0, a.spent, a.reserved, a.extra, a.ends }
  end
  return rows
end

expire()
local answers = {}
for i, step in ipairs(cjson.decode(ARGV[3])) do
  PAYLOAD = step[2]
  answers[i] = operations[step[1]]() or 0
end
save()
return answers
