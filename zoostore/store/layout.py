"""Where a store keeps what, and which format it has."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

from zoostore.digest import Oid
from zoostore.errors import NewerFormat, NoStore, ReadOnlyStore, UsageError
from zoostore.files.sharing import make_folder
from zoostore.files.staging import fsync_directory, replace_durably

FORMAT = 1
_FORMAT_LINE = "zoostore {}\n"
_OBJECTS = "objects"
_FOLDERS = (_OBJECTS, "packs", "index", "checkouts", "tmp", "quarantine")
_NAMES = frozenset(["format", "config.toml", "reflog", *_FOLDERS])


def is_store(path: Path) -> bool:
    """Whether there is a store at a path, of whatever format, as far as can be seen."""
    return os.path.isfile(Layout(path).format)


def is_object_path(path: str) -> bool:
    """Whether a path is that of a loose object, of this store or of another."""
    folder, first, rest = ("", "", "", *Path(path).parts)[-3:]
    try:
        Oid.parse(first + rest)
    except UsageError:
        return False
    return os.path.isabs(path) and folder == _OBJECTS and len(first) == 2


class Layout:
    """The paths of a store.

    Args:
        root: the store's folder.
        index: where the index is, if not in the store.
    """

    def __init__(self, root: Path, index: Path | None = None) -> None:
        self.root = root
        self.format = root / "format"
        self.config = root / "config.toml"
        self.objects = root / _OBJECTS
        self._objects = os.fspath(self.objects)
        self.packs = root / "packs"
        self.reflog = root / "reflog"
        self.index = index or root / "index"
        self.tmp = root / "tmp"
        self.downloads = self.tmp / "downloads"
        self.quarantine = root / "quarantine"
        self.checkouts = root / "checkouts"

    def loose(self, oid: Oid) -> Path:
        """Where the object is, if it is loose."""
        digits = oid.hex()
        return self.objects / digits[:2] / digits[2:]

    def has_loose(self, oid: Oid) -> bool:
        """Whether there is a loose object of this oid; asked very often."""
        digits = oid.hex()
        return os.path.exists(f"{self._objects}/{digits[:2]}/{digits[2:]}")

    def pack(self, name: Oid) -> Path:
        """Where the pack of this name is."""
        return self.packs / f"{name.hex()}.zpack"

    def checkout(self, snapshot: Oid) -> Path:
        """The store's own place for the files of a snapshot."""
        return self.checkouts / str(snapshot)

    def laid(self, snapshot: Oid) -> Path:
        """The folder that says what of a snapshot was laid out at `checkout`."""
        return self.checkouts / ".laid" / str(snapshot)

    def require_not_within(self, directory: Path) -> None:
        """Refuse a directory to be read that holds the store. Raises `UsageError`."""
        if self.root.resolve().is_relative_to(directory.resolve()):
            raise UsageError(
                f"{directory} holds the store {self.root} itself; nothing was done.",
                path=str(directory),
            )

    def require_apart(self, directory: Path) -> None:
        """Refuse a directory to be written to that holds the store, or is in it.

        Raises:
            UsageError: it does, or is, and is not among the store's own checkouts.
        """
        self.require_not_within(directory)
        root, other = self.root.resolve(), directory.resolve()
        if other.is_relative_to(root) and not other.is_relative_to(self.checkouts.resolve()):
            raise UsageError(
                f"{directory} is within the store {self.root}; nothing was done.",
                path=str(directory),
            )

    def exists(self) -> bool:
        """Whether there is a store here that this release can use.

        Raises:
            NewerFormat: a later release made it.
            NoStore: the `format` file is there, but says something else.
        """
        try:
            line = self.format.read_text("utf-8")
        except (FileNotFoundError, NotADirectoryError):
            return False
        except UnicodeDecodeError:
            line = "(not text)"
        word, _, number = line.strip().partition(" ")
        if word != "zoostore" or not (number.isascii() and number.isdigit()):
            raise NoStore(
                f"{self.root} is not a store: its format file says {line[:40]!r}.",
                path=str(self.root),
            )
        if int(number) != FORMAT:
            raise NewerFormat(
                f"The store {self.root} has format {number}, and this zoostore knows format "
                f"{FORMAT}; nothing was read or changed.",
                path=str(self.root),
                found=int(number),
                known=FORMAT,
            )
        return True

    def create(self) -> None:
        """Make a store here, or finish one whose making was cut off.

        Raises:
            NoStore: something else is here already.
            ReadOnlyStore: the folder cannot be written to.
        """
        try:
            self._check_free()
            above = _folders_to_change(self.root)
            for folder in (self.root, self.objects, self.packs, self.tmp):
                make_folder(folder)
            for folder in above:
                with contextlib.suppress(PermissionError):  # it is another's, and was there
                    fsync_directory(folder)
            # The format file comes last: where it stands, the rest does too.
            replace_durably(self.format, _FORMAT_LINE.format(FORMAT).encode())
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
                raise ReadOnlyStore(
                    f"No store can be made at {self.root}: {error.strerror}.", path=str(self.root)
                ) from error
            raise

    def _check_free(self) -> None:
        if self.root.exists() and not self.root.is_dir():
            raise NoStore(f"{self.root} is a file, not a store.", path=str(self.root))
        strange = set(os.listdir(self.root)) - _NAMES if self.root.exists() else set()
        strange = {name for name in strange if not name.startswith(".format.")}
        if strange:
            raise NoStore(
                f"{self.root} is not a store, and holds other things ({min(strange)!r}); "
                "nothing was changed.",
                path=str(self.root),
            )


def _folders_to_change(path: Path) -> list[Path]:
    """The folders in which a name is about to come, or came and need not be durable yet."""
    above = [path.absolute().parent]
    while not above[-1].exists():
        above.append(above[-1].parent)
    return above
