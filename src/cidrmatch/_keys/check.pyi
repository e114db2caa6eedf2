from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NoReturn, Protocol, TypeVar, final, overload, type_check_only

from _typeshed import WriteableBuffer
from typing_extensions import disjoint_base

from .._core.address import AddressLike
from .._core.prefix import Entry, Prefix
from ..errors import InvalidAddress
from ..policy.policy import Policy
from ..policy.responses import Response
from .reasons import Reason, State
from .store import KeyStore

__all__ = ["Checker", "Decision", "FrozenList", "NamedLists", "Rule", "Shadow", "View"]

_Out = TypeVar("_Out", bound=WriteableBuffer)
_T = TypeVar("_T")

@type_check_only
class Settings(Protocol):
    @property
    def policy(self) -> Policy: ...
    @property
    def clock(self) -> Callable[[], float]: ...
    @property
    def render(self) -> Callable[..., Response]: ...
    @property
    def is_enforced(self) -> bool: ...
    @property
    def unknown_passes(self) -> bool: ...
    @property
    def thaw(self) -> Callable[..., Rule | None]: ...
    @property
    def id_hash(self) -> Callable[[str], str] | None: ...

@final
class FrozenList:
    """Hold the entries of one list, ready to be asked.

    A list without times is two tables, one of what it allows and one of what it
    denies.  A list with times is one table of all its prefixes, and what is said
    about each stands beside it, so that no moment changes anything here:

        table    [ 10.0.0.0/8      | 10.1.0.0/16      | 10.1.2.0/24 ]
        firsts   [ 0               | 1                | 3           | 4 ]
        said     [ allow, always   | deny, from 12:00 , deny, from 18:00 | allow, until 15:00 ]

    A check walks the entries that cover the address, the most specific first, and
    takes the first length at which something counts now.

    Args:
        name: the name of a named list, None for a key's own.
        entries: `tuple[Entry, ...]`.
        description: what the list is for, in words.
    """
    def __new__(cls, name: str | None, entries: tuple[Entry, ...], description: str = "") -> FrozenList: ...
    @property
    def description(self) -> str: ...
    @property
    def name(self) -> str | None: ...
    @property
    def entries(self) -> tuple[Entry, ...]: ...

@final
class NamedLists(Mapping[str, FrozenList]):
    """Hold the named lists of one version.  Immutable.

    The next version shares all of it but what changed.

    Each name lies on one of 256 shelves, by its hash, and a shelf is a dictionary:

        shelves   [ {office: ...} | {} | {home: ..., lab: ...} | {} | ... ]
                          |                       |
        next      [ {office: ...} | {} | {home: ..., lab: NEW} | {} | ... ]      one shelf is copied

    Args:
        lists: `dict[str, FrozenList]`, or None for no lists.
    Raises:
        TypeError: a list is no `FrozenList`.
    Cost: a look-up as in a dictionary; a changed version, 256 references and the shelves that changed.
    Threads: safe, never changes.
    """
    def __new__(cls, lists: dict[str, FrozenList] | None = None) -> NamedLists: ...
    def changed(self, changes: dict[str, FrozenList | None], /) -> NamedLists:
        """Give the lists with some of them put, or removed where there is None."""
    def __getitem__(self, name: str, /) -> FrozenList: ...
    @overload
    def get(self, name: str, default: None = None, /) -> FrozenList | None:
        """Give a list by its name, or the default."""
    @overload
    def get(self, name: str, default: FrozenList, /) -> FrozenList: ...
    @overload
    def get(self, name: str, default: _T, /) -> FrozenList | _T: ...
    def __contains__(self, name: object, /) -> bool: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[str]: ...
    def __eq__(self, other: object, /) -> bool: ...
    __hash__: None  # type: ignore[assignment]

@final
class Shadow:
    """Count what a list would have decided; it decides nothing (B31).

    Attributes:
        list: the `FrozenList` on trial.
        would_allow, would_deny: how many checks.
        denied: `dict[str, int]`, how often each address would have been denied, for the first 1,000 of them.
    """
    def __new__(cls, frozen: FrozenList, /) -> Shadow: ...
    @property
    def list(self) -> FrozenList: ...
    @property
    def would_allow(self) -> int: ...
    @property
    def would_deny(self) -> int: ...
    @property
    def denied(self) -> dict[str, int]: ...

