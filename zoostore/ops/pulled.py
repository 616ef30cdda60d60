"""What a pull brought, or would bring, and how a ref comes to follow its source."""

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, NamedTuple

from zoostore.digest import Oid
from zoostore.errors import Diverged, TagExists
from zoostore.objects.listing import Listing
from zoostore.objects.walking import totals
from zoostore.ops.history import Found
from zoostore.reread import FEW
from zoostore.store.objectstore import ObjectStore
from zoostore.store.records import RefChange
from zoostore.store.refs import PULL

if TYPE_CHECKING:
    from zoostore.ops.missing import Missing
    from zoostore.store.batch import Batch


class Pulled(NamedTuple):
    """What a pull brought, or would bring.

    Attributes:
        stub, snapshot: the model, and what of it is here now.
        files, size: what was chosen of the snapshot; `size` in bytes.
        downloaded_files, downloaded_bytes: what came from the source; a content that
            stands at several paths comes once, and counts as reused at the others.
        reused_files, reused_bytes: what was here already.
        source: who gave it; empty if nobody was asked or needed.
        missing: path and size of what was downloaded, or would be; one path for each content.
            They are read when they are asked for: there may be very many.
        notes: what the source has to say of the model, such as that it was renamed.

    `snapshot` is None only where a pull was planned, and the content of files that nobody has
    hashed yet decides it.
    """

    stub: str
    snapshot: Oid | None
    files: int
    size: int
    downloaded_files: int
    downloaded_bytes: int
    reused_files: int
    reused_bytes: int
    source: str = ""
    missing: Collection[tuple[str, int]] = ()
    notes: tuple[str, ...] = ()


class _Named(Collection[tuple[str, int]]):
    """What was missing: a path of each content, and its size; in order, if they are few."""

    def __init__(self, missing: "Missing") -> None:
        self._missing = missing

    def __len__(self) -> int:
        return self._missing.count

    def __iter__(self) -> Iterator[tuple[str, int]]:
        named = self._missing.named()
        return iter(sorted(named)) if len(self) <= FEW else named

    def __contains__(self, named: object) -> bool:
        return any(each == named for each in self)


def pulled(
    stub: str,
    snapshot: Oid,
    chosen: Listing,
    source: str = "",
    missing: "Missing | None" = None,
) -> Pulled:
    files, size = totals(chosen)
    if missing is None:
        return Pulled(stub, snapshot, files, size, 0, 0, files, size, source)
    count, moved = missing.count, missing.size
    totals_of_it = (files, size, count, moved, files - count, size - moved)
    return Pulled(stub, snapshot, *totals_of_it, source, _Named(missing))


def ref_change(
    found: Found, old: Oid | None, now: int, message: str, *, is_partial: bool = False
) -> RefChange:
    return RefChange(
        found.stub,
        found.id,
        old,
        PULL,
        now,
        files=found.snapshot.files,
        size=found.snapshot.size,
        message=message,
        partial=is_partial,
    )


def commit_state(store: ObjectStore, batch: "Batch", change: RefChange) -> None:
    """Publish a batch and move a ref to it, if another process has not just done the same.

    Raises:
        Diverged: it did something else.
    """
    try:
        batch.commit(change)
    except Diverged:
        current = store.names.ref(change.stub)
        if current is None or current.snapshot != change.new:
            raise  # and otherwise another process has just pulled the same
        batch.publish()


def keep_name(store: ObjectStore, batch: "Batch", change: RefChange) -> None:
    """Set a tag, if another process has not just done the same.

    Args:
        batch: has taken in, or found, what the tag names.

    Raises:
        TagExists: it gave the name to another snapshot.
    """
    try:
        batch.commit(change)
    except TagExists:
        if store.names.tags(change.stub).get(change.tag) != change.new:
            raise
