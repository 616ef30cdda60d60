"""A store as a process has it open: when it is first needed, and looked at anew each time."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from zoostore import environment
from zoostore.errors import SweptAway
from zoostore.store.layout import Layout

if TYPE_CHECKING:
    from zoostore.config import Config
    from zoostore.store.front import Alternate
    from zoostore.store.names import Names
    from zoostore.store.objectstore import ObjectStore

T = TypeVar("T")

_TRIES = 5


class Opened:
    """A store, of which nothing is read or written until a method is called.

    Args:
        path: its folder.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._names: Names | None = None
        self._objects: ObjectStore | None = None
        self._alternates: list[Alternate] | None = None

    @property
    def layout(self) -> Layout:
        """Where it keeps what, as far as the environment says so now."""
        return Layout(self._path, environment.index_folder())

    def exists(self) -> bool:
        """Whether it was made. Raises what `Layout.exists` raises."""
        return self.layout.exists()

    def config(self) -> Config:
        """Its settings. Raises what `read_config` raises."""
        from zoostore.config import read_config

        return read_config(self.layout.config)

    def names(self) -> Names:
        """Its names. Raises `NoStore` if there is none."""
        from zoostore.store.names import Names

        if self._names is None:
            self._names = Names(self.layout)
        else:
            self._names.refresh()
        return self._names

    def objects(self) -> ObjectStore:
        """Its objects, and those of its alternates. Raises `NoStore` if there is none."""
        names = self.names()
        if self._objects is None:
            self._objects = self._objects_of(names)
        for alternate in self._alternates or ():
            if alternate.store is not None:
                alternate.store.names.refresh()
        return self._objects

    def writable(self) -> ObjectStore:
        """Its objects, to be added to; made if there is none.

        Raises:
            ReadOnlyStore: it cannot be written to.
        """
        if self._names is None and not self.exists():
            self.layout.create()
        store = self.objects()
        store.names.require_writable()
        return store

    def for_reading(self) -> ObjectStore:
        """Its objects; made if there is none. Only who brings something here need write to it."""
        return self.objects() if self.exists() else self.writable()

    def alternates(self) -> list[Alternate]:
        """The stores to look in after this one."""
        from zoostore.alternates import open_alternates

        if self._alternates is None:
            self._alternates = open_alternates(self.layout)
        return self._alternates

    @property
    def absent_alternates(self) -> tuple[str, ...]:
        """Why alternates could not be looked in, as far as any was needed."""
        return tuple(found.problem for found in self._alternates or () if found.problem)

    def _objects_of(self, names: Names) -> ObjectStore:
        config = self.config()
        if not config.alternates:
            from zoostore.store.objectstore import ObjectStore

            return ObjectStore(names, large_object=config.large_object, threads=config.threads)
        from zoostore.store.front import FrontStore

        return FrontStore(
            names,
            self.alternates,
            large_object=config.large_object,
            threads=config.threads,
        )


def again_if_swept(work: Callable[[], T]) -> T:
    """What some work comes to, done again where gc took something away that it had found."""
    for _ in range(_TRIES):
        with contextlib.suppress(SweptAway):
            return work()
    return work()
