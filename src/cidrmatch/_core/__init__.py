"""The compiled core: addresses, prefixes, the trie, the table.  Use it through `cidrmatch`.

The core works in the main interpreter of a process. A subinterpreter is refused here, before any extension is loaded.
The extensions keep types and constants in static memory, one set for the process, which dies with the interpreter that
loaded it. Cython's own guard allows one interpreter, too, but it takes the *first* that comes: a subinterpreter that
imports first would shut the main one out for the life of the process.
"""

from __future__ import annotations

from importlib import import_module


def _is_main_interpreter() -> bool:
    """Return whether this is the interpreter that the process began with; True where CPython does not tell.

    Until 3.14 there is no public way to ask.  Where the module is missing, Cython's guard still allows only one.
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
