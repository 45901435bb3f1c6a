-- The load wrk sends: alerts as Prometheus posts them (its order of fields, names sorted, & escaped), about 800 bytes
-- each, 8 labels.
--
-- wrk ... -s load.lua -- KIND BATCH SET SEED STARTED PATH...
--   KIND   distinct: every alert is new. resent: the SET alerts that were sent before, again and again, with a later end.
--   BATCH  alerts per POST
--   SET    how many alerts there are (resent)
--   SEED   ten digits are counted up from here, so that two rounds never send the same distinct alert
--   STARTED  every alert's startsAt
--   PATH   one for each key; requests take them in turn
--
-- Eight instances of a service in a row have the same trouble; 50 services and two kinds of trouble make 100 groups.
-- Every request has the same length for the same path, so heads are made once. What is left to do per request is small
-- against what a server does with it: wrk itself sends some 60,000 of these a second.

local ffi = require("ffi")
ffi.cdef [[
  typedef struct { long sec; long usec; } tocsin_timeval;
  int gettimeofday(tocsin_timeval *now, void *zone);
]]
local clock = ffi.new("tocsin_timeval")
local concat, format, date, floor = table.concat, string.format, os.date, math.floor

local AHEAD = 240 -- Prometheus: four times the resend delay of a minute
local ZERO = 48

local kind, batch, set, counter
local heads, befores, afters = {}, {}, {}
local turn = 0
local started, second, stamp

-- An alert but for its end: what comes before it and what comes after it.
local function one(number)
  local n = tonumber(number)
  local service, latency = floor(n / 8) % 50, floor(n / 400) % 2 == 1
  return format(
    '{"annotations":{"description":"More than 5 %% of the requests of the last five minutes failed. The deployment, the'
      .. ' database and the queue behind it are linked from the dashboard; look there first.",'
      .. '"runbook_url":"https://runbooks.example.net/svc-%02d/error-rate",'
      .. '"summary":"Error rate of svc-%02d on node-%s is above its budget"},"endsAt":"',
    service, service, number
  ), format(
    '","startsAt":"%s","generatorURL":"http://prometheus-0.monitoring.example.net:9090/graph?g0.expr=rate%%28'
      .. 'http_requests_total%%7Bcode%%3D~%%225..%%22%%7D%%5B5m%%5D%%29+%%3E+0.05\\u0026g0.tab=1",'
      .. '"labels":{"alertname":"%s","cluster":"prod-eu-%d","instance":"node-%s.prod.example.net:9100","job":"svc-%02d",'
      .. '"namespace":"team-%02d","pod":"svc-%02d-7f9c6d5b4-%s","region":"eu-west-%d","severity":"%s"}}',
    started, latency and "HighLatencyP99" or "HighErrorRate", n % 2, number, service, n % 20, service, number,
    n % 3 + 1, latency and "warning" or "critical"
  )
end

local function ahead()
  ffi.C.gettimeofday(clock, nil)
  local now = tonumber(clock.sec)
  if now ~= second then
    second = now
    stamp = date("!%Y-%m-%dT%H:%M:%S", now + AHEAD)
  end
  return format("%s.%03dZ", stamp, floor(tonumber(clock.usec) / 1000))
end

function init(args)
  kind, batch, set, counter = args[1], tonumber(args[2]), tonumber(args[3]), tonumber(args[4])
  started = args[5]
  if kind == "resent" then
    for n = 0, set - 1 do befores[n], afters[n] = one(format("%010d", counter + n)) end
    counter = 0
  end
  local before, after = one(format("%010d", 0))
  local size = batch * (#before + 24 + #after) + (batch - 1) + 2
  for index = 6, #args do
    heads[#heads + 1] = "POST " .. args[index] .. " HTTP/1.1\r\nHost: " .. wrk.host .. ":" .. wrk.port
      .. "\r\nUser-Agent: Prometheus/2.42.0\r\nContent-Type: application/json\r\nContent-Length: " .. size .. "\r\n\r\n["
  end
end

local parts = {}

function request()
  turn = turn % #heads + 1
  local ends = ahead()
  parts[1] = heads[turn]
  local at = 1
  for n = 1, batch do
    if kind == "resent" then
      parts[at + 1], parts[at + 3] = befores[counter], afters[counter]
      counter = (counter + 1) % set
    else
      parts[at + 1], parts[at + 3] = one(format("%010d", counter))
      counter = counter + 1
    end
    parts[at + 2] = ends
    parts[at + 4] = n < batch and "," or "]"
    at = at + 4
  end
  return concat(parts, "", 1, at)
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(format(
    '\nJSON {"requests":%d,"microseconds":%d,"bytes":%d,"connect":%d,"read":%d,"write":%d,"timeout":%d,"status":%d,'
      .. '"p50":%d,"p90":%d,"p99":%d,"max":%d}\n',
    summary.requests, summary.duration, summary.bytes, errors.connect, errors.read, errors.write, errors.timeout,
    errors.status, latency:percentile(50), latency:percentile(90), latency:percentile(99), latency.max
  ))
end
