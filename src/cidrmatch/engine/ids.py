"""Hashed ids: an engine that holds only hashes of the keys' ids.

    "key_live_1" --blake2b under a secret--> "5f0c...e1", 32 hexadecimal digits: the *held id*

An engine with a secret uses held ids everywhere: in its views, its store and
its file, in its lists of keys and in its reports.  Callers pass the plain id.
It is hashed once: by `Draft.held_id` in a change, and by `View.held_id` in a
question.  All code behind these knows held ids only.

A file says that its ids are hashed.  It also has a check value, the digest of a
fixed text under the secret.  So if the secret is wrong, missing or not needed,
opening the file is an error; otherwise the result would be an engine that knows
no key.

Cost: about two microseconds for an id.
Threads: safe, never changes.  Source: RFC 7693, keyed.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final, NoReturn

from ..errors import SnapshotError

__all__ = ["IdHash", "check_said", "id_hash_of"]

_SHORTEST, _LONGEST = 16, hashlib.blake2b.MAX_KEY_SIZE
_BYTES: Final = 16
"""Bytes of a digest; a held id has two digits for each."""
_METHOD: Final = "blake2b-128"
_CHECKED: Final = b"cidrmatch id_secret"
_PERSON: Final = b"cidrmatch-check"
"""Makes the check value different from the hash of any id."""


class IdHash:
    """Hash ids under a secret.

    The secret is in memory only: it is in no text, no pickle and no file.

    Args:
        secret: 16 to 64 bytes that nobody can guess, such as `secrets.token_bytes(32)`.
    Raises:
        TypeError: it is not bytes.  ValueError: it is too short or too long.
    """

    __slots__ = ("_state", "check")

    def __init__(self, secret: bytes) -> None:
        if not isinstance(secret, bytes):
            raise TypeError(f"an id_secret is bytes, not {type(secret).__name__}")
        if not _SHORTEST <= len(secret) <= _LONGEST:
            raise ValueError(f"an id_secret is {_SHORTEST} to {_LONGEST} bytes long, not {len(secret)}")
        self._state = hashlib.blake2b(key=secret, digest_size=_BYTES)
        self.check = hashlib.blake2b(_CHECKED, key=secret, digest_size=_BYTES, person=_PERSON).hexdigest()

    def __call__(self, key: str) -> str:
        """Give the held id of a plain one."""
        state = self._state.copy()
        state.update(key.encode("utf-8", "surrogatepass"))
        return state.hexdigest()

    def said(self) -> dict[str, str]:
        """Give what a file says about its ids."""
        return {"hash": _METHOD, "check": self.check}

    def __reduce__(self) -> NoReturn:
        raise TypeError("an id_secret is not pickled")

    def __repr__(self) -> str:
        return "<IdHash>"


def id_hash_of(secret: bytes | None) -> IdHash | None:
    """Make the `IdHash` of a secret; None without a secret, and then ids are held plain."""
    return None if secret is None else IdHash(secret)


def check_said(said: Any, id_hash: IdHash | None) -> None:
    """Refuse a file whose ids are held in another way; `said` is what the file says about its ids, or None.

    Raises:
        SnapshotError: the secret is missing, not needed or wrong; or the file has an unknown form of ids.
    """
    if said is None:
        if id_hash is not None:
            raise SnapshotError("the snapshot holds ids as they are; it is opened without an id_secret")
        return
    if not isinstance(said, dict) or said.get("hash") != _METHOD or not isinstance(said.get("check"), str):
        raise SnapshotError(f"the snapshot holds ids in an unknown form; {_METHOD} is known")
    if id_hash is None:
        raise SnapshotError("the snapshot holds hashed ids; it is opened with id_secret=")
    if said["check"] != id_hash.check:
        raise SnapshotError("the id_secret is not the one that the snapshot's ids were hashed with")
