"""What a published number has to carry: where, with what, and by which command it was measured.

The compiler and its flags are read out of the compiled core itself, so that
they are those of the build that ran and not those of today's settings.
"""

import importlib.metadata
import os
import platform
import re
import subprocess
import sysconfig
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from cidrmatch import __version__
from cidrmatch._core import allow_list

PACKAGES = ("numpy", "pytricia", "ipset_c", "py-radix", "pysubnettree", "netaddr")


def facts(command: Sequence[str]) -> dict[str, str]:
    """Everything about this run that is not a measurement."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join(command),
        "commit": _commit(),
        "cpu": _cpu(),
        "clock": _clock(),
        "os": _os(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "compiler": _compiler(),
        "flags": _flags(),
        "load": " ".join(f"{load:.2f}" for load in os.getloadavg()),
        "versions": ", ".join(f"{name} {version}" for name, version in _versions()),
    }


def _cpu() -> str:
    path = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.+)", path.read_text(encoding="ascii")) if path.exists() else None
    return f"{found[1] if found else platform.processor() or platform.machine()}, {os.cpu_count()} cores"


def _clock() -> str:
    """What the kernel says; it is not measured, for Python has no chain of instructions whose cycles one knows.

    How steady it was shows in the empty loop, which every question times.
    """
    path = Path("/proc/cpuinfo")
    found = re.findall(r"cpu MHz\s*: ([\d.]+)", path.read_text(encoding="ascii")) if path.exists() else []
    return f"{max(map(float, found)) / 1_000:.2f} GHz, as the kernel says" if found else "unknown"


def _os() -> str:
    try:
        name = platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        name = platform.platform(terse=True)
    return f"{name}, {platform.system()} {platform.release().split('-')[0]} {platform.machine()}"


def _commit() -> str:
    """The short commit, with `-dirty` when the files differ from it."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "none"


def _core() -> bytes:
    return Path(allow_list.__file__).read_bytes()


def _compiler() -> str:
    found = re.search(rb"(GCC: \([^)]*\) [\d.]+|clang version [\d.]+)", _core())
    return found[1].decode("ascii") if found else platform.python_compiler()


def _flags() -> str:
    """As GCC writes them into its debug information; without that, those that Python was built with."""
    found = re.search(rb"GNU C\d+ [\d.]+ ([ -~]+)", _core())
    flags = found[1].decode("ascii") if found else str(sysconfig.get_config_var("CFLAGS"))
    return " ".join(flag for flag in flags.split() if flag[:2] in ("-O", "-m", "-f") and "=/" not in flag)


def _versions() -> Iterator[tuple[str, str]]:
    yield "cidrmatch", __version__
    for name in ("Cython", *PACKAGES):
        try:
            yield name, importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
