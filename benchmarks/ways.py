"""The timed loops: one for each way of asking, with the untimed twin that gives the answers.

    loop(box, items)        timed: one Python loop over thousands of items
    answers(box, items)     not timed: the same questions, one comparable value an item;
                            None where there is nothing to compare

A *box* is whatever the loop needs: a container for `item in box`, a bound
method for `ask(item)`, a list of borders for `bisect`.  A loop drops what it
finds, because keeping answers is a question of its own (`list_in`, `call_once`).

Every contestant runs its own copy of its loop: CPython writes what it learns
about types into the code, and a shared loop would unlearn at each change of
hands.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from socket import inet_pton
from types import CodeType, FunctionType
from typing import Any, NamedTuple

from benchmarks.data import Takes, pack

Loop = Callable[[Any, Any], object]
Ask = Callable[[Any], Any]
Borders = tuple[int, list[bytes]]  # socket family, packed borders of the covered ranges


@dataclass(frozen=True)
class Way:
    """A loop, its twin, and what the items are: texts, packed addresses, or one buffer of them."""

    loop: Loop
    answers: Callable[[Any, Any], list[Any]] | None = None
    takes: Takes = "text"


def own_copy(loop: Loop) -> Loop:
    """The same function around code of its own, down to the comprehensions inside."""
    assert isinstance(loop, FunctionType)
    return FunctionType(_copy_code(loop.__code__), loop.__globals__, loop.__name__)


def _copy_code(code: CodeType) -> CodeType:
    constants = (_copy_code(value) if isinstance(value, CodeType) else value for value in code.co_consts)
    return code.replace(co_consts=tuple(constants))


# --- one at a time -----------------------------------------------------------


def ask_nothing(_box: object, items: Iterable[object]) -> None:
    for _item in items:
        pass


def ask_in(box: Any, items: Iterable[object]) -> None:
    for item in items:
        item in box  # noqa: B015  (the comparison is what is timed)


def ask_call(ask: Ask, items: Iterable[object]) -> None:
    for item in items:
        ask(item)


def ask_bisect(box: Borders, items: Iterable[str]) -> None:
    family, borders = box
    for text in items:
        bisect_right(borders, inet_pton(family, text)) & 1


def ask_bisect_packed(box: Borders, items: Iterable[bytes]) -> None:
    _, borders = box
    for packed in items:
        bisect_right(borders, packed) & 1


def ask_radix_packed(find: Callable[..., object], items: Iterable[bytes]) -> None:
    for packed in items:
        find(packed=packed)


def ask_inet_pton(family: int, items: Iterable[str]) -> None:
    for text in items:
        inet_pton(family, text)


def found(answer: object) -> bool:
    """Yes or no: False and None are a no; a node, an entry or True is a yes."""
    return answer is not None and answer is not False


def _bisected(box: Borders, items: Sequence[str]) -> list[bool]:
    return _bisected_packed(box, [pack(text) for text in items])


def _bisected_packed(box: Borders, items: Sequence[bytes]) -> list[bool]:
    return [bisect_right(box[1], packed) % 2 == 1 for packed in items]


def say(loop: Loop, meaning: Callable[[Any], object], takes: Takes = "text") -> Way:
    """A way whose loop calls the box, and whose answers are compared by their meaning."""
    return Way(loop, lambda ask, items: [meaning(ask(item)) for item in items], takes)


def say_radix(loop: Loop, meaning: Callable[[Any], object]) -> Way:
    """The same for py-radix, which wants to be told that an address is packed."""
    return Way(loop, lambda find, items: [meaning(find(packed=item)) for item in items], takes="packed")


NOTHING = Way(ask_nothing)
IN = Way(ask_in, lambda box, items: [item in box for item in items])
CALL = say(ask_call, found)
BISECT = Way(ask_bisect, _bisected)
PACKED_IN = Way(ask_in, IN.answers, takes="packed")
PACKED_BISECT = Way(ask_bisect_packed, _bisected_packed, takes="packed")
PACKED_RADIX = say_radix(ask_radix_packed, found)


# --- many at once, the answers kept ------------------------------------------


def list_in(box: Any, items: Iterable[object]) -> list[bool]:
    return [item in box for item in items]


def list_call(ask: Ask, items: Iterable[object]) -> list[object]:
    return [ask(item) for item in items]


def list_radix_packed(find: Callable[..., object], items: Iterable[bytes]) -> list[object]:
    return [find(packed=packed) for packed in items]


def call_once(ask: Ask, items: object) -> object:
    return ask(items)


class Indexed(NamedTuple):
    """A box that answers with the index of an entry, or -1, and the texts that the indexes stand for."""

    ask: Callable[[Any], Iterable[int]]
    texts: Sequence[str]


def index_once(box: Indexed, items: object) -> object:
    return box.ask(items)


def _indexed(box: Indexed, items: Any) -> list[str | None]:
    return [None if index < 0 else box.texts[index] for index in box.ask(items)]


LIST_IN = Way(list_in, IN.answers)
LIST_CALL = Way(list_call, CALL.answers)
ONCE = Way(call_once, lambda ask, items: [bool(answer) for answer in ask(items)])
BUFFER_READ = Way(call_once, takes="buffer")
BUFFER_ONCE = Way(call_once, ONCE.answers, takes="buffer")
INDEX_ONCE = Way(index_once, _indexed)
BUFFER_INDEX_ONCE = Way(index_once, _indexed, takes="buffer")


# --- building ----------------------------------------------------------------


def build_each(build: Ask, items: Iterable[object]) -> list[object]:
    """All that was built is kept, so that taking it down is not timed."""
    return [build(given) for given in items]
