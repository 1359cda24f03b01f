-- What wrk sends, and what it tells at the end: one line of JSON.
--   BENCH_REQUESTS   a file with a path and a key on each line, sent in turn
--   BENCH_BODY       POST a body of this many bytes

local list = os.getenv("BENCH_REQUESTS")
local body = tonumber(os.getenv("BENCH_BODY") or "")

if body then
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/octet-stream"
  wrk.body = string.rep("x", body)
end

if list then
  local requests, sent = {}, 0

  -- wrk knows the Host field only from here on.
  function init()
    for line in io.lines(list) do
      local path, key = line:match("^(%S+)%s*(%S*)$")
      wrk.headers["X-API-Key"] = key ~= "" and key or nil
      requests[#requests + 1] = wrk.format("GET", path)
    end
  end

  function request()
    sent = sent % #requests + 1
    return requests[sent]
  end
end

function done(summary)
  local failed = summary.errors
  io.write(string.format(
    '{"requests":%d,"bytes":%d,"microseconds":%d,"errors":%d}\n',
    summary.requests, summary.bytes, summary.duration,
    failed.connect + failed.read + failed.write + failed.status + failed.timeout
  ))
end
