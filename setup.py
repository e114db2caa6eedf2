"""The compiled extensions and their flags; everything else is in pyproject.toml.

CIDRMATCH_BUILD chooses what is built:

    (unset)    what users get: optimised, quiet
    strict     the same, and every compiler warning is an error
    debug      bounds checks and assertions, AddressSanitizer and UBSan
    coverage   every line of the core traced, for `make coverage`
"""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

BUILD = os.environ.get("CIDRMATCH_BUILD", "release")
ROOMS = ["address", "prefix", "patricia", "arrow", "table", "keystore", "check", "capi"]

HEADERS = sorted(str(path) for path in Path("src/cidrmatch/_core").glob("*.h"))

STRICT = ["-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter", "-Wno-missing-field-initializers"]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]
DEBUG = BUILD == "debug"
TRACED = BUILD == "coverage"

COMPILE = {
    "release": ["-O3"],
    "strict": ["-O3", *STRICT],
    "debug": ["-O1", "-g", "-UNDEBUG", *STRICT, *SANITIZERS],
    "coverage": ["-O1", "-g"],
}[BUILD]

setup(
    ext_modules=cythonize(
        [
            Extension(
                f"cidrmatch._core.{room}",
                [f"src/cidrmatch/_core/{room}.pyx"],
                extra_compile_args=COMPILE if os.name == "posix" else [],
                extra_link_args=SANITIZERS if DEBUG else [],
                define_macros=[("CYTHON_TRACE_NOGIL", "1")] if TRACED else [],
                depends=HEADERS,
            )
            for room in ROOMS
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
    )
)
