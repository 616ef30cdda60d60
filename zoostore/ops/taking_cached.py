"""Taking in the files of a cache: large ones read ahead, and small ones together."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby
from typing import NamedTuple, TypeAlias

from zoostore.caches.base import Cache, CachedFile, CachedModel
from zoostore.digest import Oid
from zoostore.errors import CannotAdd, WrongContent
from zoostore.files.links import COPY, HARDLINK, REFLINK
from zoostore.files.readers import Readers, threads_for
from zoostore.files.reading import read_small
from zoostore.groups import grouped
from zoostore.objects.tree import Entry, Kind
from zoostore.ops.keeping import KeptNowAndThen
from zoostore.progress import Progress
from zoostore.store.adopting import Read, adopt_file, read_file
from zoostore.store.batch import Batch
from zoostore.store.objectstore import ObjectStore
from zoostore.store.records import ObjectKind

PUBLISH_BYTES = 1 << 30
"""What was taken in is published after so many bytes."""

_TOGETHER_FILES = 256
_TOGETHER_BYTES = 1 << 19
"""Small files that are in memory together."""


class _Coming(NamedTuple):
    """A file that is to be taken in: the number of its model, its path there, and what it is."""

    model: int
    path: str
    file: CachedFile


_Read: TypeAlias = Callable[[], Read] | None
"""What reading a file came to, where it was begun ahead."""

Files: TypeAlias = Iterator[tuple[_Coming, _Read]]
"""Files of a model that come."""


class TakingCached:
    """Takes in the files of a cache's models, each once, in their order.

    Args:
        stack: ends what goes on meanwhile.

    Attributes:
        files, size: those that were taken in, or are here; `size` in bytes.
        linked: how many of those became objects by `reflink`, by `hardlink`, or by `copy`.
        reused_files, reused_bytes: those whose content was here already.
        written_bytes: what was written to the disk a second time.
        damaged: files that are not what their names say, or cannot be read, and why.
    """

    def __init__(
        self, store: ObjectStore, cache: Cache, progress: Progress, stack: contextlib.ExitStack
    ) -> None:
        self._store = store
        self._cache = cache
        self._progress = progress
        self.files = self.size = 0
        self.reused_files = self.reused_bytes = self.written_bytes = 0
        self.linked = dict.fromkeys((REFLINK, HARDLINK, COPY), 0)
        self.damaged: dict[str, str] = {}
        self._taken: dict[str, Entry] = {}
        self._not_yet: dict[str, int] = {}
        size, large = self._look_through()
        self._recurring = set(self._not_yet)
        progress.begin("adopting", size)
        stack.callback(progress.end)
        self._staging = store.staging()
        stack.callback(self._staging.close)
        if large:
            self._staging.new_path()  # its folder is made before there are threads
        self._threads = threads_for(cache.root, store.threads)
        self._share = self._threads.share(large)
        self._readers = stack.enter_context(Readers(self._threads.files))

    def _look_through(self) -> tuple[int, int]:
        """How many bytes there are to be taken in, and how many of them in large files."""
        sizes = [0, 0]
        for file in self._all_files():
            if file.may_recur:
                self._not_yet[file.at] = file.size
            else:
                sizes[self._is_large(file)] += file.size
        for size in self._not_yet.values():
            sizes[size >= self._store.large_object] += size
        return sum(sizes), sizes[True]

    def _all_files(self) -> Iterator[CachedFile]:
        return (file for model in self._cache.models for file in model.files.values())

    def models(self) -> Iterator[tuple[CachedModel, Files]]:
        """The models, each with the files that are to be taken in before the next is asked for."""
        coming = self._readers.ahead(self._coming())
        for number, files in groupby(coming, lambda item: item[0].model):
            yield self._cache.models[number], files

    def _coming(self) -> Files:
        begun: set[str] = set()
        for number, model in enumerate(self._cache.models):
            for path, file in model.files.items():
                read = None
                if self._is_large(file) and file.at not in begun and self._here_as(file) is None:
                    read = self._reading(file)
                if self._recurs(file):
                    begun.add(file.at)
                yield _Coming(number, path, file), read

    def _reading(self, file: CachedFile) -> Callable[[], Read]:
        is_shared = self._threads.files == 1 or file.size >= self._share
        return partial(self._read, file, self._threads.hashing if is_shared else 1)

    def _read(self, file: CachedFile, threads: int = 0) -> Read:
        return read_file(
            file.place,
            file.stamp,
            file.digests,
            self._staging if self._is_large(file) else None,
            threads=threads,
            go_on=self._readers.go_on,
        )

    def _is_large(self, file: CachedFile) -> bool:
        return file.size >= self._store.large_object

    def _recurs(self, file: CachedFile) -> bool:
        return file.at in self._recurring

    def _here_as(self, file: CachedFile) -> Oid | None:
        """The object that a file is called by, if it is here."""
        here = next((oid for digest in file.digests if (oid := self._store.find(digest))), None)
        if here is None or self._store.size_of_blob(here) != file.size:
            return None
        return here

    def entries(self, batch: Batch, files: Files) -> Iterator[tuple[str, Entry]]:
        """Take files in: the paths of those that can be had, in their order, and their entries."""
        keeping = KeptNowAndThen(batch, PUBLISH_BYTES)
        for is_plain, some in groupby(files, lambda item: self._is_plain(item[0].file)):
            if is_plain:
                small = (coming for coming, _ in some)
                for group in grouped(small, _size, most=_TOGETHER_FILES, most_size=_TOGETHER_BYTES):
                    yield from self._taken_together(batch, group)
                    keeping.look()
                continue
            for (_, path, file), read in some:
                entry = self._taken_alone(batch, file, read)
                if entry is not None:
                    yield path, entry
                keeping.look()

    def _is_plain(self, file: CachedFile) -> bool:
        """Whether a file is small, and nothing is known of it."""
        return not (self._is_large(file) or file.digests or self._recurs(file))

    def _taken_together(
        self, batch: Batch, group: Sequence[_Coming]
    ) -> Iterator[tuple[str, Entry]]:
        read = list(self._read_all(group))
        new = batch.put_all(ObjectKind.BLOB, (content for _, content in read))
        for (_, path, file), (oid, data) in read:
            self._progress.advance(len(data))
            yield path, self._counted(file, oid, COPY if oid in new else "")
            new.discard(oid)

    def _read_all(self, group: Iterable[_Coming]) -> Iterator[tuple[_Coming, tuple[Oid, bytes]]]:
        for coming in group:
            file = coming.file
            try:
                yield coming, read_small(file.at, file.size, bytes(file.stamp))
            except CannotAdd as error:
                self.damaged[file.at] = error.message

    def _taken_alone(self, batch: Batch, file: CachedFile, read: _Read) -> Entry | None:
        if file.at in self._taken or file.at in self.damaged:
            again = self._taken.get(file.at)
            self._progress.advance(self._not_yet.pop(file.at, 0) if file.may_recur else file.size)
            return again._replace(kind=_kind(file)) if again else None
        entry = self._take_in(batch, file, read)
        if entry is not None and self._recurs(file):
            self._taken[file.at] = entry
            if file.may_recur:
                del self._not_yet[file.at]
        return entry

    def _take_in(self, batch: Batch, file: CachedFile, read: _Read) -> Entry | None:
        here = self._here_as(file)
        if here is not None:
            self._progress.advance(file.size)
            return self._counted(file, here, "")
        origin, advance = f"{self._cache.kind} cache", self._progress.advance
        try:
            content = read() if read is not None else self._read(file)
            adopted = adopt_file(batch, file.place, file.stamp, content, origin, advance)
        except (WrongContent, CannotAdd) as error:
            self.damaged[file.at] = error.message
            return None
        how = adopted.how if adopted.how in self.linked else COPY
        return self._counted(file, adopted.oid, how if adopted.is_new else "")

    def _counted(self, file: CachedFile, oid: Oid, how: str) -> Entry:
        """A file that was taken in; `how` is empty for what was here already."""
        self.files += 1
        self.size += file.size
        if how:
            self.linked[how] += 1
            self.written_bytes += file.size if how == COPY else 0
        else:
            self.reused_files += 1
            self.reused_bytes += file.size
        return Entry(_kind(file), file.size, oid)


def _kind(file: CachedFile) -> Kind:
    return Kind.EXECUTABLE if file.is_executable else Kind.FILE


def _size(coming: _Coming) -> int:
    return coming.file.size
