r"""A server with a thread a connection: who asks is known before the first byte of the client, or nobody is served.

    python examples/proxy_protocol/with_socketserver.py 8000
    printf 'PROXY TCP4 203.0.113.9 127.0.0.1 56324 8000\r\nhello\n' | nc 127.0.0.1 8000

The client is looked up in a list, and hears its own line.  Only a proxy on this machine may say who the client is.
"""

import socket
import socketserver
import sys
import time

from cidrmatch import AllowList, InvalidAddress
from cidrmatch.client import ProxyHeader, ProxyProtocol

PROXIES = ProxyProtocol(["127.0.0.1/32", "::1/128"])
CLIENTS = AllowList(["203.0.113.0/24", "2001:db8::/32"])
SECONDS = float(sys.argv[2]) if len(sys.argv) > 2 else 5.0


def receive(connection: socket.socket, deadline: float) -> bytes:
    """Wait for a piece, until one time for all of them: a byte now and then does not hold the thread."""
    connection.settimeout(max(deadline - time.monotonic(), 0.001))
    return connection.recv(1_024)


def is_listed(header: ProxyHeader) -> bool:
    """Look the client up; one that the proxy does not name, or that is the path of a UNIX socket, is not listed."""
    try:
        return header.source is not None and header.source.address in CLIENTS
    except InvalidAddress:
        return False


class Handler(socketserver.BaseRequestHandler):
    """Answer one connection; one that is late or wrong hears nothing."""

    def handle(self) -> None:
        """Read the header, which has some kilobytes at most, and then a line."""
        peer, data, deadline = self.client_address[0], b"", time.monotonic() + SECONDS
        try:
            while (header := PROXIES.read(peer, data)).status == "more" and (piece := receive(self.request, deadline)):
                data += piece
            if header.status != "ok":
                return
            line = data[header.consumed :]
            while b"\n" not in line and len(line) < 1_024 and (piece := receive(self.request, deadline)):
                line += piece
            self.request.sendall(b"allowed: " + line if is_listed(header) else b"denied\n")
        except (TimeoutError, ConnectionError):
            return


if __name__ == "__main__":
    with socketserver.ThreadingTCPServer(("127.0.0.1", int(sys.argv[1])), Handler) as server:
        print(f"listening on port {server.server_address[1]}", flush=True)
        server.serve_forever()
