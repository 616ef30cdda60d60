"""Relinking: files of a cache become links to the store's objects, one by one.

At every moment each path holds a good file. What is not exactly the object is left alone.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from zoostore.caches.base import CachedFile
from zoostore.digest import Oid, hash_descriptor
from zoostore.errors import DamagedContent
from zoostore.files.extents import share_blocks
from zoostore.files.links import hardlink, is_unavailable, reflink
from zoostore.files.staging import BESIDE, READ_ONLY, Staging, fsync_directory
from zoostore.files.stamp import Stamp
from zoostore.objects.listing import Listing
from zoostore.progress import Progress
from zoostore.store.objectstore import ObjectStore


@dataclass
class Relinked:
    """What relinking came to.

    Attributes:
        files, bytes: what became links, and the space that this gave back.
        passed_over: what did not, and why, by path.
    """

    files: int = 0
    bytes: int = 0
    passed_over: dict[str, str] = field(default_factory=dict)


def relink(
    store: ObjectStore,
    adopted: Sequence[tuple[Mapping[str, CachedFile], Listing]],
    progress: Progress,
) -> Relinked:
    """Replace files by links to the objects that have their content.

    A reflink leaves a file its own permissions and time. A hard link makes it read-only, for
    the object is.

    Args:
        adopted: the files of each model, and what they became.
    """
    done = Relinked()
    progress.begin("relinking", sum(file.size for files, _ in adopted for file in files.values()))
    for folder, some in groupby(_with_objects(adopted), lambda item: os.path.dirname(item[0].at)):
        staging = Staging(Path(folder), BESIDE)
        try:
            for file, oid in some:
                why = _relink_one(store, file.place, oid, file.stamp, staging, done)
                if why:
                    done.passed_over[file.at] = why
                progress.advance(file.size)
        finally:
            staging.close()
    progress.end()
    return done


def _with_objects(
    adopted: Iterable[tuple[Mapping[str, CachedFile], Listing]],
) -> Iterator[tuple[CachedFile, Oid]]:
    for files, listing in adopted:
        for path, file in files.items():
            entry = listing.get(path)
            if entry is not None:
                yield file, entry.oid


def _relink_one(
    store: ObjectStore, place: Path, oid: Oid, expect: Stamp, staging: Staging, done: Relinked
) -> str:
    """Replace one file; why that was not done, or nothing."""
    try:
        target = store.loose_path(oid)
        status = os.lstat(place)
        if target is None or not stat.S_ISREG(status.st_mode):
            return ""  # small contents have no file of their own to link to
        if os.path.samestat(status, os.lstat(target)):
            _take_over(place, status)
            return ""
        if share_blocks(place, target):
            return ""  # nothing is there twice
        if not _is_still(place, oid, expect):
            return "It changed since it was adopted; it was left as it is."
        staged = _link(target, status, staging)
        # Nothing was written to it since it was read, but for what this moment might do.
        if Stamp.of(os.lstat(place)).without_ctime() != expect.without_ctime():
            return "It changed since it was adopted; it was left as it is."
        os.replace(staged, place)
        fsync_directory(place.parent)
    except DamagedContent as error:
        return error.message
    except OSError as error:
        if is_unavailable(error) or error.errno in (errno.ENOENT, errno.EROFS):
            return f"It cannot be linked: {error.strerror}. It was left as it is."
        raise
    done.files += 1
    done.bytes += status.st_size if status.st_nlink == 1 else 0
    return ""


def _take_over(place: Path, status: os.stat_result) -> None:
    """What became an object by a hard link is read-only from now on, as all objects are."""
    if status.st_mode & 0o222:
        os.chmod(place, READ_ONLY)


def _is_still(place: Path, oid: Oid, expect: Stamp) -> bool:
    with open(place, "rb", buffering=0) as file:
        before = Stamp.of(os.fstat(file.fileno())).without_ctime()
        got, _ = hash_descriptor(file.fileno())
        return got == oid and before == expect.without_ctime()


def _link(target: Path, status: os.stat_result, staging: Staging) -> Path:
    staged = staging.new_path()
    try:
        reflink(target, staged, stat.S_IMODE(status.st_mode))
    except OSError as error:
        if not is_unavailable(error):
            raise
        hardlink(target, staged, 0)
        return staged
    os.chmod(staged, stat.S_IMODE(status.st_mode))
    os.utime(staged, ns=(status.st_atime_ns, status.st_mtime_ns))
    with open(staged, "rb") as file:
        os.fsync(file.fileno())
    return staged
