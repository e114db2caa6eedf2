"""The table of rooms in docs/design.md, read from the files themselves.

    python -m tests.architecture.table      writes the table between its marks

    | floor | room | what lives there | names |
              a module or a header      the first sentence of its essay      the floors and rooms that it names

A room's line is the first sentence of its essay, so a page and a file cannot say two things.
"""

import ast
import re
from pathlib import Path

from tests.architecture.reading import PACKAGE, edges, floor_of, room_of, sources, write_between

PAGE = PACKAGE.parents[1] / "docs" / "design.md"
BEGIN, END = "<!-- rooms: begin -->\n", "<!-- rooms: end -->\n"
ORDER = ("errors", "_core", "_keys", "client", "policy", "engine", "files", "advice", "gateways", "cli", "service")
ESSAYS = (".py", ".pyx", ".h", ".pxd")  # where a room with several files has its essay, the first first


def essay_of(path: Path) -> str:
    """Give the essay at the top of a file."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return ast.get_docstring(ast.parse(text)) or ""
    found = re.search(r"/\*(.*?)\*/" if path.suffix == ".h" else r'"""(.*?)"""', text, re.DOTALL)
    return re.sub(r"^ \* ?", "", found[1], flags=re.MULTILINE) if found else ""


def first_sentence(essay: str) -> str:
    """Give the first sentence, on one line, without its full stop."""
    paragraph = " ".join(essay.strip().split("\n\n")[0].split())
    return re.split(r"(?<=[.?])\s", paragraph)[0].removesuffix(".").replace("|", "\\|")


def line_of(room: str) -> str:
    """Tell what lives in a room."""
    for suffix in ESSAYS:
        path = PACKAGE / room if room.endswith(".h") else (PACKAGE / room).with_suffix(suffix)
        if path.exists():
            return first_sentence(essay_of(path))
    return ""


def named_by(room: str) -> str:
    """Name the rooms of the same floor that a room names, and the other floors."""
    floor = floor_of(room)
    near = sorted(other.removeprefix(floor + "/") for other in edges()[room] if floor_of(other) == floor)
    far = {floor_of(other) for other in edges()[room]} - {floor}
    return ", ".join([f"**{other}**" for other in ORDER if other in far] + near)


def table() -> str:
    """Write the table: a row for each room, the floors from the ground up."""
    rooms = sorted({room_of(path) for path in sources()})
    lines = ["| floor | room | what lives there | names |", "|---|---|---|---|"]
    for floor in ORDER:
        inside = [room for room in rooms if floor_of(room) == floor and not room.endswith("__init__")]
        for room in inside:
            shown = room.removeprefix(floor + "/") if "/" in room else f"{room}.py"
            lines.append(f"| `{floor}` | {shown} | {line_of(room)} | {named_by(room)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the table into the page."""
    write_between(PAGE, BEGIN, END, table())


if __name__ == "__main__":
    main()
