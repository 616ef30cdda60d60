"""Mappings of very many paths, which are worked through without looking each path up."""

from abc import abstractmethod
from collections.abc import ItemsView, Iterator, Mapping, ValuesView
from typing import TypeVar

T = TypeVar("T")


class Streamed(Mapping[str, T]):
    """A mapping that makes its values as it is worked through, and holds few of them."""

    @abstractmethod
    def streamed(self) -> Iterator[tuple[str, T]]:
        """Every path with its value, always in the same order."""

    def __len__(self) -> int:
        return sum(1 for _ in self.streamed())

    def __iter__(self) -> Iterator[str]:
        return (path for path, _ in self.streamed())

    def __contains__(self, path: object) -> bool:
        return isinstance(path, str) and self.get(path) is not None

    def items(self) -> ItemsView[str, T]:
        return _Items(self)

    def values(self) -> ValuesView[T]:
        return _Values(self)


class _Items(ItemsView[str, T]):
    def __init__(self, mapping: Streamed[T]) -> None:
        super().__init__(mapping)
        self._streamed = mapping.streamed

    def __iter__(self) -> Iterator[tuple[str, T]]:
        return self._streamed()


class _Values(ValuesView[T]):
    def __init__(self, mapping: Streamed[T]) -> None:
        super().__init__(mapping)
        self._streamed = mapping.streamed

    def __iter__(self) -> Iterator[T]:
        return (value for _, value in self._streamed())
