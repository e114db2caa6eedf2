"""A source as bytes: by https, or from a file.  Everything is bounded.

    https://a.example/list.txt --301--> https://b.example/list.txt --200--> bytes, ETag, Last-Modified
       |                                   |
       the source's own host               another host: https, and all its addresses are public

    size     the bytes that come, and the bytes that they unpack to, each at most `max_bytes`
    time     one deadline for all that a look fetches: names, connections, redirects, sidecars
    way      at most five redirects, each to https; never to a file
    coding   gzip or none

The last good list is asked for again by its ETag and its Last-Modified.  "Not modified" is believed only if one of them
was sent.

The program asks directly: proxies, `.netrc` and certificates of the environment are not used.  A token goes to the
source's own origin alone.

The check of a host's addresses comes before the request, and the address that answered is checked afterwards.  A name
server that gives one address to the check and another to the connection gets one request out, and its answer is thrown
away.

Threads: safe, keeps no state; `Fetcher.get` starts an event loop, so it is not called inside one.
Source: RFC 9110, sections 8.8, 13, 15.4; RFC 1952.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import ssl
import stat
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urljoin, urlsplit

from ...errors import quote
from .errors import FeedError, FeedUnreachable
from .public import why_not_public
from .settings import shown_url

if TYPE_CHECKING:
    import httpx

    from .settings import Feed

__all__ = ["Fetched", "Fetcher", "unpacked"]

_MOST_REDIRECTS: Final = 5
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_GONE: Final = (404, 410)
_MOST_MEMBERS: Final = 64
_PRINTABLE: Final = re.compile(r"[\x21-\x7e\x80-\uffff ]{1,512}")


@dataclass(frozen=True, slots=True)
class Fetched:
    """Hold what came from a source.

    Attributes:
        content: the bytes, as the publisher has them.
        etag, last_modified: by which the publisher is asked again; None if it sent none.
    """

    content: bytes
    etag: str | None = None
    last_modified: str | None = None


class Fetcher:
    """Fetch what one look needs, until one deadline.

    Args:
        feed: its settings.
    """

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._end = time.monotonic() + feed.timeout

    def get(self, source: str, *, etag: str | None = None, last_modified: str | None = None) -> Fetched | None:
        """Fetch a URL or read a file.

        Args:
            source: which.
            etag, last_modified: those of the content that the caller has; None if it has none.
        Returns:
            The content; None if the publisher says that it is the same.
        Raises:
            FeedUnreachable: with the code "gone" if the publisher has it no more.  FeedError: the extra is missing.
        """
        if "://" not in source:
            return Fetched(_read_file(source, self._feed.max_bytes))
        try:
            return asyncio.run(self._get(source, {"If-None-Match": etag, "If-Modified-Since": last_modified}))
        except TimeoutError:
            raise FeedUnreachable(
                "timeout", f"{shown_url(source)}: not done in {self._feed.timeout:g} seconds"
            ) from None

    async def _get(self, url: str, known: dict[str, str | None]) -> Fetched | None:
        httpx = _httpx()
        headers = {name: value for name, value in known.items() if value is not None}
        async with asyncio.timeout(self._end - time.monotonic()):
            try:
                async with httpx.AsyncClient(verify=self._trusted(), trust_env=False, timeout=None) as client:
                    return await self._follow(client, url, headers)
            except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError, ValueError) as error:
                if isinstance(error, TimeoutError):
                    raise
                raise FeedUnreachable("unreachable", f"{shown_url(url)}: {error or type(error).__name__}") from error

    def _trusted(self) -> ssl.SSLContext | bool:
        """Give the authorities that vouch for the source."""
        if self._feed.ca_file is None:
            return True
        try:
            return ssl.create_default_context(cafile=self._feed.ca_file)
        except OSError as error:
            raise FeedError("ca_file", f"{quote(self._feed.ca_file)}: {error.strerror or error}") from error

    async def _follow(self, client: httpx.AsyncClient, url: str, headers: dict[str, str]) -> Fetched | None:
        """Follow redirects to the answer."""
        for _ in range(_MOST_REDIRECTS + 1):
            is_own = _origin(url) == _origin(self._feed.source or "")
            may_be_private = is_own and self._feed.private_source
            if not may_be_private:
                await _check_public(url)
            sent = (
                headers
                | {"Accept-Encoding": "gzip", "User-Agent": "cidrmatch-feed"}
                | (self._token() if is_own else {})
            )
            async with client.stream("GET", url, headers=sent) as answer:
                if not may_be_private:
                    _check_peer(url, answer)
                if answer.status_code not in _REDIRECTS:
                    return await self._take(answer, url, is_asked=bool(headers))
                url = _next(url, answer.headers.get("location"))
        raise FeedUnreachable("redirects", f"{shown_url(url)}: more than {_MOST_REDIRECTS} redirects")

    def _token(self) -> dict[str, str]:
        if self._feed.token_file is None:
            return {}
        try:
            token = Path(self._feed.token_file).read_text(encoding="ascii").strip()
        except (OSError, ValueError) as error:
            raise FeedError("token_file", f"{quote(self._feed.token_file)}: {error}") from error
        return {"Authorization": f"Bearer {token}"}

    async def _take(self, answer: httpx.Response, url: str, *, is_asked: bool) -> Fetched | None:
        """Read the answer's bytes, as many as may be."""
        shown, status = shown_url(url), answer.status_code
        if status == 304 and is_asked:
            return None
        if status in _GONE:
            raise FeedUnreachable("gone", f"{shown}: the publisher has no such list any more (HTTP {status})")
        if status != 200:
            raise FeedUnreachable("status", f"{shown}: the publisher answered HTTP {status}")
        coding = answer.headers.get("content-encoding", "identity").strip().lower()
        if coding not in ("identity", "gzip", "x-gzip", ""):
            raise FeedUnreachable("coding", f"{shown}: the answer has the unknown coding {quote(coding)}")
        most, pieces, size = self._feed.max_bytes, [], 0
        async for piece in answer.aiter_raw():
            size += len(piece)
            if size > most:
                raise FeedUnreachable("too_large", f"{shown}: the answer has more than {most:,} bytes")
            pieces.append(piece)
        content = b"".join(pieces)
        content = unpacked(content, most, shown) if coding in ("gzip", "x-gzip") else content
        return Fetched(content, _kept(answer, "etag"), _kept(answer, "last-modified"))


