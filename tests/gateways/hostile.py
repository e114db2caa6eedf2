"""Requests that no client library sends, and that servers and proxies read in their own ways."""

from __future__ import annotations


def hostile(key: str = "key_1", address: str = "203.0.113.9") -> dict[str, bytes]:
    """Make requests with a key that none of them may use, though they say that they come from a listed address."""
    start = b"GET / HTTP/1.1\r\nHost: test\r\nX-API-Key: " + key.encode() + b"\r\n"
    end = b"Connection: close\r\n\r\n"
    home = address.encode()
    lines = {
        "an underscore": b"X_Forwarded_For: " + home + b"\r\nX-Forwarded-For: 198.51.100.1\r\n",
        "an underscore alone": b"X_Forwarded_For: " + home + b"\r\n",
        "a name with a space": b"X-Forwarded-For : " + home + b"\r\nX-Forwarded-For: 198.51.100.1\r\n",
        "a folded line": b"X-Forwarded-For: " + home + b"\r\n , 198.51.100.1\r\n",
        "a fold before": b"X-Pad: 1\r\n X-Forwarded-For: " + home + b"\r\nX-Forwarded-For: 198.51.100.1\r\n",
        "NUL": b"X-Forwarded-For: " + home + b"\x00\r\n",
        "NUL before a comma": b"X-Forwarded-For: \x00, " + home + b"\x00, 10.0.0.8\r\n",
        "latin-1": b"X-Forwarded-For: \xe9\xff, 198.51.100.1\r\n",
        "latin-1 last": b"X-Forwarded-For: " + home + b", \xa0\r\n",
        "a bare CR": b"X-Forwarded-For: " + home + b"\r, 198.51.100.1\r\n",
        "a bare LF": b"X-Forwarded-For: 198.51.100.1\nX-Other: " + home + b"\r\n",
        "64 KiB": b"X-Forwarded-For: " + b"6.6.6.6," * 8_192 + home + b"\r\n",
        "10,000 elements": b"X-Forwarded-For: " + b"," * 10_000 + home + b"\r\n",
        "10,000 lines": b"X-Forwarded-For: 6.6.6.6\r\n" * 10_000 + b"X-Forwarded-For: " + home + b"\r\n",
        "two keys": b"X-API-Key: open\r\nX-Forwarded-For: 198.51.100.1\r\n",
    }
    requests = {name: start + line + end for name, line in lines.items()}
    requests["HTTP/1.0"] = start.replace(b"1.1", b"1.0").replace(b"Host: test\r\n", b"") + lines["latin-1"] + b"\r\n"
    requests["an absolute target"] = b"GET http://" + home + b"/ HTTP/1.1\r\n" + start.partition(b"\r\n")[2] + end
    requests["no header at all"] = b"GET / HTTP/1.1\r\n\r\n"
    requests["garbage"] = b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n"
    requests["the PROXY protocol"] = b"PROXY TCP4 " + home + b" 127.0.0.1 1 2\r\n" + start + end
    return requests
