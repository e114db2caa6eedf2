"""The lines of hot code that touch Python; there should be none.

    $ python tools/yellow.py
    src/cidrmatch/_core/allow_list.pyx:118: 5: labels[i] = None

A `.pyx` file says itself where it is hot:

    # hot: begin
    cdef bint contains(const Table *table, const Key *address) noexcept nogil:
        ...
    # hot: end

`cython --annotate` gives each line a score for what its C asks of Python: 0 is
white, and each use of the C API makes it yellower.  The lines between the marks
that are not white are printed as file:line: score: source.  Files and
directives are those of setup.py, which is run with a `cythonize` that only
listens; the C and the page go to a folder that is dropped.

The status is 0 when nothing is printed and 1 when something is.  It is 2 when
the marks are no pairs, or when there are none: a guard that looks at nothing
must not say that all is well.
"""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from unittest import mock

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "# hot: begin", "# hot: end"
ANNOTATED = re.compile(r'<pre class="cython line score-(\d+)"[^>]*>[^<]*<span class="[^"]*">(\d+)</span>')


class MarkError(Exception):
    """The marks of a file are not pairs of begin and end."""


class YellowLine(NamedTuple):
    """A hot line whose C touches Python."""

    number: int
    score: int
    source: str


def hot_lines(source: str) -> dict[int, str]:
    """Give the lines between the marks by number."""
    found = {}
    expected = BEGIN
    for number, line in enumerate(source.splitlines(), start=1):
        if line.strip().startswith("# hot:"):
            if line.strip() != expected:
                raise MarkError(f"line {number} says {line.strip()!r}, where {expected!r} is expected")
            expected = END if expected == BEGIN else BEGIN
        elif expected == END:
            found[number] = line.strip()
    if expected == END:
        raise MarkError(f"the last {BEGIN!r} has no {END!r}")
    return found


def scores(path: Path, directives: Mapping[str, object]) -> dict[int, int]:
    """Ask Cython for the score of each line."""
    options = [f"--directive={name}={value}" for name, value in directives.items()]
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder, "annotated.html")
        command = [sys.executable, "-m", "cython", "--annotate", *options, f"--output-file={page.with_suffix('.c')}"]
        subprocess.run([*command, str(path)], check=True)
        return {int(number): int(score) for score, number in ANNOTATED.findall(page.read_text(encoding="utf-8"))}


def yellow_lines(path: Path, directives: Mapping[str, object], hot: Mapping[int, str]) -> list[YellowLine]:
    """Find the hot lines of a file that touch Python."""
    score = scores(path, directives)
    return [YellowLine(number, score[number], source) for number, source in hot.items() if score[number] > 0]


def sources_and_directives() -> tuple[list[Path], dict[str, object]]:
    """Listen to what setup.py gives to Cython."""
    with mock.patch("Cython.Build.cythonize") as cythonize, mock.patch("setuptools.setup"):
        runpy.run_path(str(ROOT / "setup.py"))
    (extensions,) = cythonize.call_args.args
    return [ROOT / extension.sources[0] for extension in extensions], cythonize.call_args.kwargs["compiler_directives"]


def main() -> int:
    """Print the yellow lines of all files that have hot ones."""
    sources, directives = sources_and_directives()
    hot = {}
    for path in sources:
        try:
            hot[path] = hot_lines(path.read_text(encoding="utf-8"))
        except MarkError as error:
            print(f"{path.relative_to(ROOT)}: {error}", file=sys.stderr)
            return 2
    if not any(hot.values()):
        print(f"no line stands between {BEGIN!r} and {END!r}", file=sys.stderr)
        return 2
    is_clean = True
    for path in filter(hot.get, sources):
        for number, score, source in yellow_lines(path, directives, hot[path]):
            print(f"{path.relative_to(ROOT)}:{number}: {score}: {source}")
            is_clean = False
    return 0 if is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
