"""The console script `cidrmatch`, and `python -m cidrmatch`.

The command line needs the extra `cli`, so that the library itself needs no
other package.  If the extra is missing, this module says how to install it; a
traceback would not.
"""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line, or say what to install (exit 2)."""
    try:
        from .cli.app import app  # noqa: PLC0415  the extra may be missing, and only here is that an answer
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] not in ("typer", "rich"):
            raise
        sys.stderr.write("The command line needs its extra: pip install 'cidrmatch[cli]'\n")
        sys.exit(2)
    app(prog_name="cidrmatch")


if __name__ == "__main__":
    main()
