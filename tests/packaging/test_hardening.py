"""What the compiler and the linker do against a fault of ours is in the shared objects; docs/building.md says why.

Read from the files that are built: those in the tree, and those of a wheel (`test_distribution.py`).
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

import cidrmatch

PACKAGE = Path(cidrmatch.__file__).parent
PF_X = 1
DF_BIND_NOW, DF_TEXTREL = 0x8, 0x4
DF_1_NOW = 0x1

pytestmark = [
    pytest.mark.packaging,
    pytest.mark.skipif(sys.platform != "linux", reason="the flags are for ELF files, on Linux"),
]


def faults(path: Path) -> Iterable[str]:
    """Name what a shared object lacks."""
    with path.open("rb") as file:
        elf = ELFFile(file)
        segments = {segment["p_type"]: segment for segment in elf.iter_segments()}
        dynamic = next(section for section in elf.iter_sections() if isinstance(section, DynamicSection))
        tags = {tag.entry.d_tag: tag.entry.d_val for tag in dynamic.iter_tags()}
        symbols = elf.get_section_by_name(".dynsym")
        assert isinstance(symbols, SymbolTableSection)
        imported = {symbol.name for symbol in symbols.iter_symbols() if symbol["st_shndx"] == "SHN_UNDEF"}
        if "PT_GNU_RELRO" not in segments:
            yield "no GNU_RELRO: what the linker filled in stays writable"
        if "DT_BIND_NOW" not in tags and not (
            tags.get("DT_FLAGS", 0) & DF_BIND_NOW or tags.get("DT_FLAGS_1", 0) & DF_1_NOW
        ):
            yield "no BIND_NOW: addresses of functions are filled in later, so they stay writable"
        if "PT_GNU_STACK" not in segments or segments["PT_GNU_STACK"]["p_flags"] & PF_X:
            yield "the stack is executable"
        if "DT_TEXTREL" in tags or tags.get("DT_FLAGS", 0) & DF_TEXTREL:
            yield "TEXTREL: code is written to when it is loaded"
        if any(segment["p_type"] == "PT_LOAD" and segment["p_flags"] & 3 == 3 for segment in elf.iter_segments()):
            yield "a part is both writable and executable"
        if "__stack_chk_fail" not in imported:
            yield "no function checks its stack"


def test_each_extension_in_the_tree_is_hardened() -> None:
    extensions = sorted(PACKAGE.rglob("*.so"))
    assert len(extensions) >= 8
    assert {path.name: list(faults(path)) for path in extensions} == {path.name: [] for path in extensions}


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only the GNU C library has checked calls")
def test_calls_whose_room_is_known_are_the_checked_ones() -> None:
    """FORTIFY: text is formatted by __vsnprintf_chk, which knows the size of the array."""
    names: set[str] = set()
    for path in PACKAGE.rglob("*.so"):
        with path.open("rb") as file:
            symbols = ELFFile(file).get_section_by_name(".dynsym")
            assert isinstance(symbols, SymbolTableSection)
            names |= {symbol.name for symbol in symbols.iter_symbols()}
    assert "__vsnprintf_chk" in names
    assert not {"vsnprintf", "sprintf", "strcpy"} & names
