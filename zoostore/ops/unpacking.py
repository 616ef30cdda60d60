"""Unpacking: what an archive of a snapshot holds, laid out beside it and kept as it was.

What came out is remembered as what was laid out is, so that the archive is read again only
if something is missing or was changed.
"""

from __future__ import annotations

import os
from pathlib import Path

from zoostore.digest import Oid, hash_bytes
from zoostore.files.archive import unpack
from zoostore.files.sharing import make_folder, share
from zoostore.files.staging import BESIDE, Staging
from zoostore.objects.tree import Entry, Kind
from zoostore.ops.laying import laid_at
from zoostore.ops.materialize import Place, Standing, make_way
from zoostore.ops.records import Tracked
from zoostore.ops.status import content_oid
from zoostore.ops.tracking import NOTHING_TRACKED, Tracking, TrackingFile
from zoostore.store.objectstore import ObjectStore


def unpack_archive(
    store: ObjectStore, oid: Oid, archive: Path, folder: Path, *, is_own: bool
) -> None:
    """Have what an archive holds as files in a folder, each whole or not at all.

    Args:
        oid: the archive's content, as it was just laid out.
        is_own: whether the folder is the store's, who puts right what was changed there.

    Raises:
        LocalChanges: other files stand where its files go; nothing was changed.
        UnsafeArchive, MalformedObject: the archive cannot be unpacked.
    """
    key = hash_bytes(os.fsencode(archive.absolute())).hex()
    place = Place(folder, store.layout.checkouts / ".laid" / key, is_own)
    file = TrackingFile(place.records)
    known = file.read(str(oid)) or NOTHING_TRACKED
    standing = _look({path: item.entry for path, item in known.paths.items()}, folder, known)
    if known.paths and not standing.missing:
        laid: dict[str, Tracked] = {}
    else:
        standing, laid = _unpack_missing(store, archive, place, known)
    if (laid or standing.learned) and not store.names.read_only:
        make_folder(place.records)
        file.write(str(oid), {**known.paths, **standing.learned, **laid})


def _look(wanted: dict[str, Entry], folder: Path, known: Tracking) -> Standing:
    standing = Standing(folder, known, set())
    for path, entry in wanted.items():
        standing.look_at(path, entry)
    return standing


def _unpack_missing(
    store: ObjectStore, archive: Path, place: Place, known: Tracking
) -> tuple[Standing, dict[str, Tracked]]:
    staging = Staging(archive.parent, BESIDE)
    try:
        staged = staging.new_path()
        staged.mkdir()
        wanted = {
            member.path: Entry(
                Kind.EXECUTABLE if member.is_executable else Kind.FILE,
                member.size,
                content_oid(staged / member.path),
            )
            for member in unpack(archive, staged)
        }
        standing = _look(wanted, place.root, known)
        if not place.is_own:
            standing.require_nothing_else()
        laid, gone = {}, set[str]()
        for path in standing.missing:
            blocker = standing.others.get(path)
            if blocker and blocker not in gone:
                make_way(store, place, blocker, staging)
                gone.add(blocker)
            target = place.root / path
            make_folder(target.parent)
            os.replace(staged / path, target)
            if place.is_own:
                share(target)
            laid[path] = laid_at(wanted[path], str(target))
        return standing, laid
    finally:
        staging.close()
