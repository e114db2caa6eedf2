"""A request of the admin API after it was read, and the answer before it is written.

    Asked    store, bearer, names of the path, query, body, conditions, origin
      |- change(...)   opens a change with its author: actor is the token, origin the address, reason as the query says
      '- check(tag)    If-Match, If-None-Match: 412, or 428 for a change that says all of a thing anew without If-Match
    Answer   plain values, status, tag

A tag (ETag) names the revision of a key or a list: "187f3c-17", the epoch in hexadecimal digits and the number of the
commit that changed it last.  A tag from before a restored backup has another epoch, or an older number, and so fits
nothing else.

Threads: a request belongs to one thread at a time.  Source: RFC 9110 section 13, RFC 9457.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from ...._core import parse_address

if TYPE_CHECKING:
    from ...._keys import Revision
    from ....engine.engine import Engine
    from ....policy.policy import Report
    from ...stores.change import StoreChange
    from ...stores.store import Store
    from ...stores.tokens import Bearer
    from ...usage.log import UsageLog

__all__ = ["Answer", "Asked", "Conditions", "Refusal", "moment_of", "told", "written"]

_TAGS = re.compile(r'\s*(?:\*|(?:W/)?"[!#-~\x80-\xff]*"(?:\s*,\s*(?:W/)?"[!#-~\x80-\xff]*")*)\s*', re.ASCII)
_TAG = re.compile(r'(?:W/)?"[^"]*"')
_ANY: Final = frozenset("*")


class Refusal(Exception):
    """Refuse a request by a problem document.

    Args:
        status: of HTTP.
        reason: a stable name, for programs.
        detail: in words.
        headers: more of them.
        more: fields of the problem document.
    """

    def __init__(
        self, status: int, reason: str, detail: str, headers: Mapping[str, str] | None = None, **more: object
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = dict(headers or {})
        self.facts: dict[str, object] = {"detail": detail, "reason": reason, **more}


@dataclass(frozen=True, slots=True)
class Answer:
    """Hold an answer.

    Attributes:
        body: plain values.
        status: of HTTP.
        tag: of the key or list, without quotes; None for none.
        revision: of the data after a change, as text; None for no change.
        stream: pieces of another kind of body, in the place of `body`; or None.
        content_type: of the stream.
    """

    body: dict[str, Any]
    status: int = 200
    tag: str | None = None
    revision: str | None = None
    stream: Iterator[bytes] | None = None
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Conditions:
    """Hold what a request expects, as sets of quoted tags; "*" stands for any, None for nothing expected.

    Attributes:
        match: of If-Match.
        none_match: of If-None-Match.
    """

    match: frozenset[str] | None = None
    none_match: frozenset[str] | None = None

    @classmethod
    def of(cls, match: str | None, none_match: str | None) -> Conditions:
        """Read the two headers; Refusal if one is none."""
        return cls(*(_tags_of(name, text) for name, text in (("If-Match", match), ("If-None-Match", none_match))))

    def check(self, tag: str | None, *, whole: bool) -> None:
        """Refuse a change.

        Args:
            tag: of the thing as it is, without quotes; None: it does not exist.
            whole: whether the change says all of it anew, or removes it.
        Raises:
            Refusal: 412, it is another; 428, it exists, and the request does not say which one it saw.
        """
        told = {} if tag is None else {"etag": f'"{tag}"'}
        if self.match is not None and (tag is None or not self.match & {"*", f'"{tag}"'}):
            raise Refusal(412, "precondition_failed", _changed(tag), told)
        if self.none_match is not None and tag is not None and self.none_match & {"*", f'"{tag}"'}:
            raise Refusal(412, "precondition_failed", "it exists already", told)
        if whole and tag is not None and self.match is None:
            detail = "say which revision is replaced or removed: If-Match with the ETag of the last answer, or *"
            raise Refusal(428, "precondition_required", detail, told)

    def has(self, tag: str) -> bool:
        """Whether the caller of a read has this revision already."""
        known = self.none_match or frozenset()
        return bool({each.removeprefix("W/") for each in known} & {"*", f'"{tag}"'})


def _changed(tag: str | None) -> str:
    return "it does not exist" if tag is None else "somebody changed it meanwhile; read it again"


def _tags_of(name: str, text: str | None) -> frozenset[str] | None:
    if text is None:
        return None
    if not _TAGS.fullmatch(text):
        raise Refusal(400, "invalid_header", f'{name} has tags in quotes, such as "187f3c-17", or *')
    return _ANY if text.strip() == "*" else frozenset(_TAG.findall(text))


@dataclass(frozen=True, slots=True)
class Asked:
    """Hold a request.

    Attributes:
        store: of the tenant.
        bearer: whose token came.
        names: what the path names.
        query: the values of the query.
        body: the body; an empty object for none.
        conditions: what the caller expects.
        origin: the address that the request comes from, or None.
        served: gives the revision that this worker serves.
        engine: the data that this worker serves.
        usage: the usage log, or None.
    """

    store: Store
    bearer: Bearer
    names: Mapping[str, str]
    query: Mapping[str, Any]
    body: dict[str, Any]
    conditions: Conditions
    origin: str | None
    served: Callable[[], Revision | None]
    engine: Engine
    usage: UsageLog | None

    @contextmanager
    def change(self, operation: str) -> Iterator[StoreChange]:
        """Open a change by the author of this request; where lists belong to a workspace, admins edit them (P1)."""

        def permits(_actor: object, _operation: str, _name: str) -> bool:
            return self.bearer.role == "admin" or opened[0].rules.policy.keys.binding != "lists"

        opened: list[StoreChange] = []
        with self.store.change(
            operation, actor=self.bearer.name, origin=self.origin, reason=self.query.get("reason"), permits=permits
        ) as change:
            opened.append(change)
            yield change

    @property
    def guarded(self) -> dict[str, Any]:
        """The arguments that keep a change from locking its author out."""
        caller = self.query.get("caller")
        if caller == "me":
            caller = self.origin
            if caller is None:
                raise Refusal(422, "invalid_query", "your address is not known here; say caller=ADDRESS")
        if caller is not None:
            parse_address(caller)  # a caller that is no address would be called locked out
        return {"caller": caller, "force": self.query.get("force", False)}

    def told(
        self, change: StoreChange, report: Report | None, tag: str | None = None, *, is_new: bool = False, **more: Any
    ) -> Answer:
        """Answer a change.

        Args:
            change: after its end.
            report: of the policy; None for none.
            tag: of the key or list before the change, "" if it was not there; None for a change of something else.
            is_new: whether something was made.
            more: fields of the answer.
        """
        revision = written(change.revision or change.base)
        if tag is not None and (change.revision != change.base or not tag):
            tag = revision
        body = {"revision": revision, "report": told(report), **more}
        return Answer(body, 201 if is_new else 200, tag, revision)


def written(revision: Revision, number: int | None = None) -> str:
    """Write a revision, or the tag of what the commit `number` changed."""
    return f"{revision.epoch:x}-{revision.generation if number is None else number}"


def told(report: Report | None) -> dict[str, object] | None:
    """Write a report."""
    return None if report is None else report.to_dict()


def moment_of(text: str | None) -> datetime | None:
    """Read a moment with its time zone; ValueError if it is none."""
    return None if text is None else datetime.fromisoformat(text)
