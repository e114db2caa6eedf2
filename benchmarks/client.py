"""Who asks, and what the guard adds: the client's address behind proxies, beside those who find it, too.

    python -m benchmarks.client             by turns, a minute; the results go to benchmarks/results/client
    python -m benchmarks.client --report    the newest of them into docs/performance-client.md

    items    requests as ASGI gives them: a dozen header lines, among them
             x-forwarded-for: 6.6.6.6, CLIENT, 10.0.0.8          one forged, the client, one proxy; the peer is another
    sides    each takes its own form of the same requests, made before the clock starts, and finds CLIENT

The answers of all are compared before any clock starts.  They agree on these requests; on others they do not:

    who                    what it leaves open
    werkzeug, uvicorn      the text is not looked at, so `junk` may be the client
    python-ipware          an element that is no address is passed over: `6.6.6.6, junk, 10.0.0.8` gives the forged one
    fastapi-guard          with such an element the client is the peer, a proxy
    forwarded              nothing: as here, there is no client then

The guard is asked around an application that does nothing, against that application alone, and once more behind
uvicorn, where a client on the loopback sends one request after the other.
"""

import argparse
import asyncio
import json
import random
import statistics
import sys
from collections.abc import Callable, MutableMapping, Sequence
from pathlib import Path
from time import perf_counter, strftime
from types import SimpleNamespace
from typing import Any

from forwarded import client_from_x_forwarded
from guard_core.sync.utils import extract_client_ip
from python_ipware import IpWare
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

from benchmarks import machine, ways
from benchmarks.contestants import Contestant
from benchmarks.paired import Patience, race
from benchmarks.questions import DisagreementError, Side
from benchmarks.report import fill
from benchmarks.ways import Way
from cidrmatch import Engine, Policy, format_address
from cidrmatch.client import TrustedHops, TrustedProxies
from cidrmatch.gateways.asgi import AllowListMiddleware
from cidrmatch.gateways.guard import Guard
from cidrmatch.gateways.wsgi import origin_by

RESULTS = Path(__file__).parent / "results" / "client"
DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "performance-client.md"
SHOWN_FACTS = ("date", "commit", "cpu", "python", "load")

PASS = 1_000
"""Requests in a pass; the slowest take ten milliseconds for them."""
PASSES = 8
PATIENCE = Patience(seconds=20, min_rounds=60, max_rounds=400)
PROXIES = ["10.0.0.0/8"]
PEER = "10.0.0.7"
Request = dict[str, Any]
Find = Callable[[Any], str | None]

LINES = (
    (b"host", b"api.example"),
    (b"user-agent", b"curl/8.5.0"),
    (b"accept", b"*/*"),
    (b"accept-encoding", b"gzip, deflate, br"),
    (b"content-type", b"application/json"),
    (b"content-length", b"0"),
    (b"x-request-id", b"7f3c1a0e5d2b4c8f"),
    (b"x-forwarded-proto", b"https"),
    (b"x-forwarded-host", b"api.example"),
    (b"x-api-key", b"key_live_1"),
)


def clients(turn: int) -> list[str]:
    """Draw the clients of a pass: half of them listed."""
    rng = random.Random(turn % PASSES)
    return [format_address(bytes([203, 0, 113 + rng.randrange(2), rng.randrange(256)])) for _ in range(PASS)]


def chain_of(client: str) -> str:
    return f"6.6.6.6, {client}, 10.0.0.8"


def scopes(turn: int) -> list[Request]:
    """Make requests of ASGI, with objects of their own, as a server does."""
    return [
        {
            "type": "http",
            "client": (PEER, 40_000),
            "scheme": "http",
            "headers": [*LINES, (b"x-forwarded-for", chain_of(client).encode()), (b"via", b"1.1 proxy")],
        }
        for client in clients(turn)
    ]


def environs(turn: int) -> list[Request]:
    """Make requests of WSGI."""
    return [
        {
            "REMOTE_ADDR": PEER,
            "HTTP_HOST": "api.example",
            "SERVER_NAME": "api.example",
            "SERVER_PORT": "80",
            "SERVER_SOFTWARE": "gunicorn/23.0.0",
            "wsgi.url_scheme": "http",
            "HTTP_X_FORWARDED_FOR": chain_of(client),
            **{f"HTTP_{name.decode().upper().replace('-', '_')}": value.decode() for name, value in LINES[1:]},
        }
        for client in clients(turn)
    ]


def chains(turn: int) -> list[str]:
    return [chain_of(client) for client in clients(turn)]


