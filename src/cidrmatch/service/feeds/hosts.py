"""Host names as a source: each name has an answer with its time to live, and its age.

    office.example.net   203.0.113.7, 2001:db8::7   answered 12:00, time to live 300 s   asked again from 12:05
                                                     an hour old at 13:00: out of the list, by max_age

A name is asked when the time to live of its answer is over.  An answer that cannot be had, that is empty, or that is
refused, changes nothing: the last one stays until it is older than `max_age`.  Then its addresses leave the list, and
nobody passes by that name.

An answer is refused as a whole if one of its addresses is not of the public Internet, or if it has too many.  Such an
answer is a mistake or an attack, and so its other addresses are not believed either.

Threads: safe, keeps no state.  Source: RFC 2181, section 8 (a TTL); RFC 8767 (answers that are too old).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from ..._core import AllowList, Entry, parse_entry
from .public import why_not_public
from .state import HostAnswer, age_of

if TYPE_CHECKING:
    from .settings import Feed, Hosts

__all__ = ["Answer", "Resolved", "Resolver", "hosts_in_force", "list_of_hosts", "resolve"]


class Answer(NamedTuple):
    """Hold what a resolver says of a name: its addresses, as texts, and for how many seconds they are good."""

    addresses: tuple[str, ...]
    ttl: float


Resolver: TypeAlias = Callable[[str], Answer]
"""Ask for the addresses of a name.  OSError or LookupError says that there is no answer."""


class Resolved(NamedTuple):
    """Hold the answers of all names, and what was wrong: names without an answer, and answers that were refused."""

    answers: dict[str, HostAnswer]
    failed: list[str]
    refused: list[str]


def resolve(hosts: Hosts, known: Mapping[str, HostAnswer], resolver: Resolver, now: float) -> Resolved:
    """Ask for the names whose time to live is over.

    Args:
        hosts: the names and their bounds.
        known: their last answers.
        resolver: asks for one name.
        now: in seconds since 1970.
    """
    found = Resolved(believed(hosts, known), [], [])
    for name in hosts.names:
        last = found.answers.get(name)
        if last is not None and age_of(last.answered_at, now) < last.ttl:
            continue
        try:
            addresses, ttl = resolver(name)
        except (OSError, LookupError) as error:
            found.failed.append(f"{name}: {error or type(error).__name__}")
            continue
        if why := _why_refused(hosts, addresses):
            found.refused.append(f"{name}: {why}")
        elif not addresses:
            found.failed.append(f"{name}: the answer has no addresses")
        else:
            found.answers[name] = HostAnswer(
                tuple(sorted({str(ip_address(text)) for text in addresses})),
                now,
                min(max(float(ttl), hosts.min_ttl), hosts.max_ttl),
            )
    return found


def believed(hosts: Hosts, known: Mapping[str, HostAnswer]) -> dict[str, HostAnswer]:
    """Give the answers for the names of the settings that these settings would take; they may be others since."""
    return {
        name: known[name] for name in hosts.names if name in known and not _why_refused(hosts, known[name].addresses)
    }


def _why_refused(hosts: Hosts, addresses: tuple[str, ...]) -> str | None:
    if len(addresses) > hosts.max_addresses:
        return f"{len(addresses):,} addresses, and max_addresses is {hosts.max_addresses}"
    for text in addresses:
        try:
            address = ip_address(text)
            why = None if hosts.private else why_not_public(text)
        except (ValueError, TypeError):
            return f"{text!a} is no address"
        holds_other = isinstance(address, IPv6Address) and (address.scope_id or address.ipv4_mapped)
        if address.is_multicast or address.is_unspecified or holds_other:
            return f"{address} is no address of a client"
        if why:
            return f"{why}; private = true takes it"
    return None


def hosts_in_force(feed: Feed, answers: Mapping[str, HostAnswer], now: float) -> dict[str, HostAnswer]:
    """Give the answers that the settings take and that are young enough, or all where a stale list stays."""
    return {
        name: answer
        for name, answer in (believed(feed.hosts, answers) if feed.hosts else {}).items()
        if feed.keeps_stale or age_of(answer.answered_at, now) <= feed.max_age
    }


def list_of_hosts(answers: Mapping[str, HostAnswer]) -> AllowList:
    """Make the list of all addresses, each with its name as its label."""
    return AllowList(_entries_of(answers))


def _entries_of(answers: Mapping[str, HostAnswer]) -> list[Entry]:
    return [parse_entry((text, f"host {name}")) for name, answer in answers.items() for text in answer.addresses]
