"""Mappings of paths that are read again and again, unless they are few."""

from abc import abstractmethod
from collections import deque
from collections.abc import Iterator
from typing import TypeVar

from zoostore.streamed import Streamed

T = TypeVar("T")

FEW = 20_000
"""Paths that are held, so that they need not be read again."""


class Reread(Streamed[T]):
    """Such a mapping that is read anew for each pass, unless it is of few paths: these are held."""

    def __init__(self) -> None:
        self._held: dict[str, T] | None = None
        self._count: int | None = None

    @abstractmethod
    def read(self) -> Iterator[tuple[str, T]]:
        """Every path with its value, from where they are."""

    def __len__(self) -> int:
        if self._count is None:
            deque(self.streamed(), maxlen=0)
            assert self._count is not None
        return self._count

    def __getitem__(self, path: str) -> T:
        if self._held is not None:
            return self._held[path]
        for at, value in self.streamed():
            if at == path:
                return value
        raise KeyError(path)

    def streamed(self) -> Iterator[tuple[str, T]]:
        if self._held is not None:
            return iter(self._held.items())
        return self._read_once() if self._count is None else self.read()

    def _read_once(self) -> Iterator[tuple[str, T]]:
        """Read all of it, count it, and hold it if it is not too much."""
        held: dict[str, T] = {}
        count = 0
        for path, value in self.read():
            count += 1
            if count <= FEW:
                held[path] = value
            elif held:
                held.clear()
            yield path, value
        self._count = count
        if count <= FEW:
            self._held = held
