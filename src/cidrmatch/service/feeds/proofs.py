"""Digests and signatures: are these the bytes of the publisher?

    sha256        the digest of the bytes, pinned by a person, or read from a sidecar such as list.txt.sha256
    minisign      an Ed25519 signature in a file beside the list, such as list.txt.minisig

        untrusted comment: anything
        base64 of   "ED" | 8 bytes key id | 64 bytes signature of the BLAKE2b-512 of the list
        trusted comment: timestamp:1764460800	file:list.txt
        base64 of   64 bytes signature of the 64 bytes above and the trusted comment

A digest from the same server says that the bytes came whole.  It does not say who wrote them: whoever changes the list
there changes the digest, too.  A pinned digest and a signature say it.  The moment in the trusted comment is signed.
An older one than that of the last good list is refused, so an old list with its valid signature cannot come back.

The bytes are those that the publisher serves, before they are unpacked.

Threads: safe, keeps no state.
Source: https://jedisct1.github.io/minisign/ ; RFC 8032; sha256sum of coreutils.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import Final

from ...errors import quote
from .errors import FeedError, FeedRefused

__all__ = ["MinisignKey", "check_digest", "check_signature", "digest_in", "minisign_key_of", "sha256_of"]

_HEX: Final = re.compile(r"[0-9a-fA-F]{64}")
_COREUTILS: Final = re.compile(r"\\?([0-9a-fA-F]{64}) [ *](.+)")
_BSD: Final = re.compile(r"SHA256 \((.+)\) ?= ?([0-9a-fA-F]{64})")
_TIMESTAMP: Final = re.compile(r"(?:^|\s)timestamp:([0-9]{1,12})(?=\s|$)")
_UNTRUSTED: Final = "untrusted comment:"
_TRUSTED: Final = "trusted comment: "
_LINES: Final = 4


@dataclass(frozen=True, slots=True)
class MinisignKey:
    """Hold a public key of minisign: the key id, and the key of Ed25519."""

    key_id: bytes
    key: bytes


def sha256_of(content: bytes) -> str:
    """Give the SHA-256 digest of bytes in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


# -- Digests ------------------------------------------------------------------


def digest_in(sidecar: bytes, name: str) -> str:
    """Find the digest of a file in a sidecar: a digest alone, or lines of sha256sum.

    Args:
        sidecar: what the publisher has beside the list.
        name: the name of the list, without folders.
    Returns:
        The digest, in small letters.
    Raises:
        FeedRefused: there is none, or more than one.

    >>> digest_in(b"e3b0c442" * 8 + b"  list.txt", "list.txt")[:8]
    'e3b0c442'
    """
    lines = [line.strip() for line in sidecar.decode("utf-8", "replace").splitlines()]
    lines = [line for line in lines if line]
    if len(lines) == 1 and _HEX.fullmatch(lines[0]):
        return lines[0].lower()
    named = [(found[2], found[1]) for line in lines if (found := _COREUTILS.fullmatch(line))]
    named += [(found[1], found[2]) for line in lines if (found := _BSD.fullmatch(line))]
    found_here = {digest.lower() for file, digest in named if file.rpartition("/")[2] == name}
    if len(found_here) != 1:
        what = "no digest" if not found_here else "more than one digest"
        raise FeedRefused("digest_missing", f"the sidecar has {what} of {quote(name)}")
    return found_here.pop()


def check_digest(content: bytes, expected: str, whose: str) -> None:
    """Refuse bytes that have another digest than was expected."""
    digest = sha256_of(content)
    if not hmac.compare_digest(digest, expected):
        raise FeedRefused("digest", f"the bytes have the SHA-256 {digest}, and {whose} is {expected}")


# -- Signatures ---------------------------------------------------------------


def minisign_key_of(text: str) -> MinisignKey:
    """Read a public key of minisign.

    Raises:
        ValueError: it is none.

    >>> minisign_key_of("RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3").key_id.hex()
    '1fe8b442180f62e7'
    """
    raw = _base64(text.strip())
    if raw is None or len(raw) != 42 or raw[:2] != b"Ed":
        raise ValueError(f"a public key of minisign is 56 characters such as RWQf6LRC..., not {quote(text)}")
    return MinisignKey(raw[2:10], raw[10:])


def check_signature(content: bytes, signature: bytes, key: MinisignKey, newest: int | None) -> int | None:
    """Refuse bytes that the key has not signed.

    Args:
        content: the bytes of the list.
        signature: the text of the signature file.
        key: the publisher's.
        newest: the timestamp of the last good list, or None.
    Returns:
        The timestamp of the signature in seconds since 1970; None if it has none.
    Raises:
        FeedRefused: the signature is no signature, of another key, wrong, or older than `newest`.
        FeedError: the extra is missing.
    """
    raw, trusted, whole = _parts_of(signature)
    algorithm, key_id, signed = raw[:2], raw[2:10], raw[10:]
    if algorithm not in (b"Ed", b"ED"):
        raise FeedRefused("signature", f"the signature is of the unknown kind {algorithm!a}")
    if key_id != key.key_id:
        raise FeedRefused(
            "signature", f"the signature is of the key {key_id.hex()}, and {key.key_id.hex()} was expected"
        )
    message = hashlib.blake2b(content).digest() if algorithm == b"ED" else content
    _verify(key, signed, message, "the bytes are not what the publisher signed")
    _verify(key, whole, signed + trusted.encode(), "the trusted comment is not what the publisher signed")
    found = _TIMESTAMP.search(trusted)
    moment = None if found is None else int(found[1])
    if newest is not None and (moment is None or moment < newest):
        when = "has no timestamp" if moment is None else f"is of {moment}"
        raise FeedRefused("signature_old", f"the signature {when}, and that of the last good list is of {newest}")
    return moment


def _parts_of(signature: bytes) -> tuple[bytes, str, bytes]:
    """Take a signature file apart: the signature, the trusted comment, and the signature of both."""
    try:
        lines = signature.decode("utf-8").splitlines()
    except UnicodeDecodeError:
        lines = []
    is_one = len(lines) == _LINES and lines[0].startswith(_UNTRUSTED) and lines[2].startswith(_TRUSTED)
    raw, whole = (_base64(lines[1]), _base64(lines[3])) if is_one else (None, None)
    if raw is None or whole is None or len(raw) != 74 or len(whole) != 64:
        raise FeedRefused("signature", "the signature file is none of minisign")
    return raw, lines[2].removeprefix(_TRUSTED), whole


def _base64(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def _verify(key: MinisignKey, signature: bytes, message: bytes, otherwise: str) -> None:
    try:
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415  an extra
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415
    except ModuleNotFoundError:
        raise FeedError("extra", "signatures need their extra: pip install 'cidrmatch[feeds]'") from None
    try:
        Ed25519PublicKey.from_public_bytes(key.key).verify(signature, message)
    except (InvalidSignature, ValueError):
        raise FeedRefused("signature", otherwise) from None
