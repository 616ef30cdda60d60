"""casync."""

from __future__ import annotations

from pathlib import Path

from benchmarks.measuring import Command
from benchmarks.tools.base import Tool, then_sync


class Casync(Tool):
    """casync as it comes: chunks where the content says, compressed with zstd or xz."""

    name = "casync"
    program = "casync"
    durability = "sync, for it does not fsync"
    skips = {  # noqa: RUF012
        "verify": "it has no verb that hashes its chunks again",
        "status": "it knows of no checkouts",
    }

    def add(self, place: Path, source: Path) -> Command:
        made = _casync(place, "make", "--with=unix", str(place / "x.caidx"), str(source))
        return then_sync(made, place)

    def checkout(self, place: Path, target: Path) -> Command:
        return _casync(place, "extract", "--with=unix", str(place / "x.caidx"), str(target))

    def listing(self, place: Path) -> Command:
        return _casync(place, "list", str(place / "x.caidx"))


def _casync(place: Path, verb: str, *arguments: str) -> Command:
    return Command(["casync", verb, f"--store={place / 'chunks'}", *arguments])
