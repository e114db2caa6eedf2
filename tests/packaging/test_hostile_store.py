"""Blocks that somebody else wrote: any bytes at all, under sanitizers, with nothing in front that would refuse them.

A small C program takes a good block and changes it, again and again, in the places where changes hurt: numbers that say
how many or where.  Nobody checks checksums here, as if they had been made right again.  Then it asks for every key:

    a block   --change some bytes-->  refused by its header
                                      or asked: no read outside (AddressSanitizer has the block to the byte), and
                                      an "allowed" is one that the bytes of the record say, read in the slow way

Requirements: B2, B5, C23.
"""

import os
import subprocess
from pathlib import Path

import pytest

from cidrmatch import KeyStore
from cidrmatch._keys.store import Builder

PACKAGE = Path(__file__).parents[2] / "src" / "cidrmatch"
SOURCE = Path(__file__).parent / "programs" / "hostile_store.c"
MUTATIONS = int(os.environ.get("CIDRMATCH_MUTATIONS", "100000"))


def small_block() -> KeyStore:
    builder = Builder()
    builder.add("a", ["10.0.0.1"])
    builder.add("both", ["203.0.113.0/24", "10.0.0.0/8", "0.0.0.0/1", "2001:db8::/48", "8000::/1"])
    builder.add("long", [f"10.{number >> 8}.{number & 255}.0/25" for number in range(300)])
    builder.add("long6", [f"2001:db8:{number:x}::/49" for number in range(40)])
    builder.add("linked", ["10.0.0.1"], links=(0,))
    for number in range(30):
        builder.add(f"key_{number}", [f"10.0.0.{number}"])
    return builder.build(lists=1, about=b"more")


@pytest.mark.parametrize("flags", [[], ["-DCIDRMATCH_PORTABLE"]], ids=["as everyone gets it", "without vectors"])
def test_changed_blocks_never_crash_and_never_allow_what_they_do_not_say(tmp_path: Path, flags: list[str]) -> None:
    program, block = tmp_path / "hostile", tmp_path / "block"
    block.write_bytes(small_block().block)
    warnings = ["-Wall", "-Wextra", "-Werror", "-Wno-unused-function", "-Wno-unused-parameter"]
    sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    subprocess.run(
        ["cc", "-O1", "-g", *warnings, *sanitizers, *flags, f"-I{PACKAGE}", SOURCE, "-o", program], check=True
    )
    said = subprocess.run([program, block, str(MUTATIONS)], capture_output=True, text=True, check=False)
    print(said.stdout, end="")
    assert said.returncode == 0, said.stdout + said.stderr
    assert f"{MUTATIONS} blocks" in said.stdout
    assert " 0 refused" not in said.stdout
    assert " 0 damaged" not in said.stdout
