-- wrk script: Kafka REST v2 produce requests, built before the clock starts.
-- wrk -s post.lua URL -- RECORDS_A_REQUEST FILE      FILE holds one JSON object a line
local BODIES = 512
local bodies, turn = {}, 0

function init(args)
  local records, lines = tonumber(args[1]), {}
  for line in io.lines(args[2]) do lines[#lines + 1] = line end
  local at = math.random(#lines)
  for body = 1, BODIES do
    local parts = {}
    for record = 1, records do
      at = at % #lines + 1
      parts[record] = '{"value":' .. lines[at] .. '}'
    end
    local text = '{"records":[' .. table.concat(parts, ",") .. ']}'
    bodies[body] = wrk.format("POST", nil, { ["Content-Type"] = "application/vnd.kafka.json.v2+json" }, text)
  end
end

function request()
  turn = turn % BODIES + 1
  return bodies[turn]
end

function done(summary, latency)
  io.write(string.format('{"requests":%d,"seconds":%.3f,"p50_ms":%.3f,"p99_ms":%.3f,"failed":%d}\n', summary.requests,
    summary.duration / 1e6, latency:percentile(50) / 1000, latency:percentile(99) / 1000,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout + summary.errors.status))
end
