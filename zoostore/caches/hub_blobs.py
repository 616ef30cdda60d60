"""The blobs of a repository in the Hub's cache: what the names of links to them promise."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from zoostore.caches.base import CachedFile
from zoostore.caches.places import locate
from zoostore.digest import GIT_BLOB, SHA256, Digest
from zoostore.errors import CannotAdd, UsageError
from zoostore.files.scan import Found
from zoostore.files.stamp import Stamp
from zoostore.objects.tree import Kind
from zoostore.sources.hub_answers import Listed

_ALGORITHMS = {40: GIT_BLOB, 64: SHA256}
"""What an etag is, by how many hex digits it has."""


class HubBlobs:
    """Finds the files of snapshots.

    Args:
        folder: where the repository's blobs are, with no link among its parts; None if there
            are none.
        within: the folders that links may lead into.
    """

    def __init__(self, folder: Path | None, within: tuple[Path, ...]) -> None:
        self._folder = folder
        self._within = within

    def find(self, snapshot: Path, found: Found) -> CachedFile:
        """The file that was found in a snapshot's folder. Raises `CannotAdd` if it is none."""
        etag = self._etag(snapshot, found)
        place, stamp = self._plain_blob(etag) or locate(snapshot, found, self._within)
        return CachedFile(str(place), stamp, _digests_of(etag))

    def _etag(self, snapshot: Path, found: Found) -> str:
        """The name of the blob that a link means; empty if it means something else.

        That blob may be a link to one that the cache shares, which has another kind of name.
        """
        if found.kind is not Kind.LINK or self._folder is None:
            return ""
        above = os.path.dirname(f"{snapshot}/{found.path}")
        folder, etag = os.path.split(os.path.normpath(os.path.join(above, found.target)))
        return etag if folder == str(self._folder) else ""

    def _plain_blob(self, etag: str) -> tuple[Path, Stamp] | None:
        """A blob that is no link, as nearly all are; to follow links takes longer."""
        if not etag or self._folder is None:
            return None
        with contextlib.suppress(OSError):
            status = os.lstat(self._folder / etag)
            if stat.S_ISREG(status.st_mode):
                return self._folder / etag, Stamp.of(status)
        return None


def as_listed(file: CachedFile, listed: Listed) -> CachedFile:
    """A file with the digest that its commit has for it.

    Raises:
        CannotAdd: the commit has another content for it.
    """
    if listed.size != file.size:
        raise CannotAdd(
            f"It has {file.size} bytes, and the commit has it with {listed.size}.",
            path=listed.path,
        )
    for digest in file.digests:
        if digest.algorithm == listed.digest.algorithm and digest != listed.digest:
            raise CannotAdd(
                f"It is a link to {digest}, and the commit has {listed.digest}.", path=listed.path
            )
    return file._replace(digests=tuple(dict.fromkeys((*file.digests, listed.digest))))


def _digests_of(etag: str) -> tuple[Digest, ...]:
    """What an etag says of the content; nothing if it is of another kind."""
    algorithm = _ALGORITHMS.get(len(etag))
    if algorithm is None:
        return ()
    try:
        return (Digest.parse(algorithm, etag),)
    except UsageError:
        return ()
