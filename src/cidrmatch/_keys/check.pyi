from collections.abc import Iterable
from typing import NoReturn, TypeVar, final, overload

from _typeshed import WriteableBuffer
from typing_extensions import disjoint_base

from .._core import Entry, Prefix
from ..errors import InvalidAddress
from .reasons import Reason, State
from .response import Response
from .view import AskedPolicy, View

__all__ = ["Checker", "Decision", "carried_by", "client_of"]

_Out = TypeVar("_Out", bound=WriteableBuffer)

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
    def policy(self) -> AskedPolicy:
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

def client_of(decision: Decision, /) -> Prefix | None:
    """Give the address that was judged as a `Prefix`, or None when it was unknown or no address."""

def carried_by(decision: Decision, /) -> tuple[Prefix, ...]:
    """Give the IPv4 addresses that the judged address carries by the policy's translations, as a tuple of `Prefix`."""
