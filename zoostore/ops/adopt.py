"""adopt: another tool's cache becomes models here, by links where the file system makes them."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from zoostore.caches.base import FOLDER, Cache, CachedFile, CachedModel
from zoostore.digest import Oid
from zoostore.errors import CannotAdd, DamagedContent, WrongContent
from zoostore.files.links import COPY, HARDLINK, REFLINK
from zoostore.files.readers import Readers, threads_for
from zoostore.objects.listing import Listing
from zoostore.objects.snapshot import Snapshot
from zoostore.objects.tree import Entry, Kind
from zoostore.objects.walking import flatten, totals
from zoostore.ops.history import LEFT_OUT, Found, ever_named, is_in_part
from zoostore.ops.keeping import kept_on_errors
from zoostore.ops.pulled import commit_state, ref_change
from zoostore.ops.recording import Note, put_trees, record
from zoostore.progress import Progress
from zoostore.store.adopting import Read, adopt_file, read_file
from zoostore.store.batch import Batch
from zoostore.store.objectstore import ObjectStore
from zoostore.store.records import RefRecord

if TYPE_CHECKING:
    from zoostore.files.stamp import Stamp
    from zoostore.ops.relink import Relinked
    from zoostore.sources.base import Upstream

PUBLISH_BYTES = 1 << 30
"""What was taken in is published after so many bytes: a process that is killed loses no more."""


class AdoptedModel(NamedTuple):
    """A state of a model, as it was adopted.

    Attributes:
        stub, revision: what it is called.
        snapshot: its id here.
        files, size: what it holds here; `size` in bytes.
        left_out: how many of its files are not here; None if nobody knows whether there are any.
        is_new: whether it was not here before.
    """

    stub: str
    revision: str
    snapshot: Oid
    files: int
    size: int
    left_out: int | None
    is_new: bool


class Adopted(NamedTuple):
    """What adopting a cache came to.

    Attributes:
        kind, directory: what the cache is, and where.
        models: what was found in it, in the order of stubs.
        files, size: the files of the cache that models here need, each once; `size` in bytes.
        linked: how many of those became objects by `reflink`, by `hardlink`, or by `copy`.
        reused_files, reused_bytes: those whose content was here already.
        saved_bytes: of `size`, what was not written to the disk a second time.
        relinked_files, relinked_bytes: files of the cache that became links to objects, and the
            space that this gave back.
        damaged: files that are not what their names say, or cannot be read, and why.
        passed_over: what else was left alone, and why.
    """

    kind: str
    directory: Path
    models: tuple[AdoptedModel, ...]
    files: int
    size: int
    linked: Mapping[str, int]
    reused_files: int
    reused_bytes: int
    saved_bytes: int
    relinked_files: int
    relinked_bytes: int
    damaged: Mapping[str, str]
    passed_over: Mapping[str, str]


def adopt(
    store: ObjectStore,
    cache: Cache,
    now: int,
    progress: Progress,
    *,
    replace_by_links: bool = False,
) -> Adopted:
    """Take in what a cache holds. The cache stays as it is, unless it is told otherwise.

    A state that is here already, with all the files that the cache has of it, stays as it is.

    Args:
        now: the time of the changes, in seconds since 1970-01-01 UTC.
        replace_by_links: make files of the cache links to the store's objects, to save space.
    """
    with contextlib.ExitStack() as stack:
        work = _Work(store, cache, progress, stack)
        progress.begin("adopting", sum(file.size for file in work.places().values()))
        stack.callback(progress.end)
        models = tuple(work.adopt_model(model, now) for model in cache.models)
    taken = {place: (entry.oid, work.stamps[place]) for place, entry in work.taken.items()}
    relinked = _relink(store, taken, progress) if replace_by_links else None
    size = sum(entry.size for entry in work.taken.values())
    return Adopted(
        cache.kind,
        cache.root,
        tuple(model for model in models if model is not None),
        len(work.taken),
        size,
        dict(work.linked),
        work.reused_files,
        work.reused_bytes,
        size - work.written_bytes,
        relinked.files if relinked else 0,
        relinked.bytes if relinked else 0,
        dict(work.damaged),
        {**cache.problems, **(relinked.passed_over if relinked else {})},
    )


def _relink(
    store: ObjectStore, taken: Mapping[Path, tuple[Oid, "Stamp"]], progress: Progress
) -> "Relinked":
    from zoostore.ops.relink import relink  # imported here: few ask for it

    return relink(store, taken, progress)


class _Work:
    """Adopting the models of one cache, each file of it once.

    Args:
        stack: ends what goes on meanwhile.
    """

    def __init__(
        self, store: ObjectStore, cache: Cache, progress: Progress, stack: contextlib.ExitStack
    ) -> None:
        self._store = store
        self._since = store.sweep_mark()
        self._cache = cache
        self._progress = progress
        self.taken: dict[Path, Entry] = {}
        self.stamps = {place: file.stamp for place, file in self.places().items()}
        self.damaged: dict[str, str] = {}
        self.linked = dict.fromkeys((REFLINK, HARDLINK, COPY), 0)
        self.reused_files = self.reused_bytes = self.written_bytes = 0
        self._unpublished = 0
        self._staging = store.staging()
        stack.callback(self._staging.close)
        self._threads = threads_for(cache.root, store.threads)
        self._readers = stack.enter_context(Readers(self._threads.files))
        self._ahead = self._readers.ahead(self._reading())

    def _reading(self) -> Iterator[tuple[Path, Callable[[], Read | None]]]:
        """The reading of large files, in the order in which they are taken in."""
        large = [file for file in self.places().values() if self._is_large(file)]
        share = self._threads.share(sum(file.size for file in large))
        if large:
            self._staging.new_path()  # its folder is made before there are threads
        for file in large:
            is_shared = self._threads.files == 1 or file.size >= share
            hashing = self._threads.hashing if is_shared else 1
            is_here = self._here_as(file) is not None
            yield file.place, _nothing if is_here else partial(self._read, file, hashing)

    def _is_large(self, file: CachedFile) -> bool:
        return file.size >= self._store.large_object

    def _read_ahead(self, file: CachedFile) -> Callable[[], Read | None]:
        place, read = next(self._ahead)
        assert place == file.place  # they are taken in in the order in which they are read
        return read

    def _read(self, file: CachedFile, threads: int = 0) -> Read:
        return read_file(
            file.place,
            file.stamp,
            file.digests,
            self._staging if self._is_large(file) else None,
            threads=threads,
            go_on=self._readers.go_on,
        )

    def places(self) -> dict[Path, CachedFile]:
        """The files of the cache that its models need."""
        return {file.place: file for model in self._cache.models for file in model.files.values()}

    def adopt_model(self, model: CachedModel, now: int) -> AdoptedModel | None:
        """Take in a state of a model; None if nothing of it can be used."""
        with Batch(self._store, self._since) as batch, kept_on_errors(batch):
            listing = {
                path: entry
                for path, file in model.files.items()
                if (entry := self._take(batch, file)) is not None
            }
            lost = len(model.files) - len(listing)
            left_out = None if model.left_out is None else model.left_out + lost
            if not listing:
                return None
            known = _known(self._store, model, listing, is_whole=left_out == 0)
            if known is not None:
                batch.publish()
                return _adopted(known, model, is_new=False)
            found = self._record(batch, model, listing, left_out, now)
        return _adopted(found, model, is_new=True)

    def _take(self, batch: Batch, file: CachedFile) -> Entry | None:
        kind = Kind.EXECUTABLE if file.is_executable else Kind.FILE
        if file.place not in self.taken and str(file.place) not in self.damaged:
            self._take_in(batch, file)
        entry = self.taken.get(file.place)
        return entry._replace(kind=kind) if entry else None

    def _take_in(self, batch: Batch, file: CachedFile) -> None:
        ahead = self._read_ahead(file) if self._is_large(file) else _nothing
        here = self._here_as(file)
        if here is not None:
            self._progress.advance(file.size)
            self._reuse(file, here)
            return
        try:
            read = ahead() or self._read(file)
            origin, advance = f"{self._cache.kind} cache", self._progress.advance
            adopted = adopt_file(batch, file.place, file.stamp, read, origin, advance)
        except (WrongContent, CannotAdd) as error:
            self.damaged[str(file.place)] = error.message
            return
        if not adopted.is_new:
            self._reuse(file, adopted.oid)
            return
        how = adopted.how if adopted.how in self.linked else COPY
        self.linked[how] += 1
        self.written_bytes += adopted.size if how == COPY else 0
        self.taken[file.place] = Entry(Kind.FILE, adopted.size, adopted.oid)
        self._unpublished += adopted.size
        if self._unpublished >= PUBLISH_BYTES:
            batch.publish()
            self._unpublished = 0

    def _here_as(self, file: CachedFile) -> Oid | None:
        """The object that a file is called by, if it is here."""
        here = next((oid for digest in file.digests if (oid := self._store.find(digest))), None)
        if here is None or self._store.size_of_blob(here) != file.size:
            return None
        return here

    def _reuse(self, file: CachedFile, oid: Oid) -> None:
        self.reused_files += 1
        self.reused_bytes += file.size
        self.taken[file.place] = Entry(Kind.FILE, file.size, oid)

    def _record(
        self, batch: Batch, model: CachedModel, listing: Listing, left_out: int | None, now: int
    ) -> Found:
        if self._cache.kind == FOLDER and not model.revision and model.stub.startswith("zoo:"):
            return self._add(batch, model.stub, listing, now)
        # Imported here: a folder of the user's own has no upstream.
        from zoostore.ops.from_upstream import keep_tag, record_state
        from zoostore.sources.base import Upstream

        source = f"{self._cache.kind} cache"
        state = Upstream(model.stub, source, model.revision, now, ())
        current = self._store.names.ref(model.stub)
        before = self._same_state(state, current) if current else None
        had = self._here(before) if before else {}
        if left_out is not None:
            left_out = max(left_out - len(had.keys() - listing.keys()), 0)
        oid, snapshot = record_state(batch, state, {**had, **listing}, left_out)
        found = Found(model.stub, oid, snapshot)
        names = " ".join(model.names)
        if current is None or before is not None:
            old = current.snapshot if current else None
            commit_state(self._store, batch, ref_change(found, old, now, f"adopted from {source}"))
        else:
            batch.publish()
            names = names or model.revision or str(oid)
        if names:
            keep_tag(self._store, batch, found, names, now)
        return found

    def _same_state(self, state: "Upstream", current: RefRecord) -> Snapshot | None:
        """What a ref points to, if it is a part of a state that was pulled or adopted earlier."""
        try:
            snapshot = self._store.snapshot(current.snapshot)
        except DamagedContent:
            return None
        same = snapshot.revision == state.revision
        same = same and bool(state.revision or snapshot.source == state.source)
        return snapshot if same and current.is_pulled else None

    def _here(self, snapshot: Snapshot) -> dict[str, Entry]:
        """Of the files of a snapshot, those that are here."""
        listing = flatten(self._store.tree, snapshot.tree)
        return {path: entry for path, entry in listing.items() if self._store.has(entry.oid)}

    def _add(self, batch: Batch, stub: str, listing: Listing, now: int) -> Found:
        """Record a folder of the user's own as `add` does: it has no source to follow."""
        current = self._store.names.ref(stub)
        old = current.snapshot if current else None
        tree = put_trees(batch, listing)
        extent = totals(listing)
        done = record(batch, tree, extent, stub, follows=old, old=old, op="add", note=Note(now))
        return Found(stub, done.snapshot, self._store.snapshot(done.snapshot))


