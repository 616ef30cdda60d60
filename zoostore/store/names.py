"""Names: the refs and the tags of a store, through its index."""

from __future__ import annotations

import os
from collections.abc import Callable

from zoostore.digest import Oid
from zoostore.errors import NoStore, ReadOnlyStore
from zoostore.store.index import Index, Reader, Writer
from zoostore.store.layout import Layout
from zoostore.store.opening import IndexOpener
from zoostore.store.records import ObjectKind, RefChange, RefRecord
from zoostore.store.reflog import Reflog


class Names:
    """The names in a store. What only lists models needs no more of it than this.

    Args:
        layout: where the store is.

    Raises:
        NoStore: there is none at this place.
        NewerFormat: a later release made it.
    """

    def __init__(self, layout: Layout) -> None:
        if not layout.exists():
            raise NoStore(f"There is no store at {layout.root}.", path=str(layout.root))
        self.layout = layout
        self.reflog = Reflog(layout.reflog)
        self.read_only = not os.access(layout.root, os.W_OK)
        self._opener = IndexOpener(layout, self.reflog)
        self._index = self._opener.open()

    def refresh(self) -> None:
        """See what other processes have done since."""
        self._index = self._opener.open()

    @property
    def index(self) -> Index:
        """The index, as it was when the store was opened or refreshed, or newer."""
        return self._index

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
        return self._index.view(lambda index: index.ref(stub))

    def refs(self) -> dict[str, RefRecord]:
        """Every name and what it points to, in the order of names."""
        return self._index.view(lambda index: dict(index.refs()))

    def tags(self, stub: str) -> dict[str, Oid]:
        """The tags of a name."""
        return self._index.view(lambda index: index.tags(stub))

    def snapshots_from(self, prefix: str) -> list[Oid]:
        """The snapshots whose ids begin with these hex digits."""
        whole = bytes.fromhex(prefix[: len(prefix) // 2 * 2])

        def read(index: Reader) -> list[Oid]:
            return [
                oid
                for oid, location in index.locations(whole)
                if location.kind is ObjectKind.SNAPSHOT and oid.hex().startswith(prefix)
            ]

        return self._index.view(read)

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
        record_change(self._index, self.reflog, change, prepare)
