"""DVC, with files copied from its cache or hard-linked to it."""

from __future__ import annotations

from pathlib import Path

from benchmarks.measuring import Command, run
from benchmarks.tools.base import Tool, then_sync

_DATA = "data"


class Dvc(Tool):
    """DVC without Git. It takes in only what is within its folder, so the source is copied there.

    Args:
        link: `copy` or `hardlink`: how files get from its cache to the folder.
    """

    program = "dvc"
    durability = "sync, for it does not fsync"
    skips = {"verify": "it has no verb that hashes its cache again"}  # noqa: RUF012

    def __init__(self, link: str) -> None:
        self.name = f"DVC ({link})"
        self._link = link

    def make(self, place: Path, source: Path) -> None:
        run(_dvc(place, "init", "-q", "--no-scm"))
        run(_dvc(place, "config", "core.analytics", "false"))
        run(_dvc(place, "config", "cache.type", self._link))
        run(Command(["cp", "-a", str(source), str(place / _DATA)]))

    def add(self, place: Path, source: Path) -> Command:
        return then_sync(_dvc(place, "add", "-q", _DATA), place)

    def adopt(self, place: Path, source: Path) -> Command | None:
        return self.add(place, source) if self._link == "hardlink" else None

    def checkout(self, place: Path, target: Path) -> Command:
        return _dvc(place, "checkout", "-q", "--force", f"{_DATA}.dvc")

    def laid_out(self, place: Path, source: Path, target: Path) -> Path:
        return place / _DATA

    def status(self, place: Path, laid_out: Path) -> Command:
        return _dvc(place, "status", "-q")

    def listing(self, place: Path) -> Command:
        return _dvc(place, "list", ".")


def _dvc(place: Path, *arguments: str) -> Command:
    own = {"DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(place / ".dvc" / "site")}
    return Command(["dvc", *arguments], place, own)
