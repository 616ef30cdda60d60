"""ostree, whose checkouts are hard links or copies."""

from __future__ import annotations

from pathlib import Path

from benchmarks.measuring import Command, run
from benchmarks.tools.base import Tool

_BRANCH = "bench"


class Ostree(Tool):
    """ostree with a repository of the mode bare-user.

    Args:
        links: whether it checks out by hard link.
    """

    program = "ostree"
    durability = "itself: every object (core.fsync is true as it comes)"
    skips = {"status": "it knows of no checkouts"}  # noqa: RUF012

    def __init__(self, *, links: bool) -> None:
        self.name = f"ostree ({'hardlink' if links else 'copy'})"
        self._how = "--require-hardlinks" if links else "--force-copy"

    def make(self, place: Path, source: Path) -> None:
        run(_ostree(place, "init", "--mode=bare-user"))

    def add(self, place: Path, source: Path) -> Command:
        return _ostree(place, "commit", "-b", _BRANCH, "-s", "x", f"--tree=dir={source}")

    def checkout(self, place: Path, target: Path) -> Command:
        return _ostree(place, "checkout", "-U", self._how, _BRANCH, str(target))

    def verify(self, place: Path) -> Command:
        return _ostree(place, "fsck", "-q")

    def listing(self, place: Path) -> Command:
        return _ostree(place, "refs")


def _ostree(place: Path, *arguments: str) -> Command:
    return Command(["ostree", f"--repo={place}", *arguments])
