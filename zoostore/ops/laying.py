"""Laying: giving a path the content of an object, by a link where that is possible."""

from __future__ import annotations

import itertools
import operator
import os
import posixpath
import stat
from collections.abc import Callable, Iterable, Iterator, Set
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from zoostore.errors import LinkModeUnavailable
from zoostore.files.helping import several_at_a_time
from zoostore.files.links import (
    AUTO,
    COPY,
    HARDLINK,
    LINK_MODES,
    LINKERS,
    REFLINK,
    SYMLINK,
    choose_mode,
    copy,
    is_unavailable,
)
from zoostore.files.scan import found_at
from zoostore.files.stamp import Stamp
from zoostore.files.writing import write_new
from zoostore.groups import drained, grouped
from zoostore.objects.listing import Listing
from zoostore.objects.paths import parted
from zoostore.objects.tree import Entry, Kind
from zoostore.onnx_data import external_data
from zoostore.ops.records import NO_STAMP, Tracked, laid_out
from zoostore.progress import Progress
from zoostore.store.objectstore import ObjectStore
from zoostore.worker import hired, shared

if TYPE_CHECKING:
    from zoostore.store.extracting import Extraction

_ONNX = ".onnx"
# Looked up, and counted as progress, together.
_GROUP_FILES = 256
_GROUP_BYTES = 1 << 20
_COPIES_WAITING = 256
_WORTH_A_WORKER = 4000
"""So many files take longer to make than a worker takes to start."""

_SOMEBODYS = stat.S_IXUSR | stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH
"""Permissions that no object of the store's own has."""


