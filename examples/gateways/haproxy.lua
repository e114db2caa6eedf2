-- haproxy.lua asks cidrmatch about one request; haproxy.cfg says when, and denies what is not marked here.
--
--   X-API-Key         all lines of it, as the client wrote them: two lines are no key
--   X-Forwarded-For   the connection's address, whatever the client wrote
--   X-Forwarded-...   method and path, for the usage log
--
-- Write your token in the place of TOKEN-OF-CIDRMATCH.  Whoever can read this file can read the token.

local TOKEN = "TOKEN-OF-CIDRMATCH"
local URL = "http://127.0.0.1:9180/auth"
local MILLISECONDS = 500 -- HAProxy asks up to four times

-- The lines of a header as a list.  HAProxy counts them from 0, and gives nil for no line.
local function lines_of(headers, name)
    local lines = {}
    for _, line in pairs(headers and headers[name] or {}) do
        lines[#lines + 1] = line
    end
    return lines
end

local function ask(txn)
    local headers = {
        ["x-forwarded-for"] = { txn.f:src() },
        ["x-forwarded-method"] = { txn.sf:method() }, -- this and the path are for the usage log alone
        ["x-forwarded-uri"] = { txn.sf:path() },
    }
    local keys = lines_of(txn.http:req_get_headers(), "x-api-key")
    if #keys > 0 then
        headers["x-api-key"] = keys
    end
    return core.httpclient():get({ url = URL, headers = headers, timeout = MILLISECONDS })
end

core.register_action("cidrmatch", { "http-req" }, function(txn)
    local answer = ask(txn)
    local tokens = lines_of(answer.headers, "x-cidrmatch-token")
    if answer.status == 204 and #tokens == 1 and tokens[1] == TOKEN then
        txn:set_var("txn.cidrmatch", "allowed")
    elseif answer.status and answer.status >= 400 and answer.status < 500 then
        local reply = txn:reply({ status = answer.status, body = answer.body })
        reply:add_header("content-type", lines_of(answer.headers, "content-type")[1] or "text/plain")
        reply:add_header("cache-control", "no-store")
        txn:done(reply)
    end
end)
