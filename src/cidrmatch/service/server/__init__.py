"""The server beside the request: a gateway asks it about each request, and people ask it about lists.

    settings   what the server is told at start, and which of it is refused
    forward    /auth and /envoy/...     the gateway's question: may this request pass?
    envoy      the same question of Envoy by gRPC, on a second port
    api        /v1/...                  questions of people and programs
    metrics    /metrics                 counters, a histogram, the age of the data
    admin      /v1/admin/...            reading and changing a store
    source     the data of a worker: a snapshot or a store
    app        all of it as one ASGI application, in each worker
    logs       JSON lines on stderr
    command    `cidrmatch serve`, which starts the workers

It needs the extra `server`: granian, Starlette and prometheus-client.  The question by gRPC needs `server-grpc`,
a store needs `sql`.
"""

from __future__ import annotations
