"""borg, as it comes and tuned."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.measuring import Command, run
from benchmarks.tools.base import Tool

_FIRST = "first"
_ANOTHER = "{uuid4}"
"""As borg itself fills it in: an archive needs a name that is free."""

_TUNED = ("--chunker-params", "fixed,4194304", "--compression", "none")


class Borg(Tool):
    """borg without encryption.

    Args:
        tuned: whether with fixed chunks of 4 MiB and without compression, which is the fastest
            that it can be made for files of weights.
    """

    program = "borg"
    durability = "itself: its segments"
    skips = {"status": "it knows of no checkouts"}  # noqa: RUF012

    def __init__(self, *, tuned: bool) -> None:
        self.name = "borg (tuned)" if tuned else "borg"
        self._options: Sequence[str] = _TUNED if tuned else ()

    def make(self, place: Path, source: Path) -> None:
        run(_borg(place, "init", "-e", "none", str(_repository(place))))

    def add(self, place: Path, source: Path) -> Command:
        return self._create(place, source, _FIRST)

    def add_again(self, place: Path, source: Path) -> Command:
        return self._create(place, source, _ANOTHER)

    def _create(self, place: Path, source: Path, archive: str) -> Command:
        name = f"{_repository(place)}::{archive}"
        return _borg(place, "create", *self._options, name, ".", cwd=source)

    def checkout(self, place: Path, target: Path) -> Command:
        name = f"{_repository(place)}::{_FIRST}"
        program = 'mkdir "$0" && cd "$0" && exec "$@"'
        extract = _borg(place, "extract", name)
        return Command(["sh", "-c", program, str(target), *extract.arguments], env=extract.env)

    def verify(self, place: Path) -> Command:
        return _borg(place, "check", "--verify-data", str(_repository(place)))

    def listing(self, place: Path) -> Command:
        return _borg(place, "list", str(_repository(place)))


def _repository(place: Path) -> Path:
    return place / "repository"


def _borg(place: Path, *arguments: str, cwd: Path | None = None) -> Command:
    own = {
        "BORG_BASE_DIR": str(place / "base"),
        "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes",
        "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes",
    }
    return Command(["borg", *arguments], cwd, own)
