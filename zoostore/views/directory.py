"""Directory: a folder of a model, or an archive that stands for one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from zoostore.digest import Oid
from zoostore.errors import LocalChanges, UnknownPath, UsageError
from zoostore.files.archive import pack
from zoostore.files.disk import errors_named
from zoostore.roles import ARCHIVE
from zoostore.views.file import File, copy_whole
from zoostore.views.trees import LocalTree
from zoostore.views.unpacking import members_of

_SHOWN = 10


class Directory(File):
    """A folder of a model. What is kept as `NAME.tar.gz` reads as the folder it holds.

    A directory is a `File` that has files: `for file in directory`, `len(directory)`,
    `directory["name"]`, `"name" in directory`.

    Args:
        name: what it is called.
        files: what it holds; None: what is found in it.
        path: where it is.
        url: where it was fetched from, if that is known.
        parent_directory: the folder it is in, if `path` does not say.
        force: unpack it at once, if it is an archive.
    """

    _files: list[File] | None = None
    _is_packed = False
    """Whether it was just made an archive, and stands for that until it is unpacked."""

    def __init__(
        self,
        name: str,
        files: Sequence[File] | None = None,
        path: str | os.PathLike[str] | None = None,
        url: str | None = None,
        parent_directory: str | os.PathLike[str] | None = None,
        force: bool = False,
    ) -> None:
        super().__init__(name, path, url, parent_directory)
        self._files = [_as_directory(file) for file in files] if files else None
        if force and self.is_archive:
            self.unzip(force=True)

    @classmethod
    def from_file(cls, file: File) -> Self:
        """The directory that a `File` is, if its path is a folder's."""
        if not os.path.isdir(file.path):
            raise UsageError(f"{file.path} is no directory.", path=file.path)
        return cls(file.name, path=file.path)

    @property
    def is_archive(self) -> bool:
        """Whether it is kept as an archive."""
        return self._files is None and self._at.endswith(ARCHIVE)

    def _key(self) -> tuple[object, ...]:
        own = None if self._files is None else tuple(file._key() for file in self._files)
        return (*super()._key(), own)

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder, and not an archive."""
        return not self.is_archive

    @property
    def files(self) -> list[File]:
        """What it holds: each a `File`, or a `Directory` for a folder. An archive is fetched."""
        if self._is_packed:
            return []
        if self._files is not None:
            return self._files
        if self.is_archive:
            return self._open().files
        prefix = self._at + "/" if self._at else ""
        return [
            (Directory if is_folder else File)._in(self._tree, prefix + name)
            for name, is_folder in self._tree.children(self._at)
        ]

    @property
    def path(self) -> str:
        """Where it is on this machine, after all it holds was fetched and laid out.

        For an archive, where it is unpacked: beside it. Raises what `File.path` raises.
        """
        return str(self._lay())

    def _lay(self) -> Path:
        """Have all it holds laid out; the folder."""
        if self._files is not None:
            for file in self._files:
                _ = file.path
        elif self.is_archive and not self._is_packed:
            return self._open()._tree.root
        else:
            self._tree.lay([self._at])
        return self._tree.root / self._at

    @property
    def url(self) -> str | None:
        """Where its archive can be fetched; None for a folder, whose files have their own."""
        return super().url if self.is_archive else self._url

    @property
    def size(self) -> int:
        """The size of all it holds, or of its archive, in bytes. Nothing is fetched to know it."""
        if self._files is not None:
            return sum(file.size for file in self._files)
        return self._tree.size(self._at)

    @property
    def oid(self) -> Oid:
        """Of an archive's content. Raises `UnknownPath` for a folder: its files have their own."""
        if not self.is_archive:
            raise UnknownPath(f"{self.name} is a folder; only files have ids.", path=self._at)
        return super().oid

    @property
    def is_here(self) -> bool:
        """Whether all it holds can be read without fetching anything."""
        if self.is_archive:
            return super().is_here
        return all(file.is_here for file in self.files)

    def get_file_names(self) -> list[str]:
        """The names of what it holds."""
        if self._is_packed:
            archive = self._tree.root / self._at
            return list(dict.fromkeys(item.path.split("/")[0] for item in members_of(archive)))
        return [file.name for file in self.files]

    def get_file(self, file_name: str) -> File | None:
        """The first file of a name in it or in the folders below it; None if there is none."""
        files = self.files
        for file in files:
            if file.name == file_name:
                return file
        for file in files:
            found = file.get_file(file_name) if isinstance(file, Directory) else None
            if found is not None:
                return found
        return None

    def __getitem__(self, name: str) -> File:
        """The file of a name, or of a path below this folder. Raises `UnknownPath`."""
        first, _, rest = name.partition("/")
        for file in self.files:
            if file.name == first:
                if rest and isinstance(file, Directory):
                    return file[rest]
                if not rest:
                    return file
        raise UnknownPath(f"{self.name} has no file {name!r}.", path=name)

    def __contains__(self, item: object) -> bool:
        files = self.files
        return any(item in (file, file.name) for file in files)

    def __iter__(self) -> Iterator[File]:
        return iter(self.files)

    def __len__(self) -> int:
        return len(self.files)

    def __bool__(self) -> bool:  # asking whether there is one must not fetch an archive
        return True

    def _copy_to(self, folder: Path, *, overwrite: bool) -> None:
        self._copy_into(folder / self.name.removesuffix(ARCHIVE), overwrite=overwrite)

    def _copy_into(self, target: Path, *, overwrite: bool) -> None:
        """Copy what it holds into a folder; all that can stand in the way is looked at first."""
        names = [name for name, _ in all_files(self)]
        source = self._lay()
        found = [name for name in names if os.path.lexists(target / name)]
        if found and not overwrite:
            raise LocalChanges(
                f"{target} holds {', '.join(found[:_SHOWN])} already; nothing was changed.",
                path=str(target),
                paths=found,
            )
        with errors_named():
            for name in names:
                if (source / name).is_dir():  # a link to a folder
                    shutil.copytree(source / name, target / name, dirs_exist_ok=True)
                elif (source / name).exists():
                    copy_whole(source / name, target / name)

    def validate(self, strict_mode: bool = True) -> bool:
        """Whether every file in it can be loaded as what its name says. See `File.validate`."""
        return all(file.validate(strict_mode) for file in self.files)

    def gzip(self, archive_directory: str | os.PathLike[str] | None = None) -> None:
        """Make `NAME.tar.gz` of it, and stand for that from now on.

        Args:
            archive_directory: where to put it; None: beside the folder.

        Raises:
            UsageError: it is an archive already; or it is part of a snapshot, and where to put
                the archive was not said.
        """
        if self.is_archive:
            raise UsageError(f"{self.name} is an archive already.")
        if archive_directory is None and not isinstance(self._tree, LocalTree):
            raise UsageError(
                f"{self.name} is part of a snapshot, which does not change: say archive_directory."
            )
        folder = Path(archive_directory or self.parent_directory)
        with errors_named():
            folder.mkdir(parents=True, exist_ok=True)
            members = [(name, file.own_path()) for name, file in all_files(self)]
            pack(members, folder / (self.name + ARCHIVE), top=self.name)
        self._become(folder / (self.name + ARCHIVE), None)
        self._is_packed = True

    def unzip(
        self, extract_directory: str | os.PathLike[str] | None = None, force: bool = False
    ) -> None:
        """Unpack an archive, and stand for the folder from now on.

        Args:
            extract_directory: where to make the folder; None: beside the archive.
            force: taken for SparseZoo's sake: what is there is looked at, whatever it says.

        Raises:
            UsageError: it is no archive.
            UnsafeArchive: it holds what could be written outside its folder, or too much.
            LocalChanges: other files stand where its files go.
        """
        if not self.is_archive:
            raise UsageError(f"{self.name} is no archive.")
        archive = self.own_path()
        parent = Path(extract_directory) if extract_directory is not None else archive.parent
        folder = parent / self.name.removesuffix(ARCHIVE)
        self._tree.unpack(self._at, folder)
        names = dict.fromkeys(item.path.split("/")[0] for item in members_of(archive))
        self._is_packed = False
        self._become(folder, [_as_directory(File(name, folder / name)) for name in names])

    def _become(self, path: Path, files: list[File] | None) -> None:
        self.name = path.name
        self._tree, self._at = LocalTree(path.parent), path.name
        self._files, self._url = files, None

    def _open(self) -> Directory:
        """The folder that an archive is unpacked to."""
        archive = self._tree.root / self._at
        folder = archive.with_name(archive.name.removesuffix(ARCHIVE))
        is_local = isinstance(self._tree, LocalTree)
        if is_local and folder.is_dir() and not archive.exists():
            return Directory._in(LocalTree(folder), "")  # it was unpacked, and then removed
        self._tree.lay([self._at])
        self._tree.unpack(self._at, folder)
        return Directory._in(LocalTree(folder), "")

    def _repr_html_(self) -> str:
        from zoostore.views.notebook import directory_html

        return directory_html(self)

    def __repr__(self) -> str:
        return f"Directory(name={self.name})"


def is_directory(file: Any) -> bool:
    """Whether a view is of a folder."""
    if not isinstance(file, File):
        return False
    return isinstance(file, Directory) or os.path.isdir(Path(file.parent_directory, file.name))


def _as_directory(file: File) -> File:
    if isinstance(file, Directory) or not is_directory(file):
        return file
    return Directory.from_file(file)


def all_files(directory: Directory, prefix: str = "") -> Iterator[tuple[str, File]]:
    """Every file in a directory and the folders below it, with its path from there."""
    for file in directory.files:
        if isinstance(file, Directory) and not file.is_archive:
            yield from all_files(file, f"{prefix}{file.name}/")
        else:
            yield prefix + file.name, file
