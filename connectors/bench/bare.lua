-- The ceiling of any connector of this design: a handler that makes one bare cosocket
-- call to the node. The bytes that it sends are constant and of the length of the
-- plugin's, and it looks at nothing in the answer.
local bare = {}

local tcp = ngx.socket.tcp

-- A call about a request like that of the benchmark, with a body of `size` bytes.
function bare.call_of(size)
  local inner = (size > 0 and "POST" or "GET") .. " /bench?a=1 HTTP/1.1\r\nHost: 127.0.0.1:20000\r\n"
    .. (size > 0 and "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: " .. size .. "\r\n" or "")
    .. "\r\n" .. (size > 0 and "q=" .. ("a"):rep(size - 2) or "")
  return "POST /v1/requests HTTP/1.1\r\nHost: 127.0.0.1:20001\r\nContent-Type: message/http; msgtype=request\r\n"
    .. "Inspector-Connector: weir-nginx/1.0.0\r\nInspector-Request-Id: abcdefghijklmnopqrstuv\r\n"
    .. "Inspector-Client: 127.0.0.1:40000\r\nInspector-Scheme: http\r\nInspector-Protocol: HTTP/1.1\r\n"
    .. "Inspector-Deadline: 1000\r\nInspector-Call-Id: abcdefgh\r\nContent-Length: " .. #inner .. "\r\n\r\n" .. inner
end

local calls = { [0] = bare.call_of(0), [1024] = bare.call_of(1024) }

function bare.access(host, port)
  local sock = tcp()
  sock:settimeouts(1000, 1000, 1000)
  local ok
  if port then
    ok = sock:connect(host, port)
  else
    ok = sock:connect(host)
  end
  if not ok then
    return ngx.exit(500)
  end
  if not sock:send(calls[tonumber(ngx.var.content_length) or 0]) or not sock:receiveany(4096) then
    return ngx.exit(500)
  end
  sock:setkeepalive(60000, 64)
end

return bare
