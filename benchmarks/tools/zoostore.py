"""zoostore itself: the command line that is installed beside this Python."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.measuring import Command
from benchmarks.tools.base import Tool

STUB = "zoo:bench"


def zoostore(store: Path, *arguments: str) -> Command:
    """A command of zoostore's on a store."""
    program = str(Path(sys.executable).with_name("zoostore"))
    return Command([program, *arguments], env={"ZOOSTORE_HOME": str(store)})


class Zoostore(Tool):
    """zoostore, checking out in one link mode."""

    durability = "itself: every object, pack and folder, and the line in the reflog"

    def __init__(self, link: str) -> None:
        self.name = f"zoostore ({link})"
        self.program = str(Path(sys.executable).with_name("zoostore"))
        self._link = link

    def add(self, place: Path, source: Path) -> Command:
        return zoostore(place, "add", str(source), STUB)

    def adopt(self, place: Path, source: Path) -> Command:
        return zoostore(place, "adopt", str(source), "--as", STUB)

    def checkout(self, place: Path, target: Path) -> Command:
        return zoostore(place, "checkout", STUB, str(target), "--link", self._link)

    def status(self, place: Path, laid_out: Path) -> Command:
        return zoostore(place, "status", str(laid_out), "--exit-code")

    def verify(self, place: Path) -> Command:
        return zoostore(place, "verify")

    def listing(self, place: Path) -> Command:
        return zoostore(place, "ls")
