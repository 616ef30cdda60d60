"""Gathering the files of one model: only those that can stand in a snapshot together."""

from __future__ import annotations

from zoostore.caches.base import CachedFile
from zoostore.errors import UnsafePath
from zoostore.objects.paths import check_name, check_path, folded


class Gathered:
    """Files of a model, by path.

    Attributes:
        files: those that were added.
    """

    def __init__(self) -> None:
        self.files: dict[str, CachedFile] = {}
        self._names: dict[str, dict[str, str]] = {}

    def add(self, path: str, file: CachedFile) -> None:
        """Add a file; no folder of the same path was seen, as in every file system.

        Raises:
            UnsafePath: no snapshot can hold it, or none that holds the others too.
        """
        check_path(path)
        folder = ""
        for name in path.split("/"):
            check_beside(name, self._names.setdefault(folder, {}))
            folder += f"{name}/"
        self.files[path] = file


def check_beside(name: str, others: dict[str, str]) -> None:
    """Refuse a name that cannot stand in a snapshot, or not beside others in its folder.

    Args:
        others: by what they fold to; gets this one.

    Raises:
        UnsafePath: it is unsafe, or the twin of another.
    """
    check_name(name)
    twin = others.setdefault(folded(name), name)
    if twin != name:
        raise UnsafePath(
            f"The name {name!r} is the same as {twin!r}, which stands beside it, where "
            "case or Unicode form does not count.",
            name=name,
            twin=twin,
        )
