"""Tokens of the admin API: who may look, who may edit, who may do everything.

    create("ci", "editor") --> "cma_3f0c..."  told once         row: SHA-256 of it, "ci", "editor"
    find("cma_3f0c...")    --> its hash --> the row             None: nobody has this token

    viewer   reads
    editor   changes keys and lists, too
    admin    changes rules, assertions, grants and tokens, too

A token is 32 random bytes, so nobody guesses one, and a plain hash hides it.  A token is looked up by its hash: how
long that takes tells nothing about other tokens.  Who reads the database learns no token.

The history names a token that was made or removed, without its hash.  Followers see a commit that changed nothing.

Cost: a look-up by the primary key.  Threads: safe.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from sqlalchemy import select

from .schema import tenants, tokens

if TYPE_CHECKING:
    from .store import Store

__all__ = ["PREFIX", "ROLES", "Bearer", "Token", "Tokens", "drawn_token"]

PREFIX: Final = "cma_"
"""How a token begins, so that people and scanners of secrets know it."""
ROLES: Final = ("viewer", "editor", "admin")
"""Each role may do what the earlier ones may."""
_BYTES = 32
_LONGEST = 200


class Bearer(NamedTuple):
    """Say whose a token is.

    Attributes:
        name: of the token.
        role: one of `ROLES`.
    """

    name: str
    role: str

    def may(self, role: str) -> bool:
        """Whether the role is this one, or an earlier one."""
        return ROLES.index(role) <= ROLES.index(self.role)


@dataclass(frozen=True, slots=True)
class Token:
    """Describe a token, without the token.

    Attributes:
        name, role: as of `Bearer`.
        created_at: when, in ISO 8601.
    """

    name: str
    role: str
    created_at: str


class Tokens:
    """Tokens(store): the tokens of a tenant."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def create(
        self, name: str, role: str, *, actor: str | None = None, origin: str | None = None, reason: str | None = None
    ) -> str:
        """Make a token.

        Args:
            name: whose it is; the history will name the author of a change by it.
            role: one of `ROLES`.
            actor, origin, reason: for the history.
        Returns:
            The token.  Nobody can ask for it again.
        Raises:
            AlreadyExists: there is a token of this name.  ValueError: the role is none, or the name is empty.
        """
        token, digest = drawn_token()
        with self._store.change("create_token", actor=actor, origin=origin, reason=reason) as change:
            change.put_token(name, role, digest)
        return token

    def remove(
        self, name: str, *, actor: str | None = None, origin: str | None = None, reason: str | None = None
    ) -> None:
        """Remove a token, which lets nobody in from now on; UnknownName if there is none of this name."""
        with self._store.change("remove_token", actor=actor, origin=origin, reason=reason) as change:
            change.remove_token(name)

    def find(self, token: str) -> Bearer | None:
        """Give name and role of a token; None if it is none of this tenant.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        if not token.startswith(PREFIX) or len(token) > _LONGEST or not token.isascii():
            return None
        query = select(tokens.c.name, tokens.c.role).join(tenants, tenants.c.id == tokens.c.tenant)
        query = query.where(tokens.c.hash == _hash_of(token), tenants.c.name == self._store.tenant)
        with self._store.database.reading() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None or row.role not in ROLES else Bearer(row.name, row.role)

    def list(self) -> list[Token]:
        """Give all tokens of the tenant, sorted by their names."""
        query = select(tokens.c.name, tokens.c.role, tokens.c.created_at)
        query = query.join(tenants, tenants.c.id == tokens.c.tenant).where(tenants.c.name == self._store.tenant)
        with self._store.database.reading() as connection:
            return sorted((Token(*row) for row in connection.execute(query)), key=lambda token: token.name)


def drawn_token() -> tuple[str, str]:
    """Draw a token; give it, and its hash for `put_token` of a change."""
    token = PREFIX + secrets.token_hex(_BYTES)
    return token, _hash_of(token)


def _hash_of(token: str) -> str:
    return hashlib.sha256(token.encode("ascii")).hexdigest()
