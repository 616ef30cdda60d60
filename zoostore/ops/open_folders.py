"""Open folders: what is in them, until it is known what is to be recorded of every file."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING

from zoostore.objects.paths import parted
from zoostore.objects.tree import Entry, Kind
from zoostore.ops.records import Records, Tracked, left_out, row_of

if TYPE_CHECKING:
    from zoostore.files.globs import Selector


class _Open:
    """A folder of which something is not known.

    Attributes:
        names: of the files and links in it, sorted.
        numbers: of those that are not known, by name.
        rows: their records, as far as they are known.
        targets: of the links, by number.
    """

    def __init__(self, names: list[str]) -> None:
        self.names = names
        self.numbers = {name: number for number, name in enumerate(names)}
        self.rows = [b""] * len(names)
        self.targets: dict[int, str] = {}


class OpenFolders:
    """Records folders, each when all is known of what it holds: so few are in memory."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._open: dict[str, _Open] = {}

    def open(self, prefix: str, names: list[str]) -> None:
        """Have the files and links of a folder come, whose names are sorted."""
        self._open[prefix] = _Open(names)

    def know(self, path: str, row: bytes, target: str = "") -> None:
        """Learn what is to be recorded of a path, and of a link its target."""
        prefix, name = parted(path)
        folder = self._open[prefix]
        number = folder.numbers.pop(name)
        folder.rows[number] = row
        if target:
            folder.targets[number] = target
        if not folder.numbers:
            del self._open[prefix]
            targets = [folder.targets[number] for number in sorted(folder.targets)]
            self._records.add(prefix, folder.names, b"".join(folder.rows), targets)

    def see_all(
        self, entries: Iterable[tuple[str, Entry]], is_chosen: "Selector"
    ) -> Iterator[tuple[str, Entry]]:
        """Open the folders of a listing, one after the other; what is to be known of them.

        What is not chosen is known: it was left out. Folders that hold nothing are, too.
        """
        for prefix, some in groupby(entries, lambda item: parted(item[0])[0]):
            items = list(some)
            names = [
                path[len(prefix) :] for path, entry in items if entry.kind is not Kind.DIRECTORY
            ]
            if names:
                self.open(prefix, sorted(names))
            for path, entry in items:
                chosen = is_chosen(path, entry.kind)
                if entry.kind is Kind.DIRECTORY:
                    self._records.add_empty(path + "/", is_laid_out=chosen)
                elif not chosen:
                    self.learn(path, left_out(entry))
                if chosen:
                    yield path, entry

    def learn(self, path: str, tracked: Tracked) -> None:
        """The same as `know`; folders that hold nothing are passed over."""
        if tracked.entry.kind is not Kind.DIRECTORY:
            self.know(path, row_of(tracked), tracked.entry.target)
