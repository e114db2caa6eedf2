"""Other extensions ask cidrmatch without Python objects: one in Cython, by cimport, and one in C, by the capsule.

Both are built here as a stranger would build them, from the installed headers alone, and are asked what the Python face
is asked.  Requirements: B2, B5, C16, C23.
"""

import importlib.util
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from cidrmatch import AllowList, KeyStore, Reason
from cidrmatch._keys.capi import get_include

PROGRAMS = Path(__file__).parent / "programs"
LISTS: dict[str, list[str]] = {"office": ["203.0.113.0/24", "2001:db8::/48"], "home": ["198.51.100.7"], "": ["::1"]}
ADDRESSES = [
    "203.0.113.7", "203.0.114.7", "2001:db8::1", "2001:db8:1::", "198.51.100.7", "::ffff:198.51.100.7", "::1", "",
    "::ffff:203.0.113.255", "junk", "203.0.113.07", "203.0.113.7 ", "1" * 60, "2001:0db8:0000:0000:0000:0000:0000:0001",
]  # fmt: skip


def build(directory: Path, name: str, source: Path) -> ModuleType:
    target = directory / f"{name}{sysconfig.get_config_var('EXT_SUFFIX')}"
    includes = [f"-I{sysconfig.get_paths()['include']}", f"-I{get_include()}"]
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", *includes, source, "-o", target], check=True)
    spec = importlib.util.spec_from_file_location(name, target)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module", params=["C", "Cython"])
def foreign(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    directory = tmp_path_factory.mktemp("foreign")
    if request.param == "C":
        yield build(directory, "foreign_c", PROGRAMS / "foreign_c.c")
        return
    pytest.importorskip("Cython")
    root = Path(get_include()).parent  # where the package lies
    source = directory / "foreign_cython.c"
    command = [
        sys.executable,
        "-m",
        "cython",
        "-3",
        f"-I{root}",
        str(PROGRAMS / "foreign_cython.pyx"),
        "-o",
        str(source),
    ]
    subprocess.run(command, check=True)
    yield build(directory, "foreign_cython", source)


def test_contains_is_that_of_the_list(foreign: Any) -> None:
    for entries in LISTS.values():
        allow = AllowList(entries)
        for address in ADDRESSES:
            try:
                expected = int(allow.contains(address))
            except ValueError:
                expected = -1
            assert foreign.contains(allow, address) == expected, address
    allow = AllowList(LISTS["office"])
    for packed in (bytes([203, 0, 113, 9]), bytes([203, 0, 114, 9]), bytes(10) + b"\xff\xff" + bytes([203, 0, 113, 9])):
        assert foreign.contains_packed(allow, packed) == int(packed in allow)
    for packed in (b"", b"abc", bytes(15), bytes(17)):
        assert foreign.contains_packed(allow, packed) == -1


def test_check_is_that_of_the_store(foreign: Any) -> None:
    store = KeyStore(LISTS)
    reasons = list(Reason)
    for key in [*LISTS, "unknown", "schlüssel", "office\0"]:
        for address in ADDRESSES:
            assert reasons[foreign.check(store, key, address)] is store.check(key, address), (key, address)


def test_others_are_refused(foreign: Any) -> None:
    anything: Any
    for anything in (KeyStore(), None, object(), AllowList):
        with pytest.raises(TypeError):
            foreign.contains(anything, "10.0.0.1")
    for anything in (AllowList(), None, object(), KeyStore):
        with pytest.raises(TypeError):
            foreign.check(anything, "k", "10.0.0.1")


def test_threads_ask_at_once(foreign: Any) -> None:
    store, allow = KeyStore(LISTS), AllowList(LISTS["office"])
    wrong: list[object] = []

    def ask() -> None:
        for _ in range(2_000):
            answers = foreign.check(store, "home", "198.51.100.7"), foreign.contains(allow, "203.0.114.7")
            if answers != (1, 0):
                wrong.append(answers)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
