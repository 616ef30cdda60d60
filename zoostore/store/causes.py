"""Causes: why a file holds other bytes than it should, as far as its stat stamp tells."""

from __future__ import annotations

import os
from typing import Final

EDITED: Final = "edited"
"""Somebody wrote to the file, or put another in its place: its stamp is not what it was."""

ROT: Final = "rot"
"""Nothing has written to the file since its content was last right: its stamp is what it was."""

UNKNOWN: Final = "unknown"
"""Nobody knows the stamp that the file had when its content was right."""

SAID: Final = {
    EDITED: "somebody wrote to it, or replaced it, since it was last known to be right",
    ROT: "nothing wrote to it since it was last known to be right: the disk or the memory failed",
    UNKNOWN: "when that happened cannot be told",
}
"""What to say to a person of each cause."""


def cause_of(size: int, mtime_ns: int, inode: int, now: os.stat_result) -> str:
    """Why a file is damaged.

    Args:
        size, mtime_ns, inode: its stamp when its content was right; an mtime of 0 if that is not
            known, an inode of 0 if it is not to be compared.
        now: what it says of itself now.
    """
    if not mtime_ns:
        return UNKNOWN
    is_same = (size, mtime_ns) == (now.st_size, now.st_mtime_ns) and inode in (0, now.st_ino)
    return ROT if is_same else EDITED
