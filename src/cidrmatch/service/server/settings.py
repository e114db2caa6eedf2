"""What the server is told at start: where it listens, whom it believes, which data it follows, and what is refused.

    command line --> Settings --check--> JSON in the environment --> each worker --> guard

Whom the server believes is never guessed.  It listens on the loopback or on a UNIX socket.  Any other address needs TLS
and a token for the API; without one of them, the address has to be said a second time.

Source: U7, C23.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

from ...client import ClientStrategy, SingleHeader, TrustedHops, TrustedProxies, ready
from ...errors import CidrmatchError, quote

__all__ = ["ENVIRONMENT", "Settings", "SettingsError"]

ENVIRONMENT: Final = "CIDRMATCH_SERVER_SETTINGS"
"""The environment variable by which the workers get their settings."""
_UNIX = "unix:"


class SettingsError(CidrmatchError, ValueError):
    """A setting is refused; the message names the option."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Hold the settings of a server.

    Attributes:
        snapshot: the path of the file that is followed.
        id_secret_file: the bytes under which its ids are hashed, or None.
        listen: "host:port", "[host]:port" or "unix:/path".
        insecure_listen: the same text again, for an address that others reach without TLS or without an API token.
        tls_cert, tls_key: paths of PEM files, or None.
        client: how the client is found: "x-forwarded-for", "forwarded", "hops:N", "header:NAME", or a name of
            `client.ready`, such as "nginx".
        trusted: the gateways, as prefixes.
        key_header: the header with the key; "authorization" is read as "Bearer KEY".
        token_file: the token that an allowance carries, or None.
        api_token_file: the token that the API asks for, or None.
        max_age: seconds; data that is older is stale.
        when_stale: "deny" or "serve".
        show_address: whether a denial tells the client which address was judged (C26).
        workers: the number of processes.
    """

    snapshot: str
    id_secret_file: str | None = None
    listen: str = "127.0.0.1:9180"
    insecure_listen: str | None = None
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
        host, _, port = self.listen.rpartition(":")
        try:
            found = str(ip_address(host.removeprefix("[").removesuffix("]"))), int(port)
        except ValueError:
            raise SettingsError(f"--listen is an address and a port or unix:/path, not {quote(self.listen)}") from None
        if not 0 < found[1] < 65_536:
            raise SettingsError(f"--listen: a port is 1 to 65535, not {found[1]}")
        return found

    def check(self) -> None:
        """Raise SettingsError for what is refused; read no data."""
        self._check_listen()
        self.strategy()
        if self.when_stale not in ("deny", "serve"):
            raise SettingsError(f"--when-stale is deny or serve, not {quote(self.when_stale)}")
        if not 1 < self.max_age < math.inf:
            raise SettingsError(f"--max-age is more than 1 second, not {self.max_age}")
        if not 1 <= self.workers <= 256:
            raise SettingsError(f"--workers is 1 to 256, not {self.workers}")
        if not self.key_header or not self.key_header.replace("-", "").isalnum() or not self.key_header.isascii():
            raise SettingsError(f"--key-header is the name of a header, not {quote(self.key_header)}")
        read_token(self.token_file, "--token-file")
        read_token(self.api_token_file, "--api-token-file")

    def _check_listen(self) -> None:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise SettingsError("--tls-cert and --tls-key belong together")
        if self.socket is not None:
            if not self.socket.startswith("/"):
                raise SettingsError(f"--listen unix: needs an absolute path, not {quote(self.socket)}")
            return
        host, _ = self.address
        missing = [
            name
            for name, value in (("TLS (--tls-cert)", self.tls_cert), ("a token for the API", self.api_token_file))
            if value is None
        ]
        if missing and not ip_address(host).is_loopback and self.insecure_listen != self.listen:
            raise SettingsError(
                f"others reach {self.listen}, and there is no {' and no '.join(missing)}; say it twice"
                f" (--insecure-listen {self.listen}) if it is meant"
            )

    def strategy(self) -> ClientStrategy:
        """Make the strategy that finds the client; SettingsError if it is refused."""
        kind, _, rest = self.client.partition(":")
        unix = self.socket is not None
        try:
            if self.client in ("x-forwarded-for", "forwarded"):
                return TrustedProxies(self.trusted, header=self.client, unix=unix)
            if kind == "header":
                return SingleHeader(rest, self.trusted, unix=unix)
            if kind == "hops":
                return TrustedHops(int(rest) if rest.isdecimal() else 0, trusted=self.trusted, unix=unix)
            if self.client in ready.NAMES:
                return ready.NAMES[self.client](self.trusted)
        except (ValueError, TypeError) as error:
            raise SettingsError(
                f"--client {self.client}, --trusted {' '.join(self.trusted) or '(none)'}: {error}"
            ) from error
        names = ", ".join(("x-forwarded-for", "forwarded", "hops:N", "header:NAME", *ready.NAMES))
        raise SettingsError(f"--client is one of {names}, not {quote(self.client)}")


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
