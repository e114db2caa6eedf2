from collections.abc import Callable, Iterator
from typing import Literal, Protocol, final, type_check_only

from .._core import Entry, Prefix
from .key_record import KeyRecord
from .reasons import State
from .response import Response
from .rule import FrozenList, NamedLists, Rule
from .store import KeyStore

__all__ = ["View", "key_text"]

@type_check_only
class ProductRules(Protocol):
    @property
    def response(self) -> str: ...

@type_check_only
class AskedPolicy(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def keys(self) -> ProductRules: ...
    @property
    def translations(self) -> tuple[Prefix | str, ...]: ...
    def canonical(self, prefix: Prefix) -> str: ...
    def entry_to_dict(self, entry: Entry) -> dict[str, object]: ...

@type_check_only
class Settings(Protocol):
    @property
    def policy(self) -> AskedPolicy: ...
    @property
    def clock(self) -> Callable[[], float]: ...
    @property
    def render(self) -> Callable[..., Response]: ...
    @property
    def is_enforced(self) -> bool: ...
    @property
    def unknown_passes(self) -> bool: ...
    @property
    def id_hash(self) -> Callable[[str], str] | None: ...

@final
class View:
    """Hold one version of an engine's data.

    Args:
        store: what was put before, as a `KeyStore`; or None.
        overlay: `dict[str, Rule | None]`, what was put or removed since; nobody changes it any more.
        lists: `NamedLists`, or a dictionary to make one of.
        default: the name of the default list, or None.
        version: the number of this version.
        settings: what does not change from version to version, the engine's `Settings`.
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
    def record(self, key: str, /) -> KeyRecord | None:
        """Give what was said about a key, as a `KeyRecord`, by its held id; None if there is no such key.

        No rule is made, so this costs less than `rule` where nobody checks the key.
        """
    def rule(self, key: str, /) -> Rule | None:
        """Give the rule of a key by its held id, or None; TypeError for a key that is no text."""
    def levels(
        self, rule: Rule, /
    ) -> tuple[tuple[Literal["united", "default", "within"], tuple[FrozenList, ...]], ...]:
        """Give the levels by which a key is judged, in the order in which they are asked; all must pass.

        Returns:
            For each level how it belongs to the key, and its lists: "united", its own entries and linked lists;
            "default", the list that stands in for them; "within", a list that it lies within.
        Raises:
            KeyError: a list that the rule names is not there.
        """
    def state(self, rule: Rule, /) -> State:
        """Give the `State` of a key."""
    def __contains__(self, held_id: str, /) -> bool: ...
    def __iter__(self) -> Iterator[str]: ...

def key_text(key: str, /) -> str:
    """Give the exact text of a key; TypeError if it is none."""
