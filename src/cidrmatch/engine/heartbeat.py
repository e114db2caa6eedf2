"""A heartbeat: a small file beside a snapshot, which tells when the snapshot's source was last looked at.

    keys.snap          (E, 7)                                       saved when the source has something new
    keys.snap.alive    {"boot": "5f0c...", "at": 81234.5,           written after each successful look at the source
                        "epoch": "18ec...", "generation": 7}

A file that does not change is current only if its source has nothing new.  A program that copies a source into a file
tells so by a heartbeat.  If that program dies, or its source does not answer, the heartbeat stays as it is, and the
age of everybody's data grows.

`at` is the time by `seconds_since_boot`, so nobody can set it.  It means something on one machine until this machine
is started again, so the heartbeat names the start of the machine.  A heartbeat of another start, of a later time, or
with anything wrong in it proves nothing: the data counts as very old.

A heartbeat says that the data of its revision was current at that moment.  Then data of a later revision is at least
as current.  Data of an earlier revision is not: the reader has not seen the new file yet.

Threads: safe; a reader remembers only that there was a heartbeat.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .._keys import Revision
from .following import seconds_since_boot

if TYPE_CHECKING:
    from .._keys import PathLike

__all__ = ["NEVER", "Heartbeat", "HeartbeatReader", "expect_heartbeat", "heartbeat_path", "write_heartbeat"]

NEVER: Final = -1e9
"""A moment some thirty years before the machine was started."""
_MOST_BYTES: Final = 1_000
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Say that data was current.

    Attributes:
        moment: when, by `seconds_since_boot`.
        revision: of the data.
    """

    moment: float
    revision: Revision


class HeartbeatReader:
    """Read the heartbeat of a snapshot, again and again.

    Once there was one, there must be one: if it is gone, nobody knows how old the data is.
    """

    def __init__(self) -> None:
        self._was_there = False

    def moment(self, path: PathLike, revision: Revision, began: float) -> float:
        """Give the moment at which the data of a file was current, as far as anybody knows.

        Args:
            path: of the snapshot.
            revision: of the data that was read from it.
            began: when the look at the file began; the answer for a file that never had a heartbeat.
        """
        try:
            beat = _read(heartbeat_path(path))
        except FileNotFoundError:
            return NEVER if self._was_there else began
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            self._was_there = True
            return NEVER
        self._was_there = True
        return beat.moment if beat is not None and beat.revision <= revision else NEVER


def heartbeat_path(path: PathLike) -> str:
    """Give the path of a snapshot's heartbeat; links of the snapshot are followed."""
    return os.path.realpath(os.fsdecode(path)) + ".alive"


def write_heartbeat(path: PathLike, moment: float, revision: Revision) -> None:
    """Say that a snapshot's data was current at a moment; the file is whole at every moment.

    Args:
        path: of the snapshot, which was saved before.
        moment: when the source was known to have nothing newer, by `seconds_since_boot`.
        revision: that of the snapshot, or an earlier one.
    Raises:
        OSError: it cannot be written.
    """
    target = heartbeat_path(path)
    said = {"boot": _boot(), "at": moment, "epoch": f"{revision.epoch:x}", "generation": revision.generation}
    descriptor, draft = tempfile.mkstemp(dir=os.path.dirname(target), prefix=f".{os.path.basename(target)}.")
    try:
        with open(descriptor, "w", encoding="ascii") as file:
            file.write(json.dumps(said) + "\n")
        with contextlib.suppress(OSError):
            os.chmod(draft, os.stat(path).st_mode & 0o666)
        os.replace(draft, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(draft)
        raise


def expect_heartbeat(path: PathLike, revision: Revision) -> None:
    """Say that a snapshot has a source, before it is first there; whoever opens it takes it for very old until a look.

    A program that dies between its first snapshot and its first heartbeat would leave a file that looks current.
    Nothing is written if there is such a file: it may be somebody else's.

    Args:
        path: of the snapshot.
        revision: that of the snapshot, or an earlier one.
    Raises:
        OSError: it cannot be written.
    """
    if not os.path.exists(path) and not os.path.exists(heartbeat_path(path)):
        write_heartbeat(path, NEVER, revision)


def _read(path: str) -> Heartbeat | None:
    """Read a heartbeat; None if it is of another start of the machine, or of a moment that has not come."""
    with open(path, "rb") as file:
        said: dict[str, Any] = json.loads(file.read(_MOST_BYTES))
    moment, generation = said["at"], said["generation"]
    if type(moment) is not float or type(generation) is not int or type(said["epoch"]) is not str:
        raise ValueError("this is no heartbeat")
    is_ours = said["boot"] == _boot() and moment <= seconds_since_boot()
    return Heartbeat(moment, Revision(int(said["epoch"], 16), generation)) if is_ours else None


def _boot() -> str:
    """Name the start of this machine; "" on a system that has no name for it."""
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except OSError:
        return ""
