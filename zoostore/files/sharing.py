"""Sharing: what is made in a folder that a group shares, the group can use, whatever the umask.

A folder is shared if its group may write to it, and what is made in it belongs to that group:
`chmod g+ws`, as `git init --shared` makes it. There, what is new gets the permissions that the
folder has for others than its owner. Anywhere else, the umask decides.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

_SHARED = stat.S_ISGID | stat.S_IWGRP
_OTHERS_READ = stat.S_IRGRP | stat.S_IROTH
_OTHERS_READ_AND_WRITE = _OTHERS_READ | stat.S_IWGRP | stat.S_IWOTH
_OTHERS_EXECUTE = stat.S_IXGRP | stat.S_IXOTH
_OTHERS = _OTHERS_READ_AND_WRITE | _OTHERS_EXECUTE


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, where they are not there yet."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    share(folder)


def share(path: Path) -> None:
    """Give what was just made the permissions of the folder that it is in, if that is shared.

    What is somebody else's, or has other names, stays as it is.
    """
    above = _shared_mode(path.parent)
    if above is None:
        return
    status = os.lstat(path)
    mode = stat.S_IMODE(status.st_mode)
    if stat.S_ISDIR(status.st_mode):
        wanted = mode & ~_OTHERS | above & (_OTHERS | stat.S_ISGID)
    elif stat.S_ISREG(status.st_mode) and status.st_nlink == 1:
        execute = _OTHERS_EXECUTE if mode & stat.S_IXUSR else 0
        wanted = mode & ~_OTHERS | above & (_OTHERS_READ_AND_WRITE | execute)
    else:
        return
    if wanted != mode and status.st_uid == os.geteuid():
        os.chmod(path, wanted)


def hides(status: os.stat_result, folder: Path) -> bool:
    """Whether a file cannot be read by some of those who share a folder."""
    above = _shared_mode(folder)
    return above is not None and bool(above & _OTHERS_READ & ~status.st_mode)


def _shared_mode(folder: Path) -> int | None:
    """The permissions of a folder that is shared; None if it is not."""
    if sys.platform == "win32":
        return None
    mode = os.stat(folder).st_mode
    return mode if mode & _SHARED == _SHARED else None