@final
class Rule:
    """Hold what was said about one key.

    Args:
        record: the engine's own record of the key.
        own: the key's own entries as a `FrozenList`, or None.
        names: the named lists it is linked to.
        within: the named lists that must pass as well.
        is_enabled: whether its lists are enforced.
        needs_list: whether it is inactive rather than unrestricted while it has none.
        shadow: a `Shadow`, or None.
    """
    def __new__(
        cls,
        record: object,
        own: FrozenList | None,
        names: tuple[str, ...],
        within: tuple[str, ...],
        is_enabled: bool,
        needs_list: bool,
        shadow: Shadow | None,
    ) -> Rule: ...
    @property
    def record(self) -> object: ...
    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def within(self) -> tuple[str, ...]: ...
    @property
    def is_enabled(self) -> bool: ...
    @property
    def needs_list(self) -> bool: ...
    @property
    def shadow(self) -> Shadow | None: ...

def key_text(key: str, /) -> str:
    """Give the exact text of a key; TypeError if it is none."""

@final
class View:
    """Hold one version of an engine's data.

    Args:
        store: what was put before, as a `KeyStore`; or None.
        overlay: `dict[str, Rule | None]`, what was put or removed since; nobody changes it any more.
        lists: `NamedLists`, or a dictionary to make one of.
        default: the name of the default list, or None.
        version: the number of this version.
        settings: what does not change from version to version, see `Settings` in records.py.
        names: of the lists that records of the store link by number.
    """
    def __new__(
        cls,
        store: KeyStore | None,
        overlay: dict[str, Rule | None],
        lists: NamedLists | dict[str, FrozenList],
        default: str | None,
        version: int,
        settings: Settings,
        names: tuple[str, ...] = (),
    ) -> View: ...
    def following(
        self,
        overlay: dict[str, Rule | None],
        lists: NamedLists,
        default: str | None,
        version: int,
        settings: Settings,
    ) -> View:
        """Make the view of a later version on the same store, with the same names and numbers."""
    def number_of(self, name: str, /) -> int | None:
        """Give the number by which records of the store link a list, or None."""
    @property
    def store(self) -> KeyStore | None: ...
    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def overlay(self) -> dict[str, Rule | None]: ...
    @property
    def lists(self) -> NamedLists: ...
    @property
    def default(self) -> str | None: ...
    @property
    def version(self) -> int: ...
    @property
    def settings(self) -> Settings: ...
    def held_id(self, key: str, /) -> str:
        """Give the id under which this view holds a key; TypeError for a key that is no text."""
    def rule(self, key: str, /) -> Rule | None:
        """Give the rule of a key by its held id, or None; TypeError for a key that is no text."""
    def state(self, rule: Rule, /) -> State:
        """Give the `State` of a key."""
    def __iter__(self) -> Iterator[str]: ...

