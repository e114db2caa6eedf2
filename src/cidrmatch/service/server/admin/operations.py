"""The operations of the admin API: one row for each, read by the face, which answers, and by the description.

    method   path                        role     function        takes        gives
    PUT      /keys/{key}                 editor   put_key         KeyNew       Changed
             '-- below /v1/admin; a name between braces is a part of the path, percent-encoded, of any characters

Schemas are named as in schemas.json.  A query takes what its row names, and nothing else.

Threads: safe, nothing changes.  Source: P1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from . import changing, reading, usage

if TYPE_CHECKING:
    from .asked import Answer, Asked

__all__ = ["OPERATIONS", "ROOT", "Operation"]

ROOT: Final = "/v1/admin"
_PAGE: Final = ("after", "limit")
_SAID: Final = ("reason",)
_GUARDED: Final = ("reason", "caller", "force")


@dataclass(frozen=True, slots=True)
class Operation:
    """Describe an operation.

    Attributes:
        method, path: of HTTP; the path below `ROOT`.
        role: who may, at least.
        work: answers it; the first line of its docstring is the summary.
        gives: the schema of the answer.
        takes: the schema of the body, or None for no body.
        query: the names of what the query may have.
        tagged: whether it is about one thing that has a tag, so that If-Match and If-None-Match mean something.
        makes: whether it may answer 201.
        kinds: the content types of the answer.
        is_slow: whether it may read many records; few of these run at a time.
    """

    method: str
    path: str
    role: str
    work: Callable[[Asked], Answer]
    gives: str
    takes: str | None = None
    query: tuple[str, ...] = ()
    tagged: bool = False
    makes: bool = False
    kinds: tuple[str, ...] = ("application/json",)
    is_slow: bool = False

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of the path between its slashes."""
        return tuple(part for part in self.path.split("/") if part)

    @property
    def is_change(self) -> bool:
        """Whether it may change something."""
        return self.role != "viewer" and self.method != "GET"


