r"""A server on asyncio streams: who asks is known before the first byte of the client, or nobody is served.

    python examples/proxy_protocol/with_asyncio.py 8000
    printf 'PROXY TCP4 203.0.113.9 127.0.0.1 56324 8000\r\nkey_live_1\n' | nc 127.0.0.1 8000

The client sends its key, and an engine is asked.  Only a proxy on this machine may say who the client is.
"""

import asyncio
import sys

from cidrmatch import Engine, presets
from cidrmatch.client import ProxyHeader, ProxyProtocol

PROXIES = ProxyProtocol(["127.0.0.1/32", "::1/128"])
SECONDS = float(sys.argv[2]) if len(sys.argv) > 2 else 5.0

engine = Engine(presets.unkey())
engine.put_key("key_live_1", ["203.0.113.0/24", "2001:db8::/32"])


async def read_header(reader: asyncio.StreamReader, peer: str) -> tuple[ProxyHeader, bytes]:
    """Give the header and what arrived behind it; "more" is said of some kilobytes at most, so this ends."""
    data = b""
    while (header := PROXIES.read(peer, data)).status == "more" and (piece := await reader.read(1_024)):
        data += piece
    if header.status != "ok":
        raise ConnectionError(header.problem or "it ended before the header did")
    return header, data[header.consumed :]


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one connection; one that is late or wrong hears nothing."""
    try:
        async with asyncio.timeout(SECONDS):
            header, line = await read_header(reader, writer.get_extra_info("peername")[0])
            if header.command == "local":  # the proxy asks for itself whether we are there
                writer.write(b"here\n")
                return
            while b"\n" not in line and len(line) < 1_024 and (piece := await reader.read(1_024)):
                line += piece
            client = header.source.address if header.source else None  # an engine denies None, and what is no address
            decision = engine.check(line.partition(b"\n")[0].decode(errors="replace"), client)
            writer.write(f"{'allowed' if decision.allowed else 'denied'} {client}\n".encode())
    except (ConnectionError, TimeoutError) as error:
        print(f"closed: {error or 'too slow'}", file=sys.stderr)
    finally:
        writer.close()


async def main(port: int) -> None:
    """Serve until interrupted."""
    server = await asyncio.start_server(serve, "127.0.0.1", port)
    print(f"listening on port {server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
