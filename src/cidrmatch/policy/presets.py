"""The four products as values of `Policy`.

preset     families  kinds          entries  broadest  duplicates  labels    private  shown as
nomsa      4         address        1 - 20   -         reject      -         accept   203.0.113.5
bitbybit   4 and 6   address, cidr  0 - 20   /9, /33   collapse    optional  warn     203.0.113.5/32
unkey      4 and 6   address, cidr  any      -         collapse    -         accept   203.0.113.5/32
pigment    4         address, cidr  1 -      -         collapse    -         accept   203.0.113.5/32

preset     binding  a key without a list         order of checks                     a denial
nomsa      key      new: inactive, legacy: free  authenticate, ip                    403 problem+json
bitbybit   key      free                         authenticate, scope, ip             403 IP_NOT_ALLOWED
unkey      key      free                         validity, ip, permissions, rate     FORBIDDEN
pigment    lists    the default list, or free    authenticate, ip                    403 problem+json
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from ..errors import quote
from .policy import KeyRules, Policy

__all__ = ["PRESETS", "bitbybit", "check_policy", "nomsa", "pigment", "unkey"]


def nomsa(cutover: datetime | None = None) -> Policy:
    """Nomsa: up to 20 IPv4 addresses, no ranges, no duplicates (N1 to N15; C4, C6 to C10).

    Args:
        cutover: timezone-aware; keys that are created at this moment or later
            need a list.  An `Engine` needs the cutover; judging a list does
            not.
    """
    return Policy(
        name="nomsa",
        families=frozenset((4,)),
        kinds=frozenset(("address",)),
        min_entries=1,
        max_entries=20,
        duplicates="reject",
        labels="refuse",
        bare_addresses=True,
        keys=KeyRules(new_keys_need_list=True, cutover=cutover, default_list=False),
    )


def bitbybit() -> Policy:
    """bitbybit: up to 20 labelled addresses or ranges, none broader than /9 or /33 (B13 to B24)."""
    return Policy(
        name="bitbybit",
        max_entries=20,
        min_prefix_v4=9,
        min_prefix_v6=33,
        private="warn",
        keys=KeyRules(default_list=False, pipeline=("authenticate", "scope", "ip"), response="bitbybit"),
    )


def unkey() -> Policy:
    """Unkey: any number of addresses and ranges of both families (U3 to U5, U13)."""
    return Policy(
        name="unkey",
        labels="refuse",
        keys=KeyRules(default_list=False, pipeline=("validity", "ip", "permissions", "ratelimit"), response="unkey"),
    )


def pigment() -> Policy:
    """Pigment: lists of IPv4 addresses and ranges; the list has the name, not the entry (P3 to P5)."""
    return Policy(
        name="pigment",
        families=frozenset((4,)),
        min_entries=1,
        labels="refuse",
        keys=KeyRules(binding="lists", describe_lists=True),
    )


PRESETS: Final[dict[str, Callable[[], Policy]]] = {
    "nomsa": nomsa,
    "bitbybit": bitbybit,
    "unkey": unkey,
    "pigment": pigment,
}
"""The presets by name, for the command line and for configuration files."""


def check_policy(policy: object) -> Policy:
    """Take a policy, or one without limits for None; TypeError with advice for anything else, such as a name."""
    if policy is None:
        return Policy()
    if isinstance(policy, Policy):
        return policy
    preset = next((name for name, make in PRESETS.items() if policy in (name, make)), None)
    advice = "presets.unkey()" if preset is None else f"presets.{preset}()"
    said = f"such as {advice}" if preset is None else f"did you mean {advice}?"
    given = quote(policy) if isinstance(policy, str) else f"a {type(policy).__name__}"
    raise TypeError(f"an engine goes by a Policy, not by {given}; {said}")
