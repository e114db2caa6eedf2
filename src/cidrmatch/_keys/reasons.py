"""Two enumerations: why a check ended as it did (`Reason`), and in which state a key is (`State`)."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["REASONS_BY_VERDICT", "STATES_BY_VERDICT", "Reason", "State"]


class Reason(StrEnum):
    """Name the reason of a decision; the text is stable, for logs and programs."""

    UNRESTRICTED = "unrestricted"
    """Allowed: nothing restricts this key. This is not the same as a match (U14)."""
    MATCHED = "matched"
    """Allowed: an entry covers the address."""
    NOT_ENFORCED = "not_enforced"
    """Allowed: the feature is off for the whole engine (U2)."""
    NOT_LISTED = "ip_not_listed"
    """Denied: no entry covers the address."""
    DENIED_BY_ENTRY = "denied_by_entry"
    """Denied: a deny entry covers the address, and no allow entry is more specific."""
    CLIENT_IP_UNKNOWN = "client_ip_unknown"
    """Denied: the key is restricted and the client address is unknown or no address (C23)."""
    EMPTY_LIST = "empty_list"
    """Denied: the lists of this key hold no entry (C22)."""
    INACTIVE = "inactive"
    """Denied: the key needs a list and has none yet (N4)."""
    UNKNOWN_KEY = "unknown_key"
    """Denied, unless the engine was told to let unknown keys pass: nobody put this key."""
    DAMAGED = "damaged"
    """Denied: the snapshot that holds this key was damaged after it was written."""
    STALE_DATA = "stale_data"
    """Denied: the engine follows a file, and its data is older than `max_age` allows."""

    @property
    def text(self) -> str:
        """The reason as a sentence, for people."""
        return _TEXTS[self]


_TEXTS = {
    Reason.UNRESTRICTED: "nothing restricts this key",
    Reason.MATCHED: "the address is on the allow list",
    Reason.NOT_ENFORCED: "allow lists are not enforced",
    Reason.NOT_LISTED: "the address is not on the allow list",
    Reason.DENIED_BY_ENTRY: "an entry of the list denies the address",
    Reason.CLIENT_IP_UNKNOWN: "the address of the client is not known",
    Reason.EMPTY_LIST: "the allow list is empty",
    Reason.INACTIVE: "the key is not active until its allow list has an entry",
    Reason.UNKNOWN_KEY: "the key is not known",
    Reason.DAMAGED: "what is known of the key is damaged",
    Reason.STALE_DATA: "what is known of all keys is too old to go by",
}


REASONS_BY_VERDICT = tuple(Reason)
"""The reasons in the order of reason.h: a verdict of the compiled core is the index of its reason."""


class State(StrEnum):
    """Name the state of a key. It is never derived from a number of entries (C7)."""

    UNRESTRICTED = "unrestricted"
    RESTRICTED = "restricted"
    INACTIVE = "inactive"


_STATES = {
    Reason.UNRESTRICTED: State.UNRESTRICTED,
    Reason.INACTIVE: State.INACTIVE,
    # The judge asks for the state first, so only a restricted key has one of these reasons.
    Reason.MATCHED: State.RESTRICTED,
    Reason.NOT_LISTED: State.RESTRICTED,
    Reason.DENIED_BY_ENTRY: State.RESTRICTED,
    Reason.CLIENT_IP_UNKNOWN: State.RESTRICTED,
    Reason.EMPTY_LIST: State.RESTRICTED,
}
STATES_BY_VERDICT = tuple(_STATES.get(reason) for reason in Reason)
"""The state of a key that a verdict tells, in the same order; None if the verdict tells none."""