def namespaces(turn: int) -> list[Any]:
    """Make requests of the form that guard_core asks."""
    return [
        SimpleNamespace(state=SimpleNamespace(), client_host=PEER, headers={"X-Forwarded-For": chain_of(client)})
        for client in clients(turn)
    ]


# -- Who finds the client -----------------------------------------------------


def ours(strategy: TrustedProxies | TrustedHops) -> Find:
    def find(scope: Request) -> str | None:
        return strategy.find(scope["client"][0], scope["headers"]).address

    return find


def with_wsgi_face(strategy: TrustedProxies | TrustedHops) -> Find:
    origin_of = origin_by(Guard(Engine(Policy()), strategy), drops_underscores=False)

    def find(environ: Request) -> str | None:
        return strategy.find(*origin_of(environ)).address

    return find


def call(app: Any) -> Callable[[Request], None]:
    """Call an application of ASGI that waits for nothing."""

    def run(scope: Request) -> None:
        try:
            app(scope, None, None).send(None)
        except StopIteration:
            return
        raise RuntimeError("the application waited")

    return run


def with_uvicorn() -> Find:
    found: list[str] = []

    async def app(scope: Any, _receive: object, _send: object) -> None:
        found[:] = [scope["client"][0]]

    middleware: Any = ProxyHeadersMiddleware(app, trusted_hosts=PROXIES)

    run = call(middleware)

    def find(scope: Request) -> str | None:
        run(scope)
        return found[0]

    return find


def with_werkzeug() -> Find:
    def app(environ: Any, _start: object) -> Any:
        return environ["REMOTE_ADDR"]

    fixed: Any = ProxyFix(app, x_for=2, x_proto=0, x_host=0)
    return lambda environ: str(fixed(environ, None))


def with_ipware() -> Find:
    ipware = IpWare(proxy_list=["10."])
    return lambda meta: str(ipware.get_client_ip(meta)[0])


def with_guard_core() -> Find:
    config = SimpleNamespace(trusted_proxies=PROXIES, trusted_proxy_depth=2)
    return lambda request: extract_client_ip(request, config)


def with_forwarded() -> Find:
    return lambda chain: str(getattr(client_from_x_forwarded(chain, PEER, trusted=PROXIES), "node", None))


FINDERS: tuple[tuple[str, Find, Callable[[int], list[Any]]], ...] = (
    ("cidrmatch, TrustedProxies", ours(TrustedProxies(PROXIES)), scopes),
    ("cidrmatch, TrustedHops", ours(TrustedHops(2, trusted=PROXIES)), scopes),
    ("cidrmatch, TrustedHops from an environ", with_wsgi_face(TrustedHops(2, trusted=PROXIES)), environs),
    ("uvicorn, ProxyHeadersMiddleware", with_uvicorn(), scopes),
    ("werkzeug, ProxyFix", with_werkzeug(), environs),
    ("python-ipware", with_ipware(), environs),
    ("fastapi-guard, extract_client_ip", with_guard_core(), namespaces),
    ("forwarded, client_from_x_forwarded", with_forwarded(), chains),
)


def side_of(name: str, find: Callable[[Any], object], fresh: Callable[[int], list[Any]]) -> Side:
    contestant = Contestant(name, lambda _entries: find, Way(ways.ask_call))
    return Side(contestant, find, ways.own_copy(ways.ask_call), fresh, PASS)


def finding(patience: Patience) -> dict[str, float]:
    """Time who finds the client; microseconds a request."""
    for name, find, fresh in FINDERS:
        answers = [find(request) for request in fresh(0)]
        if answers != clients(0):
            raise DisagreementError(f"{name} finds other clients, such as {answers[0]}")
    sides = [side_of(*finder) for finder in FINDERS]
    return {
        side.contestant.name: statistics.median(mine) / 1_000
        for side, mine in zip(sides, race(sides, patience), strict=True)
    }


# -- What the guard adds ------------------------------------------------------


async def nothing(_scope: Any, _receive: Any, _send: Any) -> None:
    """Do nothing: the application whose request is free."""