class Layer:
    """Lays entries out in one link mode, found by trying.

    Args:
        link: a link mode, or `auto`.
        previous: the mode that was used before, if any.
    """

    def __init__(
        self, store: ObjectStore, link: str, progress: Progress, previous: str = COPY
    ) -> None:
        self._wanted = link
        self._found: dict[Path, str] = {}
        self._found_alone: dict[Path, str] = {}
        self._previous = previous
        self._store = store
        self._progress = progress
        self._made: set[str] = set()
        self.linked = dict.fromkeys(LINK_MODES, 0)

    @property
    def mode(self) -> str:
        """How large objects were laid out, now or, if none was, before."""
        return next(iter(self._found.values()), self._previous)

    def make_folder(self, folder: str) -> None:
        """Make a folder and those above it, once."""
        if folder not in self._made:
            os.makedirs(folder, exist_ok=True)
            self._made.add(folder)

    def lay(self, entry: Entry, target: str, stage: Path, *, alone: bool = False) -> None:
        """Make a file or a link at a path where nothing stands.

        Args:
            stage: a folder on the same file system, to try links in.
            alone: make it a file that nothing else is a name of, whatever the link mode.

        Raises:
            LinkModeUnavailable: the link mode asked for does not work there.
            DamagedContent: the object is missing or damaged.
        """
        content = self._store.content(entry.oid) if entry.kind.is_file else None
        mode = self._mode_of(entry, content, stage, alone=alone)
        self._make(entry, content, target, mode)
        self._progress.advance(entry.size)

    def lay_all(
        self, entries: Iterable[tuple[str, Entry]], root: Path, alone: Set[str]
    ) -> Iterator[tuple[str, Tracked]]:
        """Lay paths out in an empty folder; the record of each, in no order.

        Large files that are copied wait for others, so that several are at a time.

        Args:
            alone: the paths at which to make files that nothing else is a name of.

        Raises: what `lay` raises.
        """
        copies: list[_Copy] = []
        folders = (self._store.layout.objects, root)
        entries = iter(entries)
        first = list(itertools.islice(entries, _WORTH_A_WORKER))
        is_much = len(first) == _WORTH_A_WORKER
        groups = self._groups(itertools.chain(drained(first), entries), root)
        with hired(when=is_much and several_at_a_time(self._store.threads, *folders)) as worker:
            for group, stamps in shared(worker, groups):
                done = 0
                for (path, entry), stamp in zip(group.packed, stamps, strict=True):
                    if stamp is None:
                        group.others.append((path, entry))
                        continue
                    yield path, laid_out(entry, Stamp(stamp))
                    self.linked[COPY] += 1
                    done += entry.size
                for path, entry in group.others:
                    copied = self._lay_other(path, entry, root, alone=path in alone)
                    if copied is not None:
                        copies.append(copied)
                        continue
                    yield path, laid_at(entry, f"{root}/{path}")
                    done += entry.size
                self._progress.advance(done)
                if len(copies) >= _COPIES_WAITING:
                    yield from self._copy_all(drained(copies), root)
        if copies:
            yield from self._copy_all(drained(copies), root)

    def _groups(
        self, entries: Iterable[tuple[str, Entry]], root: Path
    ) -> Iterator[tuple[_Group, Callable[[], list[bytes | None]]]]:
        """What to lay out, in groups whose folders are there, each with the making of its files."""
        from zoostore.store.extracting import extract

        for some in grouped(
            entries, lambda item: item[1].size, most=_GROUP_FILES, most_size=_GROUP_BYTES
        ):
            places = self._store.packed({entry.oid for _, entry in some if entry.kind.is_file})
            packed: list[tuple[Extraction, tuple[str, Entry]]] = []
            others = []
            above = None
            for item in some:
                path, entry = item
                target = f"{root}/{path}"
                prefix, _ = parted(path)
                if prefix != above or entry.kind is Kind.DIRECTORY:
                    self.make_folder(folder_of(entry, target))
                    above = prefix
                place = places.get(entry.oid)
                if place is None or not entry.kind.is_file:
                    others.append(item)
                else:
                    packed.append(((place, bytes(entry.oid), target, _permissions(entry)), item))
            packed.sort(key=_extraction)
            group = _Group([item for _, item in packed], others)
            yield group, partial(extract, [extraction for extraction, _ in packed])

    def _lay_other(self, path: str, entry: Entry, root: Path, *, alone: bool) -> _Copy | None:
        """Lay out what is in no pack; what is to be copied, if it is, is left for later."""
        if entry.kind is Kind.DIRECTORY:
            return None  # made with its group
        target = f"{root}/{path}"
        content = self._store.content(entry.oid) if entry.kind.is_file else None
        mode = self._mode_of(entry, content, root, alone=alone)
        if mode == COPY and isinstance(content, Path):
            return _Copy(path, entry, content, target)
        self._make(entry, content, target, mode)
        return None

    def _copy_all(self, copies: Iterable[_Copy], root: Path) -> Iterator[tuple[str, Tracked]]:
        """Make files with the bytes of objects; the records of their paths."""
        # Imported here: most often files are linked.
        from zoostore.files.readers import Readers, threads_for

        folders = (self._store.layout.objects, root)
        count = min(threads_for(folder, self._store.threads).files for folder in folders)
        with Readers(count) as readers:
            for each, done in readers.ahead((each, each.work(readers.go_on)) for each in copies):
                done()
                yield each.path, laid_at(each.entry, each.target)
                self.linked[COPY] += 1
                self._progress.advance(each.entry.size)

    def _make(self, entry: Entry, content: Path | bytes | None, target: str, mode: str) -> None:
        """Make a file, or a link where there is no content."""
        if content is None:
            os.symlink(entry.target, target)
        elif isinstance(content, bytes):
            write_new(target, content, _permissions(entry))
            self.linked[COPY] += 1
        else:
            self._link(content, Path(target), _permissions(entry), mode)

    def _mode_of(
        self, entry: Entry, content: Path | bytes | None, stage: Path, *, alone: bool
    ) -> str:
        """How to give a path its content."""
        if not isinstance(content, Path):
            return COPY
        mode = self._mode_from(content, stage)
        if alone and mode not in (REFLINK, COPY):
            mode = self._mode_alone(content, stage)
        # A name that shares the object's inode shares its permissions, which are not executable.
        if entry.kind is Kind.EXECUTABLE and mode not in (COPY, REFLINK):
            mode = COPY
        # Somebody made the object executable through such a name, or it is a file of somebody's
        # that was adopted, and can be written to: theirs is left as it is.
        if mode in (HARDLINK, SYMLINK) and os.stat(content).st_mode & _SOMEBODYS:
            mode = COPY
        return mode

    def _link(self, source: Path, target: Path, permissions: int, mode: str) -> None:
        try:
            LINKERS[mode](source, target, permissions)
        except OSError as error:
            # An object has as many names as the file system allows: then it is copied.
            if mode != HARDLINK or not is_unavailable(error):
                raise
            if self._wanted != AUTO:
                raise LinkModeUnavailable(
                    f"{source} cannot be hard-linked once more: {error.strerror}.", mode=mode
                ) from error
            mode = COPY
            LINKERS[mode](source, target, permissions)
        self.linked[mode] += 1

    def _mode_from(self, source: Path, stage: Path) -> str:
        """How to link to an object: it may be an alternate's, on another file system."""
        objects = source.parents[1]
        if objects not in self._found:
            self._found[objects] = choose_mode(self._wanted, source, stage)
        return self._found[objects]

    def _mode_alone(self, source: Path, stage: Path) -> str:
        objects = source.parents[1]
        if objects not in self._found_alone:
            try:
                self._found_alone[objects] = choose_mode(REFLINK, source, stage)
            except LinkModeUnavailable:
                self._found_alone[objects] = COPY
        return self._found_alone[objects]


