"""The console script `cidrmatch`, and `python -m cidrmatch`.

The command line needs the extra `cli`, so that the library itself needs no
other package.  `cidrmatch serve` needs the extra `server`, `cidrmatch store` and
`cidrmatch fleet` the extra `sql`, `cidrmatch take` the extra `fleet`, `cidrmatch feed`
the extra `feeds` unless its sources are files.  This module adds them to the
other commands, which do not know them.  If the extra `cli` is missing, this
module says how to install it; a traceback would not.
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
    _add_services(app)
    app(prog_name="cidrmatch")


def _add_services(app: typer.Typer) -> None:
    """Add `serve`, `store`, `fleet`, `take`, `usage` and `feed`, if the library has its service."""
    try:
        from .service.feeds.command import feed  # noqa: PLC0415  an extra
        from .service.server.command import serve  # noqa: PLC0415
        from .service.stores.command import store  # noqa: PLC0415
        from .service.stores.fleet import fleet, take  # noqa: PLC0415
        from .service.usage.command import usage  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        if not (missing.name or "").startswith("cidrmatch.service"):
            raise
        return  # a library without its servers
    app.command("serve")(serve)
    app.add_typer(store, name="store")
    app.command("fleet")(fleet)
    app.command("take")(take)
    app.add_typer(usage, name="usage")
    app.add_typer(feed, name="feed")


if __name__ == "__main__":
    main()
