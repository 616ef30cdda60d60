"""Opening alternates: the stores that config.toml names to be looked in after one's own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from zoostore.config import read_config
from zoostore.digest import hash_bytes
from zoostore.errors import ZooError
from zoostore.files.mounts import NETWORK, kind_of_file_system
from zoostore.store.front import Alternate
from zoostore.store.layout import Layout
from zoostore.store.names import Names
from zoostore.store.objectstore import ObjectStore

_DEPTH = 5
"""An alternate has alternates of its own: so far they are followed, as in Git."""


def open_alternates(layout: Layout) -> list[Alternate]:
    """The alternates of a store, each once, those of each behind it; nothing of them is written.

    Args:
        layout: of the store that has them.

    Raises:
        InvalidConfig: the store's own settings cannot be read.
    """
    return list(_behind(layout, 1, {layout.root.resolve()}, layout.index / "alternates"))


def _behind(layout: Layout, depth: int, seen: set[Path], indexes: Path) -> Iterator[Alternate]:
    for named in read_config(layout.config).alternates:
        root = Path(named) if Path(named).is_absolute() else (layout.root / named).resolve()
        if root.resolve() in seen:
            continue
        seen.add(root.resolve())
        if depth > _DEPTH:
            why = f"it is behind more than {_DEPTH} others"
            yield Alternate(root, None, _problem(root, layout, why))
            continue
        behind = Layout(root, _index_elsewhere(root, indexes))
        try:
            further = _behind(behind, depth + 1, seen, indexes)
            found = [Alternate(root, _opened(behind)), *further]
        except ZooError as error:
            found = [Alternate(root, None, _problem(root, layout, error.message))]
        except OSError as error:
            found = [Alternate(root, None, _problem(root, layout, str(error)))]
        yield from found


def _index_elsewhere(root: Path, indexes: Path) -> Path | None:
    """Where an alternate's index is, if it cannot be used in the alternate itself."""
    if kind_of_file_system(root) not in NETWORK:
        return None
    return indexes / hash_bytes(os.fsencode(root.resolve())).short


def _opened(layout: Layout) -> ObjectStore:
    return ObjectStore(Names(layout, only_reads=True), mends=False)


def _problem(root: Path, layout: Layout, why: str) -> str:
    why = why.rstrip(".")
    return f"The alternate {root}, which {layout.config} names, was not looked in: {why}."
