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

LISTS: dict[str, list[str]] = {"office": ["203.0.113.0/24", "2001:db8::/48"], "home": ["198.51.100.7"], "": ["::1"]}
ADDRESSES = [
    "203.0.113.7", "203.0.114.7", "2001:db8::1", "2001:db8:1::", "198.51.100.7", "::ffff:198.51.100.7", "::1", "",
    "::ffff:203.0.113.255", "junk", "203.0.113.07", "203.0.113.7 ", "1" * 60, "2001:0db8:0000:0000:0000:0000:0000:0001",
]  # fmt: skip

C_SOURCE = r"""
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include "cidrmatch.h"

static const CidrmatchApi *cidrmatch;

static PyObject *contains(PyObject *self, PyObject *args) {
    PyObject *allow;
    const char *text;
    Py_ssize_t length;
    const void *list;
    int answer;
    (void)self;
    if (!PyArg_ParseTuple(args, "Os#", &allow, &text, &length) || !(list = cidrmatch->list_of(allow))) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    answer = cidrmatch->contains(list, text, length);
    Py_END_ALLOW_THREADS
    return PyLong_FromLong(answer);
}

static PyObject *contains_packed(PyObject *self, PyObject *args) {
    PyObject *allow;
    const char *packed;
    Py_ssize_t length;
    const void *list;
    (void)self;
    if (!PyArg_ParseTuple(args, "Oy#", &allow, &packed, &length) || !(list = cidrmatch->list_of(allow))) {
        return NULL;
    }
    return PyLong_FromLong(cidrmatch->contains_packed(list, (const uint8_t *)packed, length));
}

static PyObject *check(PyObject *self, PyObject *args) {
    PyObject *store;
    const char *key, *text;
    Py_ssize_t key_length, length;
    const void *block;
    int verdict;
    (void)self;
    if (!PyArg_ParseTuple(args, "Os#s#", &store, &key, &key_length, &text, &length)
        || !(block = cidrmatch->store_of(store))) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    verdict = cidrmatch->check(block, key, key_length, text, length);
    Py_END_ALLOW_THREADS
    return PyLong_FromLong(verdict);
}

static PyMethodDef methods[] = {
    {"contains", contains, METH_VARARGS, NULL},
    {"contains_packed", contains_packed, METH_VARARGS, NULL},
    {"check", check, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "foreign_c", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_foreign_c(void) {
    cidrmatch = cidrmatch_import();
    return cidrmatch == NULL ? NULL : PyModule_Create(&module);
}
"""

CYTHON_SOURCE = """
# cython: language_level=3
from cidrmatch._keys.capi cimport check_key, contains_packed as packed_in, contains_text
from cidrmatch._keys.store cimport KeyStore
from cidrmatch._core.allow_list cimport AllowList

def contains(AllowList allow not None, str text not None):
    cdef bytes raw = text.encode("utf-8")
    cdef const char *start = raw
    cdef Py_ssize_t length = len(raw)
    with nogil:
        answer = contains_text(&allow.table, start, length)
    return answer

def contains_packed(AllowList allow not None, bytes packed not None):
    cdef const unsigned char *start = packed
    return packed_in(&allow.table, start, len(packed))

def check(KeyStore store not None, str key not None, str text not None):
    cdef bytes name = key.encode("utf-8"), raw = text.encode("utf-8")
    cdef const char *key_start = name
    cdef const char *start = raw
    cdef Py_ssize_t key_length = len(name), length = len(raw)
    with nogil:
        verdict = check_key(&store.store, key_start, key_length, start, length)
    return verdict
"""


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
        source = directory / "foreign_c.c"
        source.write_text(C_SOURCE)
        yield build(directory, "foreign_c", source)
        return
    pytest.importorskip("Cython")
    (directory / "foreign_cython.pyx").write_text(CYTHON_SOURCE)
    root = Path(get_include()).parents[1]  # where the package lies
    subprocess.run([sys.executable, "-m", "cython", "-3", f"-I{root}", "foreign_cython.pyx"], cwd=directory, check=True)
    yield build(directory, "foreign_cython", directory / "foreign_cython.c")


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
