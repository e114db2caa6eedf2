"""What a feed is told: where its list comes from, what it is for, who vouches for it, how far it may change.

    Feed("edge", use="allow")
      source  https://example.net/ranges.json     or a path; or hosts: names that are resolved
      proof   sha256, sha256_url, minisign_key    what the publisher's bytes must match
      bounds  min_prefix4 ... max_shrink          what is refused, whoever publishes it
      policy  presets.bitbybit()                  what your product refuses
      max_age 7 days                              then the list is stale: `when_stale` says what that means
      targets output, snapshot, store, hook       who gets the list, and who is told what changed

`use` has no default.  A stale allow list must let nobody in, and a stale deny list must stay in force.  A default would
be wrong for one of the two.

Whom a feed believes is never guessed: http, a private address of the source and a stale allow list that stays are each
said in words of their own.

Threads: safe, never changes.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlsplit

from ...errors import CidrmatchError, quote
from ...files.lists import Format, read_list
from .proofs import minisign_key_of

if TYPE_CHECKING:
    from ...policy.policy import Policy

__all__ = ["DAY", "Bounds", "Feed", "FeedSettingsError", "Hosts", "Proof", "Targets", "shown_url"]

DAY: Final = 86_400.0
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_HOST: Final = re.compile(
    r"(?=.{1,253}\Z)(?:(?!-)[a-z0-9_-]{1,63}(?<!-)\.)+(?=[a-z0-9-]*[a-z])(?!-)[a-z0-9-]{2,63}(?<!-)"
)
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_OWN: Final = frozenset(("source", "file_format", "content"))
_MOST_BYTES: Final = 1 << 30


class FeedSettingsError(CidrmatchError, ValueError):
    """A setting of a feed is refused; the message names the feed and the setting."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(where, reason)
        self.where = where
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}"


