"""Recording: turning a listing into a snapshot that a ref points to."""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from zoostore.digest import Oid
from zoostore.errors import UsageError
from zoostore.groups import batched
from zoostore.objects.listing import EMPTY_TREE, Listing, NamesAndEntries, build_folders, trees_of
from zoostore.objects.snapshot import Snapshot, encode_snapshot, snapshot_oid
from zoostore.ops.history import ref_name
from zoostore.store.batch import Batch
from zoostore.store.objectstore import ObjectStore
from zoostore.store.records import ObjectKind, RefChange
from zoostore.stubs import parse_stub

if TYPE_CHECKING:
    from zoostore.ops.records import Paths

_TREES_TOGETHER = 64


class Note(NamedTuple):
    """What a person says of a snapshot.

    Attributes:
        time: seconds since 1970-01-01 UTC.
        message: free text.
        metadata: free keys and values.
    """

    time: int
    message: str = ""
    metadata: Mapping[str, str] = MappingProxyType({})


class Recorded(NamedTuple):
    """A snapshot after `add` or `commit`.

    Attributes:
        stub: the ref that points to it.
        snapshot: its id.
        parent: the id of the snapshot it follows, if any.
        files, size: what it holds; `size` in bytes.
        new_objects, new_bytes: what the store did not have before.
    """

    stub: str
    snapshot: Oid
    parent: Oid | None
    files: int
    size: int
    new_objects: int
    new_bytes: int


def ref_to_write(store: ObjectStore, text: str) -> str:
    """The full name of the ref that a stub names, a short name meaning the model it fits here.

    Raises:
        Ambiguous: a short name fits more than one model.
        InvalidStub: the text does not follow the grammar.
        UsageError: it has a revision or selectors.
    """
    stub = parse_stub(text)
    if stub.revision or stub.selectors:
        raise UsageError(f"{text!r} names a revision or a part; a plain stub is needed here.")
    return ref_name(store, stub) or stub.name


def put_trees(batch: Batch, listing: Listing) -> Oid:
    """Take the trees of a listing into a batch; the root's oid. Raises what `trees_of` raises."""
    from zoostore.objects.walking import TreeListing  # what was added makes its trees otherwise

    trees = listing.trees() if isinstance(listing, TreeListing) else trees_of(listing)
    return _put_all(batch, trees)


def put_folders(batch: Batch, paths: "Paths") -> Oid:
    """Take the trees of recorded paths into a batch; the root's oid."""

    def entries_in(prefix: str) -> NamesAndEntries:
        folder = paths.folder(prefix)
        return ([], ()) if folder is None else (folder.names, folder.encoded())

    return _put_all(batch, build_folders(paths.prefixes(), entries_in))


def _put_all(batch: Batch, trees: Iterable[tuple[Oid, bytes]]) -> Oid:
    """Take trees into a batch; the oid of the last."""
    root = EMPTY_TREE
    for some in batched(trees, _TREES_TOGETHER):
        batch.put_all(ObjectKind.TREE, some)
        root, _ = some[-1]
    return root


def put_snapshot(batch: Batch, snapshot: Snapshot) -> Oid:
    """Take a snapshot into a batch; its id."""
    data = encode_snapshot(snapshot)
    oid = snapshot_oid(data)
    batch.put(oid, ObjectKind.SNAPSHOT, data)
    return oid


def record(
    batch: Batch,
    tree: Oid,
    extent: tuple[int, int],
    stub: str,
    *,
    follows: Oid | None,
    old: Oid | None,
    op: str,
    note: Note,
    is_partial: bool = False,
    announce: Callable[[Oid], None] = lambda _: None,
) -> Recorded:
    """Record a tree as a snapshot, and move the stub's ref to it.

    Args:
        tree: the root, which is in the batch.
        extent: the `totals` of its listing.
        follows: the snapshot it was made from.
        old: the snapshot the ref must still point to.
        op: the verb, for the reflog.
        is_partial: whether files of it are not here.
        announce: is told the snapshot's id before the ref moves.

    Raises:
        Diverged: the ref points elsewhere by now.
    """
    files, size = extent
    snapshot = Snapshot(
        tree=tree,
        files=files,
        size=size,
        stub=stub,
        parents=(follows,) if follows else (),
        time=note.time,
        message=note.message,
        metadata=note.metadata,
    )
    oid = put_snapshot(batch, snapshot)
    change = RefChange(
        stub,
        oid,
        old,
        op,
        note.time,
        files=files,
        size=size,
        message=note.message,
        partial=is_partial,
    )
    announce(oid)
    batch.commit(change)
    return Recorded(stub, oid, follows, files, size, batch.new_objects, batch.new_bytes)
