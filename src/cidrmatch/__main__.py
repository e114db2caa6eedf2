"""The console script `cidrmatch`, and `python -m cidrmatch`.

The command line needs the extra `cli`, so that the library itself needs no
other package.  `cidrmatch serve` needs the extra `server`, and this module adds
it to the other commands, which do not know it.  If the extra `cli` is missing,
this module says how to install it; a traceback would not.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import typer

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
    _add_serve(app)
    app(prog_name="cidrmatch")


def _add_serve(app: typer.Typer) -> None:
    """Add `serve`, if the library has its service."""
    try:
        from .service.server.command import serve  # noqa: PLC0415  an extra
    except ModuleNotFoundError as missing:
        if not (missing.name or "").startswith("cidrmatch.service"):
            raise
        return  # a library without its servers
    app.command("serve")(serve)


if __name__ == "__main__":
    main()