async def hello(scope: Any, _receive: Any, send: Any) -> None:
    """Answer with two bytes."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


def guarded(app: Any) -> Any:
    engine = Engine(Policy())
    engine.put_key("key_live_1", ["203.0.113.0/24", "203.0.114.0/24", "2001:db8::/48"])
    guard = Guard(engine, TrustedProxies([*PROXIES, "127.0.0.1"]))
    return AllowListMiddleware(app, guard=guard, key=key_of)


def key_of(scope: MutableMapping[str, Any]) -> str | None:
    for name, value in scope["headers"]:
        if name == b"x-api-key":
            return str(value, "latin-1")
    return None


def adding(patience: Patience) -> dict[str, float]:
    """Time an application with and without the guard, and no server."""
    sides = [side_of("bare", call(nothing), scopes), side_of("guarded", call(guarded(nothing)), scopes)]
    bare, with_guard = race(sides, patience)
    return {
        "an application that does nothing": statistics.median(bare) / 1_000,
        "with the guard": statistics.median(with_guard) / 1_000,
        "the guard adds": statistics.median(b - a for a, b in zip(bare, with_guard, strict=True)) / 1_000,
    }


async def behind_uvicorn(rounds: int, requests: int = 200) -> dict[str, float]:
    """Time requests over the loopback, by turns with and without the guard; server and client share one loop."""
    import uvicorn

    times: dict[str, list[float]] = {"bare": [], "guarded": []}
    servers, tasks, ports = [], [], {}
    for name, app in (("bare", hello), ("guarded", guarded(hello))):
        config = uvicorn.Config(
            app, port=0, proxy_headers=False, access_log=False, log_level="error", http="httptools", lifespan="off"
        )
        server = uvicorn.Server(config)
        servers.append(server)
        tasks.append(asyncio.create_task(server.serve()))
        while not server.started:
            await asyncio.sleep(0.01)
        ports[name] = server.servers[0].sockets[0].getsockname()[1]
    line = b"\r\n".join(name + b": " + value for name, value in LINES)
    request = b"GET / HTTP/1.1\r\n" + line + b"\r\nx-forwarded-for: " + chain_of("203.0.113.9").encode() + b"\r\n\r\n"
    streams = {name: await asyncio.open_connection("127.0.0.1", port) for name, port in ports.items()}
    for turn in range(rounds):
        for name in sorted(times, reverse=turn % 2 == 0):
            reader, writer = streams[name]
            began = perf_counter()
            for _ in range(requests):
                writer.write(request)
                answer = await reader.readuntil(b"ok")
            times[name].append((perf_counter() - began) / (requests) * 1e6)
            if not answer.startswith(b"HTTP/1.1 200"):
                raise DisagreementError(f"{name} answered {answer!r}")
    for _, writer in streams.values():
        writer.close()
    for server in servers:
        server.should_exit = True
    await asyncio.gather(*tasks)
    return {
        "a request to uvicorn": statistics.median(times["bare"]),
        "to uvicorn with the guard": statistics.median(times["guarded"]),
        "the guard adds to a request": statistics.median(
            b - a for a, b in zip(times["bare"], times["guarded"], strict=True)
        ),
    }


# -- The run and the page -----------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.client", description="Measure who finds the client.")
    parser.add_argument("--quick", action="store_true", help="few rounds")
    parser.add_argument("--report", action="store_true", help="fill docs/performance-client.md from the newest run")
    options = parser.parse_args(arguments)
    if options.report:
        return fill_document()
    patience = Patience(seconds=1, min_rounds=5, max_rounds=20) if options.quick else PATIENCE
    figures = {
        "found": finding(patience),
        "guard": adding(patience),
        "server": asyncio.run(behind_uvicorn(10 if options.quick else 200)),
    }
    for group in figures.values():
        for name, value in group.items():
            print(f"{name:<40}{value:>10,.2f} us")
    facts = machine.facts(["python", "-m", "benchmarks.client", *(arguments or sys.argv[1:])])
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / ("scratch.tmp.json" if options.quick else f"{strftime('%Y-%m-%dT%H%M')}.json")
    path.write_text(json.dumps({"facts": facts, "figures": figures}, indent=1) + "\n")
    print("results  ", path)
    return 0


def fill_document() -> int:
    """Put the newest run into the document."""
    run = json.loads(max(RESULTS.glob("2*.json")).read_text())
    found = run["figures"]["found"]
    first = next(iter(found.values()))
    lines = ["", "| who finds the client | us | times ours |", "| --- | ---: | ---: |"]
    lines += [f"| {name} | {value:,.2f} | {value / first:,.1f} |" for name, value in found.items()]
    for group in ("guard", "server"):
        lines += ["", "| | us |", "| --- | ---: |"]
        lines += [f"| {name} | {value:,.2f} |" for name, value in run["figures"][group].items()]
    facts = "; ".join(f"{name} {value}" for name, value in run["facts"].items() if name in SHOWN_FACTS)
    fill(DOCUMENT, [*lines, "", f"One run by turns: {facts}.", ""])
    return 0


if __name__ == "__main__":
    sys.exit(main())
