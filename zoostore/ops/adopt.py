"""adopt: another tool's cache becomes models here, by links where the file system makes them."""

import contextlib
from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from zoostore.caches.base import FOLDER, Cache, CachedModel
from zoostore.digest import Oid
from zoostore.errors import DamagedContent
from zoostore.files.spool import Spool
from zoostore.objects.listing import Listing
from zoostore.objects.paths import parted
from zoostore.objects.snapshot import Snapshot
from zoostore.objects.tree import Entry
from zoostore.objects.walking import flatten, totals
from zoostore.ops.history import LEFT_OUT, Found, ever_named, is_in_part
from zoostore.ops.keeping import kept_on_errors
from zoostore.ops.pulled import commit_state, ref_change
from zoostore.ops.recorded_entries import Entries
from zoostore.ops.recording import Note, put_folders, put_trees, record
from zoostore.ops.records import NO_STAMP, Paths, Records, laid_out
from zoostore.ops.taking_cached import Files, TakingCached
from zoostore.progress import Progress
from zoostore.store.batch import Batch
from zoostore.store.objectstore import ObjectStore
from zoostore.store.records import RefRecord

if TYPE_CHECKING:
    from zoostore.ops.relink import Relinked
    from zoostore.sources.base import Upstream


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
        taking = TakingCached(store, cache, progress, stack)
        work = _Work(store, cache, taking)
        adopted = [
            (model, done)
            for model, files in taking.models()
            if (done := work.adopt_model(model, files, now)) is not None
        ]
    relinked = _relink(store, adopted, progress) if replace_by_links else None
    return Adopted(
        cache.kind,
        cache.root,
        tuple(done for _, done in adopted),
        taking.files,
        taking.size,
        dict(taking.linked),
        taking.reused_files,
        taking.reused_bytes,
        taking.size - taking.written_bytes,
        relinked.files if relinked else 0,
        relinked.bytes if relinked else 0,
        dict(taking.damaged),
        {**cache.problems, **(relinked.passed_over if relinked else {})},
    )


def _relink(
    store: ObjectStore, adopted: Iterable[tuple[CachedModel, AdoptedModel]], progress: Progress
) -> "Relinked":
    from zoostore.ops.relink import relink  # imported here: few ask for it

    files = [
        (model.files, flatten(store.tree, store.snapshot(done.snapshot).tree))
        for model, done in adopted
    ]
    return relink(store, files, progress)


class _Work:
    """Adopting the models of one cache."""

    def __init__(self, store: ObjectStore, cache: Cache, taking: TakingCached) -> None:
        self._store = store
        self._since = store.sweep_mark()
        self._cache = cache
        self._taking = taking

    def adopt_model(self, model: CachedModel, files: Files, now: int) -> AdoptedModel | None:
        """Take in a state of a model; None if nothing of it can be used."""
        with (
            Batch(self._store, self._since) as batch,
            Spool(batch.staging.unnamed_file) as spool,
            kept_on_errors(batch),
        ):
            paths = _recorded(self._taking.entries(batch, files), spool)
            lost = len(model.files) - len(paths)
            left_out = None if model.left_out is None else model.left_out + lost
            if not len(paths):
                return None
            known = _known(self._store, model, Entries(paths), is_whole=left_out == 0)
            if known is not None:
                batch.publish()
                return _adopted(known, model, is_new=False)
            found = self._record(batch, model, paths, left_out, now)
        return _adopted(found, model, is_new=True)

    def _record(
        self, batch: Batch, model: CachedModel, paths: Paths, left_out: int | None, now: int
    ) -> Found:
        if self._cache.kind == FOLDER and not model.revision and model.stub.startswith("zoo:"):
            return self._add(batch, model.stub, paths, now)
        # Imported here: a folder of the user's own has no upstream.
        from zoostore.ops.from_upstream import keep_tag, record_state
        from zoostore.sources.base import Upstream

        source = f"{self._cache.kind} cache"
        state = Upstream(model.stub, source, model.revision, now, ())
        current = self._store.names.ref(model.stub)
        before = self._same_state(state, current) if current else None
        had = self._here(before) if before else {}
        listing: Listing = Entries(paths)
        if left_out is not None:
            left_out = max(left_out - sum(path not in listing for path in had), 0)
        listing = {**had, **listing} if had else listing
        tree = put_trees(batch, listing) if had else put_folders(batch, paths)
        oid, snapshot = record_state(batch, state, tree, listing, left_out)
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

    def _add(self, batch: Batch, stub: str, paths: Paths, now: int) -> Found:
        """Record a folder of the user's own as `add` does: it has no source to follow."""
        current = self._store.names.ref(stub)
        old = current.snapshot if current else None
        tree, extent = put_folders(batch, paths), totals(Entries(paths))
        done = record(batch, tree, extent, stub, follows=old, old=old, op="add", note=Note(now))
        return Found(stub, done.snapshot, self._store.snapshot(done.snapshot))


def _recorded(entries: Iterable[tuple[str, Entry]], spool: Spool) -> Paths:
    """What was taken in, as bytes. Those of one folder come one after the other."""
    records = Records(spool)
    for prefix, some in groupby(entries, lambda item: parted(item[0])[0]):
        records.add_paths(prefix, ((path, laid_out(entry, NO_STAMP)) for path, entry in some))
    return records.paths()


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
