"""The public names of the core: every name that Python code of other floors may use, with the reason for each.

The core answers: which addresses are in a list?  Most of its rooms are compiled; Cython code of other floors cimports
them directly.  A name without a reason here is a public name of `cidrmatch`.

The core works in the main interpreter of a process. A subinterpreter is refused here, before any extension is loaded.
The extensions keep types and constants in static memory, one set for the whole process.  This set is destroyed with the
interpreter that loaded it.  Cython itself allows only one interpreter, too, but it allows the *first* one that imports.
So a subinterpreter that imports first would exclude the main interpreter for as long as the process runs.
"""

from __future__ import annotations

from importlib import import_module


def _is_main_interpreter() -> bool:
    """Return whether this is the interpreter that the process began with; True where CPython does not tell.

    Before 3.14 CPython has no public function for this.  If the module is missing, Cython's own check still allows only
    one interpreter.
    """
    for name in ("_interpreters", "_xxsubinterpreters"):  # from CPython 3.13 on, and before
        try:
            interpreters = import_module(name)
        except ImportError:
            continue
        return bool(interpreters.get_current() == interpreters.get_main())
    return True


if not _is_main_interpreter():
    raise ImportError(
        "cidrmatch works in the main interpreter of a process only, and this is a subinterpreter; use processes or"
        " threads (mod_wsgi: WSGIApplicationGroup %{GLOBAL}; uWSGI: single-interpreter = true)"
    )

from .address import (
    AddressLike,  # every form of an address that is taken
    format_address,  # bits and packed bytes as text
    is_address,  # is this text an address at all?
    parse_address,  # text, packed bytes or an object as packed bytes
)
from .allow_list import (
    AllowList,
    changes,  # diff tells which entries of two lists differ
)
from .bars import without_covered  # suggest takes out of its list of outsiders whom an entry admits all the same
from .column import (
    PROBLEMS,  # the words for what is wrong with rows of a column
    match_column,  # tables of other engines ask a list
)
from .condition import (
    Condition,  # what an entry says besides its prefix
    Standing,  # whether an entry counts at a moment, and if not, why
    fields_of_entry,  # a policy writes an entry as plain values, and so do the notes of a record
    standing_of,  # lint and explain ask it
)
from .cover import Observed  # suggest finds the best cover of what was observed
from .foreign import fields_of  # a policy reads the mapping that stands for an entry
from .lines import (
    numbered_prefixes,  # a list in a text file
    without_mark,  # a text as editors leave it
)
from .patricia import PatriciaTrie
from .prefix import (
    Entry,
    EntryLike,  # every form of an entry
    Prefix,
    PrefixLike,  # every form of a prefix
    check_is_list,  # a text where a list of texts was meant
    entries_as_written,  # rows of a database that the library wrote are read quickly
    parse_entry,
    parse_prefix,
    take_apart,  # an entry as prefix, label and condition, once
)
from .prefix_lines import (
    PrefixLines,  # a list in a text file, without an object for each line
    number_of,  # the place of an entry in such a file
)
from .prefixes import aggregate
from .refusal import (
    address_problem,  # why a text is no address
    shown,  # a value in an error message, cut to a bearable length
    wrong_key,  # a key that is no text
)
from .sieve import Sieve  # a policy judges only those entries of a long list that remain

__all__ = [
    "PROBLEMS",
    "AddressLike",
    "AllowList",
    "Condition",
    "Entry",
    "EntryLike",
    "Observed",
    "PatriciaTrie",
    "Prefix",
    "PrefixLike",
    "PrefixLines",
    "Sieve",
    "Standing",
    "address_problem",
    "aggregate",
    "changes",
    "check_is_list",
    "entries_as_written",
    "fields_of",
    "fields_of_entry",
    "format_address",
    "is_address",
    "match_column",
    "number_of",
    "numbered_prefixes",
    "parse_address",
    "parse_entry",
    "parse_prefix",
    "shown",
    "standing_of",
    "take_apart",
    "without_covered",
    "without_mark",
    "wrong_key",
]