def _nothing() -> None:
    """What is to be read of a file that is here, or that is read when its turn comes."""


def _known(
    store: ObjectStore, model: CachedModel, listing: Listing, *, is_whole: bool
) -> Found | None:
    """A snapshot of the same state here that has all these files.

    Args:
        is_whole: whether the state is known to have no others; the snapshot must know it too.
    """
    current = store.names.ref(model.stub)
    tips = [current.snapshot] if current else []
    for oid in [*tips, *(oid for oid, _ in ever_named(store, model.stub))]:
        with contextlib.suppress(DamagedContent):
            snapshot = store.snapshot(oid)
            knows = not is_whole or not is_in_part(snapshot)
            if knows and model.revision in ("", snapshot.revision):
                had = flatten(store.tree, snapshot.tree)
                if all(had.get(path) == entry for path, entry in listing.items()):
                    return Found(model.stub, oid, snapshot)
    return None


def _adopted(found: Found, model: CachedModel, *, is_new: bool) -> AdoptedModel:
    snapshot = found.snapshot
    said = snapshot.metadata.get(LEFT_OUT, "0")
    left_out = int(said) if said.isascii() and said.isdigit() else None
    totals_of_it = (snapshot.files, snapshot.size, left_out)
    return AdoptedModel(model.stub, model.revision, found.id, *totals_of_it, is_new)
