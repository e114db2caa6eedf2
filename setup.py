"""The compiled extensions and their flags; everything else is in pyproject.toml.

CIDRMATCH_BUILD chooses what is built:

    (unset)    what users get: optimised, quiet
    strict     the same, and every compiler warning is an error
    debug      bounds checks and assertions, AddressSanitizer and UBSan
    coverage   every line of the core traced, for `make coverage`
    quick      not optimised, for `make mutants`

On Linux the first two are hardened, and do not name the folder in which they were built: docs/building.md.
CIDRMATCH_ROOMS names the extensions to build, with spaces between; unset or empty, all.
"""

import os
import sys
import sysconfig
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

BUILD = os.environ.get("CIDRMATCH_BUILD", "release")
ROOMS = {
    "_core": [
        "address",
        "prefix",
        "prefixes",
        "patricia",
        "arrow",
        "multibit",
        "frozen",
        "batch",
        "algebra",
        "allow_list",
        "prefix_lines",
        "bars",
        "sieve",
        "cover",
        "column",
        "probe",
    ],
    "_keys": [
        "store_builder",
        "store",
        "rule",
        "view",
        "judge",
        "check",
        "column",
        "packed_notes",
        "packing",
        "capi",
        "probe",
    ],
    "client": ["common"],
}
WANTED = os.environ.get("CIDRMATCH_ROOMS", "").split() or [room for rooms in ROOMS.values() for room in rooms]

PACKAGE = Path("src/cidrmatch")  # headers name each other from here
HEADERS = sorted(str(path) for path in PACKAGE.rglob("*.h"))

STRICT = ["-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter", "-Wno-missing-field-initializers"]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]
DEBUG = BUILD == "debug"
TRACED = BUILD == "coverage"

# Flags that the Python or the person who builds already has stand: theirs may be the stronger ones.
# The plain stack protector and not the strong one, which takes 1 to 9 % more instructions for a check (ADR 0018).
GIVEN = " ".join([str(sysconfig.get_config_var("CFLAGS")), *map(os.environ.get, ("CFLAGS", "CPPFLAGS"), ("", ""))])
FORTIFY = ["-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2"] if "_FORTIFY_SOURCE" not in GIVEN else []
PROTECTOR = ["-fstack-protector"] if "stack-protector" not in GIVEN else []
HARDENED = [*FORTIFY, *PROTECTOR, f"-fdebug-prefix-map={Path.cwd()}=."]
LINK_HARDENED = ["-Wl,-z,relro,-z,now,-z,noexecstack"]
IS_HARDENED = sys.platform == "linux" and BUILD in ("release", "strict")

COMPILE = {
    "release": ["-O3"],
    "strict": ["-O3", *STRICT],
    "debug": ["-O1", "-g", "-UNDEBUG", *STRICT, *SANITIZERS],
    "coverage": ["-O1", "-g"],
    "quick": ["-O0", "-g0", "-w"],
}[BUILD] + (HARDENED if IS_HARDENED else [])
LINK = (SANITIZERS if DEBUG else []) + (LINK_HARDENED if IS_HARDENED else [])

setup(
    ext_modules=cythonize(
        [
            Extension(
                f"cidrmatch.{floor}.{room}",
                [f"{PACKAGE}/{floor}/{room}.pyx"],
                include_dirs=[str(PACKAGE)],
                extra_compile_args=COMPILE if os.name == "posix" else [],
                extra_link_args=LINK,
                define_macros=[("CYTHON_TRACE_NOGIL", "1")] if TRACED else [],
                depends=HEADERS,
            )
            for floor, rooms in ROOMS.items()
            for room in rooms
            if room in WANTED
        ],
        build_dir=None if TRACED else f"build/c/{BUILD}",  # coverage looks for the C file beside the .pyx
        compiler_directives={
            "language_level": 3,
            "boundscheck": True,
            "wraparound": False,
            "initializedcheck": False,
            "auto_pickle": False,
            # Functions and methods as C has them: Python calls those without a detour, 10 to 15 ns of every call.
            "binding": False,
            "embedsignature": True,
            "embedsignature.format": "clinic",
            "linetrace": TRACED,
        },
    ),
    options={"build_ext": {"parallel": os.cpu_count()}},
)
