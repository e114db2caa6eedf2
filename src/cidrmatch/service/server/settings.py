"""What the server is told at start: where it listens, whom it believes, which data it follows, and what is refused.

    command line --> Settings --check--> JSON in the environment --> each worker --> guard

Whom the server believes is never guessed.  It listens on the loopback or on a UNIX socket.  Any other address needs TLS
and a token for the API; without one of them, the address has to be said a second time.  The same holds for gRPC, which
has no TLS here.

Source: U7, C23.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final, Literal

from ...client import ClientStrategy, PeerAddress, SingleHeader, TrustedHops, TrustedProxies, ready
from ...errors import CidrmatchError, quote

__all__ = ["ENVIRONMENT", "Settings", "SettingsError"]

ENVIRONMENT: Final = "CIDRMATCH_SERVER_SETTINGS"
"""The environment variable by which the workers get their settings."""
_UNIX = "unix:"
_PEER = "peer"


class SettingsError(CidrmatchError, ValueError):
    """A setting is refused; the message names the option."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Hold the settings of a server.

    Attributes:
        snapshot: the path of the file that is followed; "" with a store.
        store: the URL of the store that is followed and changed, or None.
        tenant: the name of its tenant.
        id_secret_file: the bytes under which its ids are hashed, or None.
        listen: "host:port", "[host]:port" or "unix:/path".
        insecure_listen: the same text again, for an address that others reach without TLS or without an API token.
        grpc_listen: where Envoy asks by gRPC, "host:port" or "[host]:port"; None for nowhere.
        insecure_grpc_listen: the same text again, for an address that others reach; gRPC has no TLS here.
        tls_cert, tls_key: paths of PEM files, or None.
        client: how the client is found: "x-forwarded-for", "forwarded", "hops:N", "header:NAME", or a name of
            `client.ready`, such as "nginx".  "peer" is for Envoy at the edge, by gRPC: no header is read.
        trusted: the gateways, as prefixes.
        key_header: the header with the key; "authorization" is read as "Bearer KEY".
        token_file: the token that an allowance carries, or None.
        api_token_file: the token that the API asks for, or None.
        max_age: seconds; data that is older is stale.
        when_stale: "deny" or "serve".
        show_address: whether a denial tells the client which address was judged (C26).
        workers: the number of processes.
        connections: the most that a worker holds; others wait.
        batch: whether workers run as batch work, on Linux.
        usage_log: the URL of the usage log, or None.
        usage_days: how many whole days of it are kept; None for all.
        usage_mask: how many bits of an address it keeps, as "24/48" for IPv4 and IPv6; None for all.
        usage_secret_file: the bytes under which it hashes keys; None keeps them as they are.
        usage_when_full: "drop" or "block".
    """

    snapshot: str
    store: str | None = None
    tenant: str = "main"
    id_secret_file: str | None = None
    listen: str = "127.0.0.1:9180"
    insecure_listen: str | None = None
    grpc_listen: str | None = None
    insecure_grpc_listen: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None
    client: str = "x-forwarded-for"
    trusted: tuple[str, ...] = ()
    key_header: str = "x-api-key"
    token_file: str | None = None
    api_token_file: str | None = None
    max_age: float = 10.0
    when_stale: str = "deny"
    show_address: bool = False
    workers: int = 1
    connections: int = 16_384
    batch: bool = True
    usage_log: str | None = None
    usage_days: int | None = None
    usage_mask: str | None = None
    usage_secret_file: str | None = None
    usage_when_full: Literal["drop", "block"] = "drop"

    @classmethod
    def from_json(cls, text: str) -> Settings:
        """Read what `to_json` wrote."""
        fields: dict[str, Any] = json.loads(text)
        return cls(**{**fields, "trusted": tuple(fields["trusted"])})

    def to_json(self) -> str:
        """Write the settings for a worker."""
        return json.dumps(asdict(self))

    @property
    def socket(self) -> str | None:
        """The path of the UNIX socket, or None."""
        return self.listen.removeprefix(_UNIX) if self.listen.startswith(_UNIX) else None

    @property
    def address(self) -> tuple[str, int]:
        """The host and the port; SettingsError if `listen` has none."""
        return _address_of(self.listen, "--listen", " or unix:/path")

    @property
    def grpc_address(self) -> tuple[str, int] | None:
        """The host and the port for gRPC, or None; SettingsError if `grpc_listen` has none."""
        return None if self.grpc_listen is None else _address_of(self.grpc_listen, "--grpc-listen")

    @property
    def is_behind_gateways(self) -> bool:
        """Whether gateways ask by HTTP: then the peer is the gateway, so it is never taken for the client."""
        return self.client != _PEER

    def check(self) -> None:
        """Raise SettingsError for what is refused; read no data."""
        self._check_listen()
        self._check_grpc()
        self._check_store()
        self._check_usage()
        self.strategy()
        if self.when_stale not in ("deny", "serve"):
            raise SettingsError(f"--when-stale is deny or serve, not {quote(self.when_stale)}")
        if not 1 < self.max_age < math.inf:
            raise SettingsError(f"--max-age is more than 1 second, not {self.max_age}")
        if not 1 <= self.workers <= 256:
            raise SettingsError(f"--workers is 1 to 256, not {self.workers}")
        if not 16 <= self.connections <= 1_000_000:
            raise SettingsError(f"--connections is 16 to 1000000, not {self.connections}")
        if not self.key_header or not self.key_header.replace("-", "").isalnum() or not self.key_header.isascii():
            raise SettingsError(f"--key-header is the name of a header, not {quote(self.key_header)}")
        read_token(self.token_file, "--token-file")
        read_token(self.api_token_file, "--api-token-file")
        _check_installed("cidrmatch serve", ("granian", "starlette", "prometheus_client"), "server")

    def _check_listen(self) -> None:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise SettingsError("--tls-cert and --tls-key belong together")
        if self.socket is not None:
            if not self.socket.startswith("/"):
                raise SettingsError(f"--listen unix: needs an absolute path, not {quote(self.socket)}")
            return
        host, _ = self.address
        asked = (("TLS (--tls-cert, --tls-key)", self.tls_cert), ("API token (--api-token-file)", self.api_token_file))
        missing = [name for name, value in asked if value is None]
        if missing and not ip_address(host).is_loopback and self.insecure_listen != self.listen:
            raise SettingsError(
                f"others reach {self.listen}, and there is no {' and no '.join(missing)}; say it twice"
                f" (--insecure-listen {self.listen}) if it is meant"
            )

    def _check_grpc(self) -> None:
        address = self.grpc_address
        if address is None:
            return
        if self.socket is None and self.address[1] == address[1]:
            raise SettingsError("--grpc-listen needs another port than --listen")
        if not ip_address(address[0]).is_loopback and self.insecure_grpc_listen != self.grpc_listen:
            raise SettingsError(
                f"others reach {self.grpc_listen}, and gRPC has no TLS here; say it twice"
                f" (--insecure-grpc-listen {self.grpc_listen}) if it is meant"
            )
        _check_installed("--grpc-listen", ("grpc", "google.protobuf"), "server-grpc")

    def _check_store(self) -> None:
        """Look whether what a store needs is installed; read no data."""
        if self.store is not None:
            _check_database("--store", self.store)

    def _check_usage(self) -> None:
        """Look whether what the usage log needs is installed; open nothing."""
        if self.usage_log is None:
            if (self.usage_days, self.usage_mask, self.usage_secret_file) != (None, None, None):
                raise SettingsError("--usage-days, --usage-mask and --usage-secret-file need --usage-log")
            return
        _check_database("--usage-log", self.usage_log)
        _ = self.kept_bits
        if self.usage_days is not None and self.usage_days < 1:
            raise SettingsError(f"--usage-days is 1 or more, not {self.usage_days}")
        if self.usage_when_full not in ("drop", "block"):
            raise SettingsError(f"--usage-when-full is drop or block, not {quote(self.usage_when_full)}")

    @property
    def kept_bits(self) -> tuple[int | None, int | None]:
        """How many bits of an IPv4 and of an IPv6 address the usage log keeps; None for all."""
        if self.usage_mask is None:
            return None, None
        parts = self.usage_mask.split("/")
        if len(parts) == 2 and all(part.isascii() and part.isdecimal() for part in parts):
            bits4, bits6 = map(int, parts)
            if bits4 <= 32 and bits6 <= 128:
                return bits4, bits6
        raise SettingsError(f"--usage-mask is the bits that are kept, such as 24/48, not {quote(self.usage_mask)}")

    def strategy(self) -> ClientStrategy:
        """Make the strategy that finds the client; SettingsError if it is refused."""
        kind, _, rest = self.client.partition(":")
        unix = self.socket is not None
        if self.client == _PEER:
            if self.grpc_listen is None:
                raise SettingsError("--client peer needs --grpc-listen: the peer of a question by HTTP is the gateway")
            if self.trusted:
                raise SettingsError("--client peer believes no header, so there is nobody to trust by --trusted")
            return PeerAddress()
        if not self.trusted and not unix:
            raise SettingsError("--trusted names the gateways, such as --trusted 127.0.0.1; there is no default")
        try:
            if self.client in ("x-forwarded-for", "forwarded"):
                return TrustedProxies(self.trusted, header=self.client, unix=unix)
            if kind == "header":
                return SingleHeader(rest, self.trusted, unix=unix)
            if kind == "hops":
                return TrustedHops(int(rest) if rest.isdecimal() else 0, trusted=self.trusted, unix=unix)
            if self.client in ready.NAMES and unix:
                raise SettingsError(f"--client {self.client} knows no UNIX socket; say x-forwarded-for or header:NAME")
            if self.client in ready.NAMES:
                return ready.NAMES[self.client](self.trusted)
        except SettingsError:
            raise
        except (ValueError, TypeError) as error:
            raise SettingsError(
                f"--client {self.client}, --trusted {' '.join(self.trusted) or '(none)'}: {error}"
            ) from error
        names = ", ".join(("x-forwarded-for", "forwarded", "hops:N", "header:NAME", _PEER, *ready.NAMES))
        raise SettingsError(f"--client is one of {names}, not {quote(self.client)}")


def _address_of(text: str, option: str, more: str = "") -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    try:
        found = str(ip_address(host.removeprefix("[").removesuffix("]"))), int(port)
    except ValueError:
        raise SettingsError(f"{option} is an address and a port{more}, not {quote(text)}") from None
    if not 0 < found[1] < 65_536:
        raise SettingsError(f"{option}: a port is 1 to 65535, not {found[1]}")
    return found


def _check_database(option: str, url: str) -> None:
    needed = ["sqlalchemy", "alembic", *["psycopg"] * url.startswith("postgresql")]
    missing = [name for name in needed if not _is_installed(name)]
    if missing:
        raise SettingsError(f"{option} needs {' and '.join(missing)}: pip install 'cidrmatch[server,sql]'")


def _check_installed(what: str, modules: tuple[str, ...], extra: str) -> None:
    missing = [name for name in modules if not _is_installed(name)]
    if missing:
        raise SettingsError(f"{what} needs {' and '.join(missing)}: pip install 'cidrmatch[{extra}]'")


def _is_installed(name: str) -> bool:
    """Is there this module?  It is not imported: a process that starts others by fork must not have started gRPC."""
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # the package around it is missing
        return False


def read_token(path: str | None, option: str) -> str | None:
    """Read a token of at least 16 visible ASCII characters from a file; SettingsError if there is none in it."""
    if path is None:
        return None
    try:
        token = Path(path).read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise SettingsError(f"{option} {quote(path)}: {error}") from None
    if len(token) < 16 or not all("!" <= character <= "~" for character in token):
        raise SettingsError(f"{option} {quote(path)}: a token has 16 or more visible ASCII characters")
    return token
