"""What downloads one file from a web server."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.measuring import Command
from benchmarks.tools.base import Tool, then_sync


class Downloader(Tool):
    """A program that is given options, a file's name and an address.

    Args:
        options: those before the file's name.
    """

    durability = "sync"

    def __init__(self, name: str, *options: str) -> None:
        self.name = name
        self.program, *_ = name.split()
        self._options: Sequence[str] = options

    def fetch(self, url: str, folder: Path, name: str) -> Command:
        """Download a file, durably, to a folder that is there."""
        return then_sync(Command([self.program, *self._options, name, url], folder), folder)
