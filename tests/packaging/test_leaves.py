"""The headers of the core, compiled alone: millions of texts and nodes, and no byte read that is not theirs.

A program in C asks every twin the same and compares:

    text.h and its kinds      the common parsers, their portable twins, those for AVX-512, and `inet_pton`
    count.h and its kinds     counts in nodes and scans, plain and by each kind of vectors
    search.h                  ladders, by each kind of vectors
    bits.h                    bytes the other way round

Texts lie where a read too far is a fault, once at the end and once at the beginning of a page between two that cannot
be read.  What stands beside them looks like more of a text:

    [ no access ][ 1:..2:0fe | 2001:db8::1f  .7:3::1.. ][ no access ]     ROOM_BEFORE bytes, then the text
    [ no access ][ ..2:0fe.1:2:f:                     2001:db8::1f ][ no access ]

The program is compiled as everyone gets it, without any vectors, and without integers of 128 bits.
"""

import subprocess
from pathlib import Path

import pytest

import cidrmatch

PACKAGE = Path(cidrmatch.__file__).parent
SOURCE = Path(__file__).parent / "programs" / "leaves.c"
WARNINGS = ["-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter"]


@pytest.mark.parametrize(
    ("flags", "count"),
    [([], 2_000_000), (["-DCIDRMATCH_PORTABLE"], 300_000), (["-U__SIZEOF_INT128__"], 300_000)],
    ids=["as everyone gets it", "without vectors", "without integers of 128 bits"],
)
def test_headers_compiled_alone_agree_with_their_twins(flags: list[str], count: int, tmp_path: Path) -> None:
    program = tmp_path / "leaves"
    subprocess.run(["cc", "-O2", *WARNINGS, *flags, f"-I{PACKAGE}", SOURCE, "-o", program], check=True)
    done = subprocess.run([program, str(count)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.partition(",")[0]) == (0, "equal"), done.stdout + done.stderr