class _Group(NamedTuple):
    """What is laid out together: files whose content is in packs, and what else there is."""

    packed: list[tuple[str, Entry]]
    others: list[tuple[str, Entry]]


_extraction = operator.itemgetter(0)


class _Copy(NamedTuple):
    """A file that is to be made, with the bytes of an object."""

    path: str
    entry: Entry
    source: Path
    target: str

    def work(self, go_on: Callable[[], None]) -> Callable[[], None]:
        return partial(copy, self.source, Path(self.target), _permissions(self.entry), go_on)


def _permissions(entry: Entry) -> int:
    return 0o777 if entry.kind is Kind.EXECUTABLE else 0o666


def to_be_alone(store: ObjectStore, listing: Listing, written: Iterable[str]) -> set[str]:
    """The paths that no link may lead to: ONNX models will not read their tensors through one.

    Args:
        listing: the whole that is laid out.
        written: the paths that are about to be.
    """
    written = {path for path in written if not path.endswith(_ONNX)}
    return tensors_of(store, listing) & written if written else set()


def tensors_of(store: ObjectStore, listing: Listing) -> set[str]:
    """The paths of the files that the ONNX models of a listing keep tensors in.

    Models that are not here are passed over; whether the files are there is not looked at.
    """
    found: set[str] = set()
    for path, entry in listing.items():
        if path.endswith(_ONNX) and entry.kind.is_file and store.has(entry.oid):
            with store.open(entry.oid) as model:
                names = external_data(model, entry.size)
            folder = posixpath.dirname(path)
            found.update(posixpath.normpath(posixpath.join(folder, name)) for name in names)
    return found


def laid_at(entry: Entry, target: str) -> Tracked:
    """The record of a path that was just laid out."""
    if entry.kind is Kind.DIRECTORY:
        return laid_out(entry, NO_STAMP)
    # Where an object was laid out as a link to it, the object's own stamp is what counts.
    status = os.stat(target, follow_symlinks=entry.kind.is_file)
    return laid_out(entry, found_at("", status).lasting_stamp)


def folder_of(entry: Entry, target: str) -> str:
    """The folder that must be there for an entry to be at a path."""
    return target if entry.kind is Kind.DIRECTORY else os.path.dirname(target)
