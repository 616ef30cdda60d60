"""Opening the index: brought up to date, or made anew where it cannot be used."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from zoostore.files.staging import random_name
from zoostore.store.index import Index, IndexDamaged, Writer, open_index
from zoostore.store.layout import Layout
from zoostore.store.reflog import Reflog

if TYPE_CHECKING:
    import tempfile


class IndexOpener:
    """Gives a store's index, as true as the packs and the reflog are now.

    Where nobody here may write, an index that is missing or behind is made in a
    folder of its own, which goes with this object.

    Args:
        only_reads: leave the store's own index as it is, even where it could be written.
    """

    def __init__(self, layout: Layout, reflog: Reflog, *, only_reads: bool = False) -> None:
        self._layout = layout
        self._reflog = reflog
        # An index that is kept elsewhere is not the other's own.
        self._only_reads = only_reads and layout.index.parent == layout.root
        self._keeps_lost_names = not only_reads and os.access(layout.root, os.W_OK)
        self._scratch: tempfile.TemporaryDirectory[str] | None = None

    def open(self) -> Index:
        try:
            index = open_index(self._folder(), read_only=self._is_read_only())
            self._bring_up_to_date(index)
        except (IndexDamaged, FileNotFoundError):
            return self.make_anew()
        return index

    def _folder(self) -> Path:
        return Path(self._scratch.name) / "index" if self._scratch else self._layout.index

    def _is_read_only(self) -> bool:
        if self._only_reads and self._scratch is None:
            return True
        folder = self._folder()
        while not folder.exists():
            folder = folder.parent
        return not os.access(folder, os.W_OK)

    def _bring_up_to_date(self, index: Index) -> None:
        position, is_current = index.view(
            lambda reader: (reader.reflog_position(), reader.is_current_version())
        )
        size = self._reflog.size()
        is_ours = is_current and position.length <= size and self._reflog.continues(position)
        if is_ours and not any(self._reflog.read(position.length)):
            return
        if index.read_only or self._is_read_only():
            raise IndexDamaged(f"The index in {index.folder} is behind.")
        index.update(self._catch_up if is_ours else self._rebuild)

    def _catch_up(self, index: Writer) -> None:
        from zoostore.store.derive import index_disk
        from zoostore.store.refs import catch_up

        index_disk(index, self._layout)
        catch_up(index, self._reflog)

    def _rebuild(self, index: Writer) -> None:
        from zoostore.store.derive import rebuild

        rebuild(index, self._layout, self._reflog, keeps_lost_names=self._keeps_lost_names)

    def make_anew(self) -> Index:
        """An index made from nothing, in place of one that is damaged or cannot be had."""
        import shutil
        import tempfile

        if self._is_read_only():
            self._scratch = tempfile.TemporaryDirectory(prefix="zoostore-index-")
        folder = self._folder()
        if folder.exists():
            # Moved first: what is half removed must not be taken for an index.
            damaged = folder.with_name(f"{folder.name}.damaged-{random_name(4)}")
            os.replace(folder, damaged)
            shutil.rmtree(damaged, ignore_errors=True)
        index = open_index(folder)
        index.update(self._rebuild)
        return index
