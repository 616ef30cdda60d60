"""Open folders: what was found in them, until the content of every file in them is known."""

from typing import NamedTuple

from zoostore.digest import Oid
from zoostore.files.scan import Found, FoundFolder
from zoostore.objects.tree import Kind, link_entry
from zoostore.ops.records import Records, laid_out, row_of


class _Open(NamedTuple):
    """A folder of which some files are not known.

    Attributes:
        names: of the files and links in it.
        rows: their records; those of files that are not known lack the oid.
        targets: of the links.
        unknown: the names of those files, each with its place among all.
    """

    names: list[str]
    rows: list[bytes]
    targets: list[str]
    unknown: dict[str, int]


class OpenFolders:
    """Records folders, each when all is known of what it holds: so few are in memory.

    Attributes:
        files, size: how many files and links there are, and their size in bytes.
    """

    def __init__(self, records: Records) -> None:
        self._records = records
        self._open: dict[str, _Open] = {}
        self.files = self.size = 0

    def see(self, folder: FoundFolder, known: dict[str, Oid]) -> list[Found]:
        """Take note of a folder that was found; its files that are not known.

        Args:
            known: the oids of those that are, by path.
        """
        prefix, found, _, itself = folder
        if itself is not None:
            self._records.add_empty(prefix)
        seen = _Open([], [], [], {})
        begin = len(prefix)
        unknown: list[Found] = []
        for item in found:
            name = item.path[begin:]
            size = item.stamp.size
            if item.kind is Kind.LINK:
                entry = link_entry(item.target)
                size = entry.size
                seen.rows.append(row_of(laid_out(entry, item.lasting_stamp)))
                seen.targets.append(item.target)
            else:
                assert item.kind is not None  # what has none was refused
                oid = known.get(item.path)
                if oid is None:
                    seen.unknown[name] = len(seen.rows)
                    unknown.append(item)
                row = bytes((item.kind, True)) + item.lasting_stamp
                seen.rows.append(row if oid is None else row + oid)
            seen.names.append(name)
            self.size += size
        self.files += len(found)
        if unknown:
            self._open[prefix] = seen
        elif found:
            self._close(prefix, seen)
        return unknown

    def know(self, path: str, oid: Oid) -> None:
        """Learn what is in a file that was not known."""
        begin = path.rfind("/") + 1
        prefix = path[:begin]
        seen = self._open[prefix]
        seen.rows[seen.unknown.pop(path[begin:])] += oid
        if not seen.unknown:
            del self._open[prefix]
            self._close(prefix, seen)

    def _close(self, prefix: str, seen: _Open) -> None:
        self._records.add(prefix, seen.names, b"".join(seen.rows), seen.targets)
