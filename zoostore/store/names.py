"""Names: the refs and the tags of a store, through its index."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

from zoostore.digest import Oid
from zoostore.errors import NoStore, ReadOnlyStore
from zoostore.store.index import IndexDamaged, Reader, Writer
from zoostore.store.layout import Layout
from zoostore.store.opening import IndexOpener
from zoostore.store.records import ObjectKind, RefChange, RefRecord
from zoostore.store.reflog import Reflog

T = TypeVar("T")


class Names:
    """The names in a store. What only lists models needs no more of it than this.

    Args:
        layout: where the store is.
        only_reads: write nothing to it, even where that is allowed.

    Raises:
        NoStore: there is none at this place.
        NewerFormat: a later release made it.
    """

    def __init__(self, layout: Layout, *, only_reads: bool = False) -> None:
        if not layout.exists():
            raise NoStore(f"There is no store at {layout.root}.", path=str(layout.root))
        self.layout = layout
        self.reflog = Reflog(layout.reflog)
        self.read_only = only_reads or not os.access(layout.root, os.W_OK)
        self._opener = IndexOpener(layout, self.reflog, only_reads=only_reads)
        self._index = self._opener.open()

    def refresh(self) -> None:
        """See what other processes have done since."""
        self._index = self._opener.open()

    @property
    def index_is_read_only(self) -> bool:
        return self._index.read_only

    def view(self, read: Callable[[Reader], T]) -> T:
        """What `read` makes of the index; it must not keep the reader."""
        try:
            return self._index.view(read)
        except IndexDamaged:
            self._index = self._opener.make_anew()
            return self._index.view(read)

    def update(self, change: Callable[[Writer], T]) -> T:
        """What `change` returns, after all it wrote was committed, or nothing of it.

        `change` may be called more than once, each time from the start.
        """
        try:
            return self._index.update(change)
        except IndexDamaged:
            self._index = self._opener.make_anew()
            return self._index.update(change)

    def make_index_durable(self) -> None:
        """Have the index survive a power cut, before what it has forgotten is removed."""
        self._index.make_durable()

    def require_writable(self) -> None:
        """Refuse to go on where nothing can be written.

        Raises:
            ReadOnlyStore: the store cannot be written to.
        """
        if self.read_only:
            raise ReadOnlyStore(
                f"The store {self.layout.root} cannot be written to; nothing was changed.",
                path=str(self.layout.root),
            )

    def ref(self, stub: str) -> RefRecord | None:
        """What a name points to."""
        return self.view(lambda index: index.ref(stub))

    def refs(self) -> dict[str, RefRecord]:
        """Every name and what it points to, in the order of names."""
        return self.view(lambda index: dict(index.refs()))

    def tags(self, stub: str) -> dict[str, Oid]:
        """The tags of a name."""
        return self.view(lambda index: index.tags(stub))

    def snapshots_from(self, prefix: str) -> list[Oid]:
        """The snapshots whose ids begin with these hex digits."""
        whole = bytes.fromhex(prefix[: len(prefix) // 2 * 2])

        def read(index: Reader) -> list[Oid]:
            return [
                oid
                for oid, location in index.locations(whole)
                if location.kind is ObjectKind.SNAPSHOT and oid.hex().startswith(prefix)
            ]

        return self.view(read)

    def change(self, change: RefChange, prepare: Callable[[Writer], None] = lambda _: None) -> None:
        """Record a change of a ref or a tag.

        Args:
            prepare: writes what must be in the index together with the change.

        Raises:
            Diverged: the ref is not what `change.old` says.
            TagExists: the tag is taken.
        """
        from zoostore.store.refs import record_change

        self.require_writable()
        record_change(self, self.reflog, change, prepare)
