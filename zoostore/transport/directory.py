"""A published directory on a disk."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from zoostore.digest import CHUNK
from zoostore.errors import TransferFailed
from zoostore.transport.base import NotThere
from zoostore.transport.wanted import Place


class DirectoryFiles:
    """The files below a directory."""

    needs_network = False

    def __init__(self, root: Path) -> None:
        self.root = root

    def close(self) -> None:
        """Nothing is kept open."""

    def place_of(self, path: str) -> Place | None:
        return None

    def has_folder(self, path: str) -> bool:
        return (self.root / path).is_dir()

    @property
    def address(self) -> str:
        return str(self.root)

    @property
    def url(self) -> str:
        return self.root.absolute().as_uri()

    @contextlib.contextmanager
    def stream(self, path: str) -> Iterator[Iterator[bytes]]:
        with self._open(path) as file:
            yield iter(lambda: file.read(CHUNK), b"")

    def read_range(self, path: str, offset: int, into: memoryview) -> int:
        with self._open(path) as file:
            file.seek(offset)
            return file.readinto(into)  # type: ignore[attr-defined, no-any-return]

    @contextlib.contextmanager
    def _open(self, path: str) -> Iterator[BinaryIO]:
        try:
            with open(self.root / path, "rb") as file:
                yield file
        except (FileNotFoundError, NotADirectoryError):
            raise NotThere(f"{self.root / path} does not exist.", url=path) from None
        except OSError as error:
            raise TransferFailed(
                f"{self.root / path} cannot be read: {error.strerror}.", url=path
            ) from error