@disjoint_base
class Checker:
    """Answer checks from the current view; `Engine` adds everything that changes it.

    Attributes:
        view: the current version of the data.
        is_stale: whether the data is older than it may be; while it is, every check is denied, whatever the view says.
    """

    view: View
    is_stale: bool
    def allows(self, key: str, address: object, /) -> bool:
        """Tell whether a client address may use a key: `check(...)` without the reasons.

        Args:
            key: the key's id, text.
            address: what `parse_address` takes, or None when it is not known.
        Returns:
            `bool`.  A bad or unknown address is False for a restricted key, never an exception.
        Raises:
            TypeError: the key is no text, such as None, bytes, or an address where the two were swapped.
            Whatever the engine's clock raises, for a key whose entries have times.
        Cost: about three dictionary look-ups, for a key with 20 IPv4 entries.
        Threads: safe without a lock; the answer is that of one version.
        Source: B2, B5, U1, U6; C23.
        """
    @overload
    def allows_many(self, keys: Iterable[str], addresses: Iterable[object], /, *, out: None = None) -> bytes:
        """Tell for many keys and addresses at once whether each address may use its key.

        Args:
            keys, addresses: two lists of the same length, of what `allows` takes.
            out: a writable contiguous buffer of n bytes.
        Returns:
            `bytes`, n long, 1 or 0 each; or `out`.
        Raises:
            TypeError: a key is no text; the message names its position.
            ValueError: the lists differ in length, or `out` does, or it lies in the block of a store that was mapped.
                Whatever the engine's clock raises.
        Cost: for keys in the store several wait for memory at a time, without the interpreter lock; for others as
            `allows`.
        Threads: safe without a lock; the answers are those of one version.
        Source: B2, B5, U1, U6; C23.
        """
    @overload
    def allows_many(self, keys: Iterable[str], addresses: Iterable[object], /, *, out: _Out) -> _Out: ...
    def check(self, key: str, address: object, /) -> Decision:
        """Decide whether a client address may use a key, and say why.

        Args:
            key: the key's id, text.
            address: what `parse_address` takes, or None when it is not known.
        Returns:
            `Decision`.
        Raises:
            TypeError: the key is no text.
            Whatever the engine's clock raises, for a key whose entries have times.
        Cost: as `allows`, and one small object.
        Threads: safe without a lock; the answer is that of one version.
        Source: B2, B28, U7, U14; C23.
        """

@final
class Decision:
    """Say whether a request passes, and everything that led there.  Immutable.

    Decisions come from `Engine.check`.  Entry, label and texts are worked out
    when they are asked for, from the version that was judged.  A decision that
    is pickled takes its facts along and leaves that version behind.

    Exactly one of `address` and `problem` is None.
    """
    @property
    def allowed(self) -> bool:
        """Whether the request passes; False for a decision that nobody made."""
    @property
    def reason(self) -> Reason:
        """The `Reason`."""
    @property
    def key(self) -> str: ...
    @property
    def state(self) -> State | None:
        """The `State` of the key, or None for a key of which nothing is known that holds."""
    @property
    def version(self) -> int:
        """The version of the engine's data that was judged."""
    @property
    def policy(self) -> Policy:
        """The engine's `Policy`."""
    @property
    def address(self) -> str | None:
        """The evaluated address in canonical text (B28), or None when it was unknown or no address."""
    @property
    def given(self) -> str | None:
        """What was given as the address, as text and uncut; None if nothing was.

        It comes from the client: show it with `repr` or `ascii`, and cut.
        """
    @property
    def problem(self) -> InvalidAddress | None:
        """Why that is no address, as an `InvalidAddress` with code, reason and suggestion; None if it is one.

        Its code is "not_given" where the address was None, and "wrong_type" for an object that is never an address.
        """
    @property
    def entry(self) -> Entry | None:
        """The entry that decided: the most specific that covers the address, or None."""
    @property
    def label(self) -> str | None:
        """The label of that entry, or None."""
    @property
    def list_name(self) -> str | None:
        """The named list that holds that entry, or None for the key's own entries."""
    @property
    def would_allow(self) -> bool | None:
        """What the key's shadow list would have said, or None without one (B31)."""
    def response(self, *, show_address: bool = False) -> Response:
        """Render the denial in the product's own form: `.status`, `.headers`, `.body`.

        Args:
            show_address: whether the body may tell the client which address was judged.
        Raises:
            ValueError: the request was allowed, so there is nothing to refuse.
        Source: B2, B3, U7, U8; C12, C13, C26.
        """
    def to_dict(self) -> dict[str, object]:
        """Give the facts as plain values, for a log or JSON.

        `given` is what the client sent, cut to 80 characters; `problem` is a code, as `InvalidAddress` has it.
        """
    def __bool__(self) -> NoReturn: ...
    def __copy__(self) -> Decision: ...
    def __deepcopy__(self, memo: object, /) -> Decision: ...

def inner_address(translation: Prefix | str, address: AddressLike, /) -> str | None:
    """Give the IPv4 address that an IPv6 address carries, as text, or None.

    Args:
        translation: a `Prefix`, one of a policy's `translations`.
        address: what `parse_address` takes.
    """
