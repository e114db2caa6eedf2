"""Write the bill of materials (SBOM) of a wheel, read from the wheel itself.

    python tools/sbom.py dist/cidrmatch-*.whl        writes dist/cidrmatch-....cdx.json beside it

The document is CycloneDX 1.6 as JSON. All that it says is read in the wheel, so anybody can make it again, to the byte:

    the library      name, version, licence, SHA-256 of the wheel        METADATA
    required         files of the wheel, each with its SHA-256           the archive
    optional         packages that an extra asks for                     METADATA
    excluded         tools that built it, with their versions            WHEEL, a name in the C code, .comment in ELF

No package is required at run time, and that is said, too. The serial number is derived from the wheel's hash, and there
is no time in it. PEP 770 puts such documents into the wheel; setuptools cannot do that yet, so ours lies beside it.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import re
import sys
import uuid
import warnings
import zipfile
from collections.abc import Iterator
from email.message import Message
from email.parser import Parser
from pathlib import Path

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.model.license import LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from elftools.elf.elffile import ELFFile
from packageurl import PackageURL
from packaging.requirements import Requirement

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "cidrmatch.sbom")


def hash_of(content: bytes) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=hashlib.sha256(content).hexdigest())


def library(wheel: Path, metadata: Message) -> Component:
    name, version = metadata["Name"], metadata["Version"]
    return Component(
        type=ComponentType.LIBRARY,
        name=name,
        version=version,
        description=metadata["Summary"],
        licenses=[LicenseExpression(metadata["License-Expression"])],
        purl=PackageURL("pypi", name=name, version=version),
        bom_ref=f"{name}@{version}",
        hashes=[hash_of(wheel.read_bytes())],
        properties=[Property(name="cidrmatch:wheel", value=wheel.name)],
    )


def files(archive: zipfile.ZipFile) -> Iterator[Component]:
    for name in sorted(archive.namelist()):
        yield Component(
            type=ComponentType.FILE,
            name=name,
            bom_ref=f"file:{name}",
            scope=ComponentScope.REQUIRED,
            hashes=[hash_of(archive.read(name))],
        )


def extras(metadata: Message) -> Iterator[Component]:
    """Give each package that extras ask for, once, with what each asks."""
    asked: dict[str, list[Property]] = {}
    for text in metadata.get_all("Requires-Dist", []):
        requirement = Requirement(text)
        extra = re.search(r'extra == "([^"]+)"', str(requirement.marker))
        if extra is None:
            raise ValueError(f"a package is required at run time: {text}")
        wanted = Property(name=f"cidrmatch:extra:{extra[1]}", value=f"{requirement.name}{requirement.specifier}")
        asked.setdefault(requirement.name, []).append(wanted)
    for name, properties in asked.items():
        yield Component(
            type=ComponentType.LIBRARY,
            name=name,
            purl=PackageURL("pypi", name=name),
            bom_ref=f"extra:{name}",
            scope=ComponentScope.OPTIONAL,
            properties=properties,
        )


def build_tools(archive: zipfile.ZipFile) -> Iterator[Component]:
    """Give what built the wheel, as the wheel itself says."""
    (wheel_file,) = [name for name in archive.namelist() if name.endswith(".dist-info/WHEEL")]
    generator = Parser().parsestr(archive.read(wheel_file).decode())["Generator"]
    setuptools = re.fullmatch(r"(\S+) \((.+)\)", generator)
    found = {setuptools.groups()} if setuptools else set()
    for name in archive.namelist():
        if name.endswith(".so"):
            content = archive.read(name)
            cython = re.search(rb"_cython_(\d+)_(\d+)_(\w+)", content)  # a module that Cython keeps its types in
            found |= {("Cython", b".".join(cython.groups()).decode())} if cython else set()
            found |= set(compilers(content))
    for name, version in sorted(found):
        yield Component(
            type=ComponentType.APPLICATION,
            name=name,
            version=version,
            bom_ref=f"build:{name}@{version}",
            scope=ComponentScope.EXCLUDED,
        )


def compilers(content: bytes) -> Iterator[tuple[str, str]]:
    """Read what compiled a shared object: `GCC: (Debian 12.2.0-14) 12.2.0`, `clang version 16.0.6`."""
    section = ELFFile(io.BytesIO(content)).get_section_by_name(".comment")
    for comment in (section.data() if section else b"").decode().split("\0"):
        name, _, version = comment.replace(" version ", ": ").partition(": ")
        if version:
            yield name, version


def document(wheel: Path) -> str:
    """Make the document and check it against the schema of CycloneDX."""
    with zipfile.ZipFile(wheel) as archive:
        (metadata_file,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = Parser().parsestr(archive.read(metadata_file).decode())
        bom = Bom(components=[*files(archive), *extras(metadata), *build_tools(archive)])
    bom.metadata.component = library(wheel, metadata)
    bom.serial_number = uuid.uuid5(NAMESPACE, hashlib.sha256(wheel.read_bytes()).hexdigest())
    bom.metadata.timestamp = None  # type: ignore[assignment]  # the time of now would differ each time
    bom.register_dependency(bom.metadata.component)
    with warnings.catch_warnings():  # the library has no dependency, and that is what the document is to say
        warnings.filterwarnings("ignore", ".*has no defined dependencies", UserWarning)
        text = JsonV1Dot6(bom).output_as_string(indent=2) + "\n"
    if problem := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        raise ValueError(f"no valid CycloneDX document: {problem}")
    return text


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python tools/sbom.py", description="Write the bill of materials of a wheel.")
    parser.add_argument("wheel", type=Path)
    wheel: Path = parser.parse_args(arguments).wheel
    wheel.with_suffix(".cdx.json").write_text(document(wheel), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