OPERATIONS: Final = (
    Operation("GET", "/self", "viewer", reading.get_self, "Self"),
    Operation("GET", "/keys", "viewer", reading.list_keys, "KeyNames", query=_PAGE),
    Operation("GET", "/keys/{key}", "viewer", reading.get_key, "KeyFound", tagged=True),
    Operation(
        "PUT", "/keys/{key}", "editor", changing.put_key, "Changed", "KeyNew", _GUARDED, tagged=True, makes=True
    ),
    Operation("PATCH", "/keys/{key}", "editor", changing.update_key, "Changed", "KeyChange", _GUARDED, tagged=True),
    Operation("DELETE", "/keys/{key}", "editor", changing.delete_key, "Changed", query=_SAID, tagged=True),
    Operation(
        "POST", "/keys/{key}/entries/add", "editor", changing.add_key_entries, "Changed", "EntriesSaid", _GUARDED,
        tagged=True,
    ),
    Operation(
        "POST", "/keys/{key}/entries/remove", "editor", changing.remove_key_entries, "Changed", "EntriesSaid",
        _GUARDED, tagged=True,
    ),
    Operation(
        "PUT", "/keys/{key}/lists/{list}", "editor", changing.link_list, "Changed", query=_SAID, tagged=True
    ),
    Operation(
        "DELETE", "/keys/{key}/lists/{list}", "editor", changing.unlink_list, "Changed", query=_SAID, tagged=True
    ),
    Operation(
        "PUT", "/keys/{key}/shadow", "editor", changing.put_shadow, "Changed", "EntriesSaid", _SAID, tagged=True
    ),
    Operation(
        "DELETE", "/keys/{key}/shadow", "editor", changing.delete_shadow, "Changed", query=_SAID, tagged=True
    ),
    Operation(
        "POST", "/import", "editor", changing.import_keys, "Imported", "Import", ("reason", "replace", "partial")
    ),
    Operation("GET", "/lists", "viewer", reading.list_lists, "ListNames", query=_PAGE),
    Operation("GET", "/lists/{list}", "viewer", reading.get_list, "List", tagged=True),
    Operation(
        "PUT", "/lists/{list}", "editor", changing.put_list, "Changed", "ListNew", _GUARDED, tagged=True, makes=True
    ),
    Operation(
        "DELETE", "/lists/{list}", "editor", changing.delete_list, "Changed", query=("reason", "force"), tagged=True
    ),
    Operation("GET", "/lists/{list}/keys", "viewer", reading.list_keys_of_list, "KeyNames", query=_PAGE),
    Operation(
        "POST", "/lists/{list}/entries/add", "editor", changing.add_list_entries, "Changed", "EntriesSaid", _GUARDED,
        tagged=True,
    ),
    Operation(
        "POST", "/lists/{list}/entries/remove", "editor", changing.remove_list_entries, "Changed", "EntriesSaid",
        _GUARDED, tagged=True,
    ),
    Operation("GET", "/default", "viewer", reading.get_default, "Default", tagged=True),
    Operation("PUT", "/default", "admin", changing.put_default, "Changed", "DefaultNew", _SAID, tagged=True),
    Operation("DELETE", "/default", "admin", changing.delete_default, "Changed", query=_SAID, tagged=True),
    Operation("GET", "/rules", "viewer", reading.get_rules, "Rules", tagged=True),
    Operation("PATCH", "/rules", "admin", changing.change_rules, "Changed", "RulesChange", _SAID, tagged=True),
    Operation("POST", "/validate", "viewer", reading.validate_entries, "Validated", "EntriesAsked"),
    Operation(
        "GET", "/assertions", "viewer", reading.list_assertions, "Assertions", query=("holder", "name")
    ),
    Operation(
        "PUT", "/assertions/{holder}/{name}/{address}", "admin", changing.put_assertion, "Changed", "AssertionNew",
        _SAID,
    ),
    Operation(
        "DELETE", "/assertions/{holder}/{name}/{address}", "admin", changing.delete_assertion, "Changed", query=_SAID
    ),
    Operation("GET", "/grants", "viewer", reading.list_grants, "Grants"),
    Operation("POST", "/grants", "admin", changing.create_grant, "Granted", "GrantNew", _SAID, makes=True),
    Operation("DELETE", "/grants/{number}", "admin", changing.end_grant, "Changed", query=_SAID),
    Operation(
        "GET", "/history", "viewer", reading.list_history, "History", query=("kind", "name", "before", "limit")
    ),
    Operation("POST", "/history/{number}/undo", "admin", changing.undo_commit, "Changed", query=_SAID),
    Operation("GET", "/readers", "viewer", reading.list_readers, "Readers"),
    Operation(
        "GET", "/usage", "viewer", usage.find_usage, "UsageFound", query=(*usage.FILTERS, "before", "limit"),
        is_slow=True,
    ),
    Operation("GET", "/usage/count", "viewer", usage.count_usage, "UsageCount", query=usage.FILTERS, is_slow=True),
    Operation(
        "GET", "/usage/sums", "viewer", usage.sum_usage, "UsageSums", query=(*usage.FILTERS, "by", "limit"),
        is_slow=True,
    ),
    Operation(
        "GET", "/usage/export", "viewer", usage.export_usage, "UsageExport", query=(*usage.FILTERS, "format"),
        kinds=("text/csv", "application/jsonl"), is_slow=True,
    ),
    Operation("GET", "/keys/{key}/last-use", "viewer", usage.get_last_use, "LastUse"),
    Operation(
        "GET", "/keys/{key}/suggestion", "viewer", usage.get_suggestion, "Suggestion",
        query=("since", "records", "max_entries", "leave_out"), is_slow=True,
    ),
    Operation("POST", "/preview", "viewer", usage.preview_list, "Preview", "PreviewAsked", is_slow=True),
    Operation("GET", "/tokens", "admin", reading.list_tokens, "Tokens"),
    Operation("POST", "/tokens", "admin", changing.create_token, "TokenMade", "TokenNew", _SAID, makes=True),
    Operation("DELETE", "/tokens/{name}", "admin", changing.delete_token, "Changed", query=_SAID),
)  # fmt: skip
