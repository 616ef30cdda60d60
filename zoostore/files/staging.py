"""Staging: files are written aside, made durable, and only then given their name."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Self

from zoostore.files.sharing import make_folder, share
from zoostore.files.steady import create_steadily

READ_ONLY = 0o444

BESIDE = ".zoostore-"
"""Begins the names of the staging folders that are made among somebody's files."""

BEGUN = "begun"
"""An empty file in each staging folder: its time is when the work began."""

_PID_DIGITS = 9


def fsync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    if sys.platform == "win32":
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_durably(path: Path, data: bytes) -> None:
    """Give a file new content so that a reader, or a crash, sees the old or the new."""
    prefix = f".{path.name}."
    remove_abandoned(path.parent, prefix)
    staged = path.with_name(prefix + own_name())
    try:
        with open(staged, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        share(staged)
        os.replace(staged, path)
    except BaseException:
        staged.unlink(missing_ok=True)
        raise
    fsync_directory(path.parent)


class Staging:
    """One process's own folder for writes that are not yet published.

    Its name says whose it is, so that the folder of a process that was killed can
    be told from one in use, and is removed by the next that stages there.

    Args:
        root: where to make the folder.
        prefix: what its name begins with.

    Attributes:
        root: where it is made.
    """

    def __init__(self, root: Path, prefix: str = "") -> None:
        self.root = root
        self._prefix = prefix
        self._folder: Path | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def new_path(self) -> Path:
        """A path in the folder that nothing stands at."""
        return self._own_folder() / random_name(8)

    def unnamed_file(self) -> BinaryIO:
        """A new file, open for reading and writing, which is gone when it is closed."""
        path = self.new_path()
        file = open(path, "x+b")  # noqa: SIM115 -- whoever asked for it closes it
        if os.name != "nt":  # where a file that is open cannot be removed
            path.unlink()
        return file

    @contextlib.contextmanager
    def new_file(self) -> Iterator[tuple[BinaryIO, Path]]:
        """A new file, open for writing. On an error it is removed."""
        path = self.new_path()
        try:
            with create_steadily(path) as file:
                yield file, path
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    def close(self) -> None:
        """Remove the folder with what was not published."""
        if self._folder is not None:
            _remove_folder(self._folder)
            self._folder = None

    def _own_folder(self) -> Path:
        if self._folder is None:
            remove_abandoned(self.root, self._prefix)
            make_folder(self.root)
            self._folder = self.root / (self._prefix + own_name())
            self._folder.mkdir()
            share(self._folder)
            (self._folder / BEGUN).touch()
        return self._folder


def publish(
    file: BinaryIO, staged: Path, target: Path, *, keep_mode: bool = False
) -> os.stat_result:
    """Make a staged file durable and read-only, and give it its name.

    The caller makes the name itself durable, with `fsync_directory`, once for all
    that it publishes in a directory.

    Args:
        keep_mode: leave its permissions, for they belong to another's file too.
    """
    status = make_durable(file, keep_mode=keep_mode)
    os.replace(staged, target)
    return status


def make_durable(file: BinaryIO, *, keep_mode: bool = False) -> os.stat_result:
    """The half of `publish` that comes before the name."""
    file.flush()
    if hasattr(os, "fchmod") and not keep_mode:
        os.fchmod(file.fileno(), READ_ONLY)
    os.fsync(file.fileno())
    return os.fstat(file.fileno())


def remove_abandoned(root: Path, prefix: str = "") -> None:
    """Remove what processes of this machine that are gone have staged: their folders and files."""
    if not root.is_dir():
        return
    for path in root.iterdir():
        owner, _, pid = path.name.rpartition(".")[0].rpartition(".")
        if owner.startswith(prefix) and owner_is_gone(owner.removeprefix(prefix), pid):
            _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        _remove_folder(path)
    else:
        with contextlib.suppress(OSError):  # another was faster, or it stays
            path.unlink()


def _remove_folder(path: Path) -> None:
    try:
        (path / BEGUN).unlink(missing_ok=True)
        path.rmdir()
    except OSError:
        # Imported here: mostly all that was staged has been published, and this takes
        # milliseconds to import.
        import shutil

        shutil.rmtree(path, ignore_errors=True)


def own_name() -> str:
    """A name for what this process stages, that nothing has, and that says whose it is."""
    return f"{host_name()}.{os.getpid()}.{random_name(4)}"


def owner_is_gone(host: str, pid: str) -> bool:
    """Whether what a process wrote its machine's name and its id on has lost its owner."""
    is_pid = pid.isascii() and pid.isdigit() and len(pid) <= _PID_DIGITS
    return is_pid and host == host_name() and not process_is_alive(int(pid))


def process_is_alive(pid: int) -> bool:
    """Whether a process of this machine has this id."""
    if sys.platform == "win32":  # signal 0 would end the process there
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def host_name() -> str:
    """What this machine calls itself; fit to stand in a file name."""
    name = os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")
    return name.replace("/", "_") or "localhost"


def random_name(length: int) -> str:
    """`length` random bytes as hex digits. (The `secrets` module takes milliseconds to import.)"""
    return os.urandom(length).hex()
