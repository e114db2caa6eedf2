"""Build what a release is made of: the sdist, the wheel from it, and the wheel's bill of materials.

    python tools/dist.py [--outdir dist] [--no-isolation]

The same sources and the same tools give the same bytes, in whatever folder and at whatever time:

    time      SOURCE_DATE_EPOCH is the first moment that a zip archive knows: sources decide, not their commit
    modes     files are written under umask 022
    folder    setup.py leaves it out of the debug information
    sdist     setuptools writes the times of the files and of now, so the archive is packed anew

docs/building.md says how to build a wheel again and compare.
"""

from __future__ import annotations

import argparse
import gzip
import os
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EPOCH = 315_532_800  # 1980-01-01


def environment() -> dict[str, str]:
    """Give the environment of the build: none of our own settings, and one time for all files."""
    left_out = ("PYTHONPATH", "CIDRMATCH_BUILD")
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    return kept | {"SOURCE_DATE_EPOCH": str(EPOCH)}


def build(source: Path, outdir: Path, *options: str) -> None:
    command = [sys.executable, "-m", "build", *options, "--outdir", str(outdir), str(source)]
    subprocess.run(command, env=environment(), umask=0o022, check=True)


def repack(sdist: Path) -> None:
    """Write the archive anew: files in order, of nobody, at one time."""
    with tarfile.open(sdist) as old:
        members = sorted(old.getmembers(), key=lambda member: member.name)
        contents = [old.extractfile(member) if member.isfile() else None for member in members]
        with (
            sdist.with_suffix(".new").open("wb") as raw,
            gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=EPOCH) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as new,
        ):
            for member, content in zip(members, contents, strict=True):
                member.mtime, member.uid, member.gid, member.uname, member.gname = EPOCH, 0, 0, "", ""
                member.mode = 0o755 if member.mode & 0o100 else 0o644
                member.pax_headers = {}
                new.addfile(member, content)
    sdist.with_suffix(".new").replace(sdist)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python tools/dist.py", description="Build the sdist, the wheel, its SBOM.")
    parser.add_argument("--outdir", type=Path, default=ROOT / "dist")
    parser.add_argument("--no-isolation", action="store_true", help="build with the tools of this environment")
    options = parser.parse_args(arguments)
    isolation = ["--no-isolation"] if options.no_isolation else []
    build(ROOT, options.outdir, "--sdist", *isolation)
    (sdist,) = options.outdir.glob("*.tar.gz")
    repack(sdist)
    build(sdist, options.outdir, "--wheel", *isolation)
    (wheel,) = options.outdir.glob("*.whl")
    subprocess.run([sys.executable, ROOT / "tools" / "sbom.py", wheel], check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
