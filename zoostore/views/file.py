"""File: one file of a model."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, Self

from zoostore.digest import Oid
from zoostore.errors import LocalChanges, UsageError
from zoostore.files.disk import errors_named
from zoostore.files.staging import Staging
from zoostore.views.trees import LocalTree, Tree


class File:
    """A file of a model.

    Files are found in a `Model`; one on a disk can also be named by hand.

    Args:
        name: what it is called.
        path: where it is.
        url: where it was fetched from, if that is known.
        parent_directory: the folder it is in, if `path` does not say.

    Attributes:
        name: its name, without the folders it is in.
    """

    name: str
    _tree: Tree
    _at: str

    def __init__(
        self,
        name: str,
        path: str | os.PathLike[str] | None = None,
        url: str | None = None,
        parent_directory: str | os.PathLike[str] | None = None,
    ) -> None:
        if path is None and parent_directory is None:
            raise UsageError(f"Where {name!r} is was not said: neither path nor parent_directory.")
        where = Path(path) if path is not None else Path(parent_directory or ".", name)
        self.name = name
        self._tree = LocalTree(where.parent)
        self._at = where.name
        self._url = url

    @classmethod
    def _in(cls, tree: Tree, at: str, **own: Any) -> Self:
        """The view of a path of a tree; `own` are further attributes."""
        view = cls.__new__(cls)
        view._tree, view._at, view._url = tree, at, None
        view.name = at.rpartition("/")[2]
        vars(view).update(own)
        return view

    @property
    def path(self) -> str:
        """Where it is on this machine. It is fetched and laid out first if it has to be.

        Raises:
            NeededNetwork: offline, and it is not here.
            LocalChanges: another file stands where it goes.
        """
        return str(self.own_path())

    def own_path(self) -> Path:
        """Where it is itself, laid out; of an archive, not what it holds."""
        self._tree.lay([self._at])
        return self._tree.root / self._at

    @property
    def url(self) -> str | None:
        """Where it can be fetched; None if no remote that can be asked has it.

        A small file of a published zoo stands in a pack with others: then this is the pack's
        address, with the file's id behind a `#`.
        """
        return self._url or self._tree.url(self._at)

    @property
    def parent_directory(self) -> str:
        """The folder it is in, or will be in when `path` is asked for."""
        return str((self._tree.root / self._at).parent)

    @property
    def size(self) -> int:
        """Its size in bytes. Nothing is fetched to know it."""
        return self._tree.size(self._at)

    @property
    def oid(self) -> Oid:
        """The BLAKE3 hash of its content, as `b3sum` prints it."""
        return self._tree.oid(self._at)

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder, and not a file or an archive."""
        return False

    @property
    def is_archive(self) -> bool:
        """Whether it is kept in an archive that stands for it."""
        return False

    @property
    def is_here(self) -> bool:
        """Whether it can be read without fetching anything."""
        return self._tree.is_here(self._at)

    def open(self) -> BinaryIO:
        """Its content as a binary file. It is fetched if it has to be, and not laid out.

        Raises:
            NeededNetwork: offline, and it is not here.
            DamagedContent: it is not what its id says, and no source has it.
        """
        return self._tree.open(self._at)

    def download(
        self,
        destination_path: str | os.PathLike[str] | None = None,
        overwrite: bool = True,
        retries: int = 1,
        retry_sleep_sec: int = 5,
    ) -> bool:
        """Have it on this machine; True.

        Args:
            destination_path: a folder to put a copy in; None: where `path` says.
            overwrite: whether a file of its name there may be replaced.
            retries, retry_sleep_sec: taken for SparseZoo's sake. Transfers that fail for a
                moment are always tried again.

        Raises: what `path` raises.
        """
        if destination_path is None:
            _ = self.path
        else:
            self._copy_to(Path(destination_path), overwrite=overwrite)
        return True

    def _copy_to(self, folder: Path, *, overwrite: bool) -> None:
        target = folder / self.name
        if target.exists() and not overwrite:
            raise LocalChanges(
                f"{target} is there already; nothing was changed.",
                path=str(folder),
                paths=[self.name],
            )
        with errors_named():
            copy_whole(self.own_path(), target)

    def validate(self, strict_mode: bool = True) -> bool:
        """Whether it can be loaded as what its name says it is.

        Args:
            strict_mode: raise `MalformedObject`, instead of saying False, if it cannot.

        Raises:
            MissingExtra: `.onnx` and `.npz` files need `zoostore[onnx]`.
        """
        from zoostore.views.validation import is_loadable

        return is_loadable(self.path, self.name, strict=strict_mode)

    @classmethod
    def from_dict(
        cls, file: Mapping[str, Any], parent_directory: str | os.PathLike[str] | None = None
    ) -> Self:
        """A file from SparseZoo's description of one: `display_name`, `path` and `url`."""
        return cls(file["display_name"], file.get("path"), file.get("url"), parent_directory)

    def _key(self) -> tuple[object, ...]:
        return (self.name, self._tree.root, self._at)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, File) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash((self.name, self._tree.root, self._at))

    def __repr__(self) -> str:
        return f"File(name={self.name})"


def copy_whole(source: Path, target: Path) -> None:
    """Copy a file so that the copy appears whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = Staging(target.parent, prefix=".zoostore-")
    try:
        staged = staging.new_path()
        shutil.copyfile(source, staged)
        os.replace(staged, target)
    finally:
        staging.close()