def _httpx() -> Any:
    try:
        import httpx  # noqa: PLC0415  an extra
    except ModuleNotFoundError:
        raise FeedError("extra", "a feed by https needs its extra: pip install 'cidrmatch[feeds]'") from None
    return httpx


def _kept(answer: httpx.Response, name: str) -> str | None:
    """Give a header that is sent back later; None if it is none that a request can carry."""
    value = answer.headers.get(name)
    return value if value is not None and value.isascii() and _PRINTABLE.fullmatch(value) else None


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port


def _next(url: str, location: str | None) -> str:
    """Give the URL of a redirect, which is https."""
    after = urljoin(url, location or "")
    try:
        parts = urlsplit(after)
        is_good = location is not None and parts.scheme == "https" and bool(parts.hostname) and parts.username is None
        _ = parts.port
    except ValueError:
        is_good = False
    if not is_good:
        raise FeedUnreachable(
            "redirect", f"{shown_url(url)}: redirects to {quote(shown_url(after))}, which is not https"
        )
    return after


async def _check_public(url: str) -> None:
    """Refuse a host that has an address of a private network."""
    host = urlsplit(url).hostname or ""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # a label that is too long is no OSError
        raise FeedUnreachable("name", f"{shown_url(url)}: {quote(host)} has no address: {error}") from None
    for *_, address in found:
        if why := why_not_public(str(address[0])):
            raise FeedUnreachable("private", f"{shown_url(url)}: {why}{_ADVICE}")


_ADVICE: Final = "; private_source = true takes this, for the source's own host"


def _check_peer(url: str, answer: httpx.Response) -> None:
    """Refuse an answer of a private address, which the name did not have when it was asked."""
    stream = answer.extensions.get("network_stream")
    peer = None if stream is None else stream.get_extra_info("server_addr")
    if peer is None:
        raise FeedUnreachable("private", f"{shown_url(url)}: nobody knows which address answered")
    if why := why_not_public(str(peer[0])):
        raise FeedUnreachable("private", f"{shown_url(url)}: {why}{_ADVICE}")


def _read_file(path: str, most: int) -> bytes:
    """Read a regular file of at most so many bytes."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise FeedUnreachable("gone", f"{quote(path)}: there is no such file any more") from None
    except (OSError, ValueError) as error:
        raise FeedUnreachable("unreachable", f"{quote(path)}: {getattr(error, 'strerror', None) or error}") from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise FeedUnreachable("unreachable", f"{quote(path)}: is no regular file")
        with open(descriptor, "rb", closefd=False) as file:
            content = file.read(most + 1)
    except OSError as error:
        raise FeedUnreachable("unreachable", f"{quote(path)}: {error.strerror or error}") from error
    finally:
        os.close(descriptor)
    if len(content) > most:
        raise FeedUnreachable("too_large", f"{quote(path)}: the file has more than {most:,} bytes")
    return content


def unpacked(content: bytes, most: int, shown: str) -> bytes:
    """Unpack gzip, to at most so many bytes.

    Args:
        content: one member of gzip or several.
        most: the most bytes that may come out.
        shown: the name of the content, for a message.
    Raises:
        FeedUnreachable: it is no gzip, it is cut short, or more would come out.

    >>> import gzip
    >>> unpacked(gzip.compress(b"203.0.113.5"), 100, "list.txt.gz")
    b'203.0.113.5'
    """
    pieces: list[bytes] = []
    left, rest = most, content
    try:
        while rest or not pieces:
            if len(pieces) == _MOST_MEMBERS:  # each costs a copy of all that follows
                raise FeedUnreachable("unpacking", f"{shown}: has more than {_MOST_MEMBERS} members of gzip")
            member = zlib.decompressobj(wbits=31)
            pieces.append(member.decompress(rest, left + 1))
            left -= len(pieces[-1])
            if left < 0:
                raise FeedUnreachable("too_large", f"{shown}: it unpacks to more than {most:,} bytes")
            if not member.eof:
                raise FeedUnreachable("unpacking", f"{shown}: the packed bytes are cut short")
            rest = member.unused_data
    except zlib.error as error:
        raise FeedUnreachable("unpacking", f"{shown}: is not gzip: {error}") from None
    return b"".join(pieces)
