"""restic."""

from __future__ import annotations

from pathlib import Path

from benchmarks.measuring import Command, run
from benchmarks.tools.base import Tool


class Restic(Tool):
    """restic as it comes. It always encrypts, and compresses since 0.14."""

    name = "restic"
    program = "restic"
    version_argument = "version"
    durability = "itself: each of its pack files"
    skips = {"status": "it knows of no checkouts"}  # noqa: RUF012

    def make(self, place: Path, source: Path) -> None:
        run(_restic(place, "init"))

    def add(self, place: Path, source: Path) -> Command:
        return _restic(place, "backup", str(source))

    def checkout(self, place: Path, target: Path) -> Command:
        return _restic(place, "restore", "latest", "--target", str(target))

    def laid_out(self, place: Path, source: Path, target: Path) -> Path:
        return target / source.relative_to("/")

    def verify(self, place: Path) -> Command:
        return _restic(place, "check", "--read-data")

    def listing(self, place: Path) -> Command:
        return _restic(place, "snapshots")


def _restic(place: Path, *arguments: str) -> Command:
    repository = str(place / "repository")
    own = {"RESTIC_PASSWORD": "bench", "RESTIC_CACHE_DIR": str(place / "restic-cache")}
    return Command(["restic", "-q", "-r", repository, *arguments], env=own)
