"""What comes with the system: cp, b3sum, find, Python itself. They bound what can be reached."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from pathlib import Path

from benchmarks.measuring import Command
from benchmarks.tools.base import Tool

_SOURCE = "source"
_LIST = "files"
_HASH = 'xargs -0 b3sum < "$0/files" > "$0/sums"'
_HASH_AND_COPY = f'{_HASH} && xargs -0 cp --parents -t "$0/copy" < "$0/files" && sync -f "$0"'


class Cp(Tool):
    """cp with one set of options, in place of a checkout."""

    program = "cp"
    durability = "nothing: no checkout is synced"

    def __init__(self, *options: str) -> None:
        self.name = f"cp {' '.join(options)}"
        self._options = options

    def make(self, place: Path, source: Path) -> None:
        (place / _SOURCE).symlink_to(source)

    def checkout(self, place: Path, target: Path) -> Command:
        return Command(["cp", *self._options, f"{place / _SOURCE}/.", str(target)])


class B3sum(Tool):
    """b3sum over the files of a source.

    Args:
        unique: whether over each content once.
        copies: whether those files are then copied and synced: the least that an `add` must do.
    """

    program = "b3sum"

    def __init__(self, *, unique: bool, copies: bool = False) -> None:
        self.name = "b3sum" + " + cp + sync" * copies + " (unique)" * unique
        self.durability = "sync" if copies else "nothing: it only reads"
        self._unique = unique
        self._program = _HASH_AND_COPY if copies else _HASH

    def make(self, place: Path, source: Path) -> None:
        (place / _SOURCE).symlink_to(source)
        (place / "copy").mkdir()
        paths = sorted(path for path in source.rglob("*") if path.is_file())
        if self._unique:
            paths = list({_digest(path): path for path in paths}.values())
        names = (os.fsencode(path.relative_to(source)) for path in paths)
        (place / _LIST).write_bytes(b"".join(name + b"\0" for name in names))

    def add(self, place: Path, source: Path) -> Command:
        return Command(["sh", "-c", self._program, str(place)], source)

    def adopt(self, place: Path, source: Path) -> Command:
        return self.add(place, source)

    def verify(self, place: Path) -> Command:
        return self.add(place, place / _SOURCE)


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Find(Tool):
    """find, looking at the stamp of every file of the source."""

    name = "find (stat walk)"
    program = "find"
    durability = "nothing: it only reads"

    def laid_out(self, place: Path, source: Path, target: Path) -> Path:
        return source

    def status(self, place: Path, laid_out: Path) -> Command:
        return Command(["find", str(laid_out), "-newer", str(laid_out), "-size", "+1G"])


class Python(Tool):
    """Python starting, with modules to import: no program in Python is faster."""

    program = sys.executable
    durability = "nothing: it only starts"

    def __init__(self, name: str, modules: str) -> None:
        self.name = name
        self._command = Command([sys.executable, "-c", f"import {modules}"])

    def version(self) -> str:
        return platform.python_version()

    def start(self) -> Command:
        return self._command

    def add_again(self, place: Path, source: Path) -> Command:
        return self._command

    def status(self, place: Path, laid_out: Path) -> Command:
        return self._command

    def listing(self, place: Path) -> Command:
        return self._command