def _check_number(name: str, value: object, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise FeedSettingsError(name, f"must be a number from {low:g} to {high:g}, not {value!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Say what is refused, whoever publishes it; docs/feeds.md argues the defaults.

    Attributes:
        min_prefix4, min_prefix6: the shortest prefix length, that is, the broadest prefix.
        max_share: the largest part of a family that a list may cover; for IPv6, the part of 2000::/3.
        max_growth: what may come at once, as a part of the last good list: 0.5 is a half more.
        max_shrink: what may go at once, as a part of the last good list.
    """

    min_prefix4: int = 8
    min_prefix6: int = 16
    max_share: float = 0.25
    max_growth: float = 0.5
    max_shrink: float = 0.25

    def __post_init__(self) -> None:
        """Refuse bounds that would bound nothing."""
        for name, longest in (("min_prefix4", 32), ("min_prefix6", 128)):
            value = getattr(self, name)
            if type(value) is not int or not 1 <= value <= longest:
                raise FeedSettingsError(name, f"must be a whole number from 1 to {longest}, not {value!r}")
        _check_number("max_share", self.max_share, 0, 8)
        _check_number("max_growth", self.max_growth, 0, 1_000)
        _check_number("max_shrink", self.max_shrink, 0, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Say what the publisher's bytes must match.

    Attributes:
        sha256: the digest of the bytes, in hexadecimal, that somebody pinned.
        sha256_url: where the publisher has the digest: a line of sha256sum, or the digest alone.
        minisign_key: the publisher's public key of minisign, as its second line has it: "RW...".
        signature_url: where the signature is; by default the source with ".minisig" behind it.
    """

    sha256: str | None = None
    sha256_url: str | None = None
    minisign_key: str | None = None
    signature_url: str | None = None

    def __post_init__(self) -> None:
        """Refuse what could never match."""
        if self.sha256 is not None and not _SHA256.fullmatch(self.sha256):
            raise FeedSettingsError("sha256", f"is 64 small hexadecimal digits, not {quote(self.sha256)}")
        if self.minisign_key is not None:
            try:
                minisign_key_of(self.minisign_key)
            except ValueError as error:
                raise FeedSettingsError("minisign_key", str(error)) from None
        if self.signature_url is not None and self.minisign_key is None:
            raise FeedSettingsError("signature_url", "needs a minisign_key: a signature alone proves nothing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosts:
    """Name hosts whose addresses make a list, instead of a source.

    Attributes:
        names: host names with at least one dot, in ASCII.
        min_ttl, max_ttl: seconds; the time to live of an answer is raised or lowered to them.
        max_addresses: the most addresses of one name.
        private: whether a name may have addresses that are not of the public Internet.
        nameservers: addresses of servers to ask, perhaps as "address#port"; by default those of the system.
    """

    names: tuple[str, ...]
    min_ttl: float = 60.0
    max_ttl: float = 3_600.0
    max_addresses: int = 32
    private: bool = False
    nameservers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what is no host name, and times that contradict each other."""
        if not self.names:
            raise FeedSettingsError("hosts", "names no host")
        for name in self.names:
            if not isinstance(name, str) or not _HOST.fullmatch(name):
                raise FeedSettingsError("hosts", f"{quote(name)} is no host name such as office.example.net")
        if len(set(self.names)) < len(self.names):
            raise FeedSettingsError("hosts", "a name stands twice")
        _check_number("min_ttl", self.min_ttl, 1, DAY)
        _check_number("max_ttl", self.max_ttl, self.min_ttl, 7 * DAY)
        _check_number("max_addresses", self.max_addresses, 1, 1_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """Name who gets the last good list, and who is told of changes.

    Attributes:
        output: the path of a list file, .txt or .json.
        snapshot: the path of a snapshot, one of whose named lists is replaced.
        id_secret_file: the file with the secret under which its ids are hashed, or None.
        store: the URL of a store, one of whose named lists is replaced.
        tenant: of the store.
        list_name: of the named list; by default the name of the feed.
        hook: a command that gets each event as JSON on its standard input; no shell is involved.
    """

    output: str | None = None
    snapshot: str | None = None
    id_secret_file: str | None = None
    store: str | None = None
    tenant: str = "main"
    list_name: str | None = None
    hook: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse an output of a format that is not written."""
        if self.output is not None and not self.output.lower().endswith((".txt", ".json")):
            raise FeedSettingsError("output", f"is a .txt or a .json file, not {quote(self.output)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """Hold the settings of one feed.

    Attributes:
        name: small letters, digits, ".", "_" and "-".
        use: "allow" or "deny": what the list is for.
        state: the path of the state file.
        source: an https URL, or the path of a file; None with `hosts`.
        hosts: names that are resolved, instead of a source.
        insecure_source: the same text as `source` again, for a source that has http.
        private_source: whether the source's own host may have addresses that are not of the public Internet.
        token_file: the file with a token for the source, sent as "Authorization: Bearer"; or None.
        ca_file: a PEM file of the authorities that vouch for the source; None for the usual ones.
        file_format: the format; None for that of the suffix.
        options: more arguments for `read_list`.
        max_age: seconds from the last moment at which the publisher had this list until it is stale.
        when_stale: "deny" or "keep"; None for "deny" of an allow list and "keep" of a deny list.
        proof, bounds, targets: see there.
        policy: judges the list besides the bounds; or None.
        max_bytes: of the publisher's bytes, unpacked too.
        timeout: seconds for everything that is fetched in one look.
    Threads: safe, never changes.
    """

    name: str
    use: Literal["allow", "deny"]
    state: str
    source: str | None = None
    hosts: Hosts | None = None
    insecure_source: str | None = None
    private_source: bool = False
    token_file: str | None = None
    ca_file: str | None = None
    file_format: Format | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    max_age: float = 7 * DAY
    when_stale: Literal["deny", "keep"] | None = None
    proof: Proof = Proof()
    bounds: Bounds = Bounds()
    targets: Targets = Targets()
    policy: Policy | None = None
    max_bytes: int = 64 << 20
    timeout: float = 60.0

    def __post_init__(self) -> None:
        """Refuse settings that contradict each other."""
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise FeedSettingsError("name", f"is small letters, digits, '.', '_' and '-', not {quote(self.name)}")
        if self.use not in ("allow", "deny"):
            raise FeedSettingsError("use", "is 'allow' or 'deny'; a stale list means something else for each of them")
        if (self.source is None) == (self.hosts is None):
            raise FeedSettingsError("source", "a feed has either a source or hosts")
        self._check_source()
        if self.when_stale not in (None, "deny", "keep"):
            raise FeedSettingsError("when_stale", f"is 'deny' or 'keep', not {quote(self.when_stale)}")
        if self.use == "deny" and self.when_stale == "deny":
            raise FeedSettingsError("when_stale", "a deny list that is stale stays in force: 'keep' is all it can be")
        self._check_output()
        _check_number("max_age", self.max_age, 60, 3_650 * DAY)
        _check_number("max_bytes", self.max_bytes, 1, _MOST_BYTES)
        _check_number("timeout", self.timeout, 0.1, 3_600)
        if self.hosts is not None and self.hosts.max_ttl > self.max_age:
            raise FeedSettingsError(
                "max_ttl", "is longer than max_age: an answer would be stale before it is asked again"
            )
        unknown = set(self.options) - (set(inspect.signature(read_list).parameters) - _OWN)
        if unknown:
            raise FeedSettingsError("options", f"lists are read without an option {quote(min(unknown))}")

    def _check_output(self) -> None:
        """Refuse a file that would be open to everyone when it has no entries."""
        if self.targets.output is not None and not self.keeps_stale and self.policy and self.policy.empty_is_open:
            raise FeedSettingsError(
                "output",
                f"would have no entries when it is stale, and under the policy {self.policy.name} an empty list is "
                "open to everyone; a snapshot or a store fails closed",
            )

    def _check_source(self) -> None:
        if not self.is_remote:
            if self.proof.sha256_url or self.proof.signature_url or (self.hosts and self.proof != Proof()):
                raise FeedSettingsError("sha256_url", "a URL of a proof is for a source that is a URL")
            return
        for url in (self.source, self.proof.sha256_url, self.proof.signature_url):
            if url is not None:
                self._check_url(url)

    def _check_url(self, url: str) -> None:
        """Refuse a URL that is not https, unless it is http and was said twice."""
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname, parts.port
        except ValueError as error:
            raise FeedSettingsError("source", f"{quote(url)} is no URL: {error}") from None
        if parts.username is not None or parts.password is not None:
            raise FeedSettingsError("source", "a URL has no name and no password here; a token goes into token_file")
        is_insecure = parts.scheme == "http" and self.insecure_source == self.source
        if not host or not (parts.scheme == "https" or is_insecure):
            more = "; http is taken if insecure_source says the source again" if parts.scheme == "http" else ""
            raise FeedSettingsError("source", f"{quote(url)} is no https URL and no path of a file{more}")

    @property
    def is_remote(self) -> bool:
        """Whether the source is a URL."""
        return self.source is not None and "://" in self.source

    @property
    def keeps_stale(self) -> bool:
        """Whether a stale list stays in force."""
        return (self.when_stale or ("deny" if self.use == "allow" else "keep")) == "keep"

    @property
    def lasts(self) -> float:
        """The seconds for which a confirmed list is in force."""
        return math.inf if self.keeps_stale else self.max_age

    @property
    def shown_source(self) -> str:
        """The source for people: a URL without its query, which may hold a secret."""
        if self.hosts is not None:
            return f"{len(self.hosts.names)} host names"
        return shown_url(self.source or "")


def shown_url(url: str) -> str:
    """Write a URL without its query, which may hold a secret."""
    return url.partition("?")[0].partition("#")[0] if "://" in url else url
