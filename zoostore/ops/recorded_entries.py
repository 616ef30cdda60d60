"""The entries of recorded paths: a listing of what a checkout is of."""

from collections.abc import Iterator, Mapping

from zoostore.objects.tree import Entry
from zoostore.ops.records import Tracked
from zoostore.streamed import Streamed


class Entries(Streamed[Entry]):
    """The entries of recorded paths.

    Args:
        left_out_only: of those alone that were left out.
    """

    def __init__(self, tracked: Mapping[str, Tracked], *, left_out_only: bool = False) -> None:
        self._tracked = tracked
        self._left_out_only = left_out_only

    def __getitem__(self, path: str) -> Entry:
        tracked = self._tracked[path]
        if not self._is_meant(tracked):
            raise KeyError(path)
        return tracked.entry

    def streamed(self) -> Iterator[tuple[str, Entry]]:
        for path, tracked in self._tracked.items():
            if self._is_meant(tracked):
                yield path, tracked.entry

    def _is_meant(self, tracked: Tracked) -> bool:
        return not (self._left_out_only and tracked.is_laid_out)
