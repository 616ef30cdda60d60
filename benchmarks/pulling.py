"""pull: what zoostore and the downloaders take for the same file from the same server."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from benchmarks.contests import Contest, Steps, Target
from benchmarks.measuring import Command, CommandFailed, Step, run
from benchmarks.seats import same
from benchmarks.tools import DOWNLOADERS
from benchmarks.tools.downloaders import Downloader
from benchmarks.tools.zoostore import STUB, zoostore

WHAT = "pull big over loopback HTTP, durable"
_OURS = "zoostore"
_OF_THE_SPEED = 0.8


def publish(source: Path, root: Path) -> Path:
    """Publish a folder of one large file as a zoo; the zoo's folder."""
    store, zoo = root / "publisher", root / "zoo"
    run(zoostore(store, "add", str(source), STUB))
    run(zoostore(store, "publish", STUB, "--to", str(zoo)))
    shutil.rmtree(store)
    return zoo


def contest(source: Path, zoo: Path, url: str, root: Path, known: Mapping[str, str]) -> Contest:
    """All have the file on the disk at the end.

    Args:
        source: the folder that was published.
        zoo, url: where it was published, and the address of that.
        root: where downloads go.
        known: as in `Seats`.
    """
    (large,) = (path for path in (zoo / "objects").rglob("*") if path.is_file())
    address = f"{url}/{large.relative_to(zoo).as_posix()}"
    steps: dict[str, Steps] = {_OURS: lambda _: _pull(root / "store", url, source)}
    skipped = {}
    for tool in DOWNLOADERS:
        if tool.name not in known:
            continue
        if known[tool.name]:
            skipped[tool.name] = known[tool.name]
        else:
            step = _download(tool, address, root / tool.program, large)
            steps[tool.name] = lambda _, step=step: step  # type: ignore[misc]
    return Contest(
        WHAT,
        _OURS,
        steps,
        [Target(1 / _OF_THE_SPEED, tuple(tool.name for tool in DOWNLOADERS))],
        skipped=skipped,
    )


def _pull(store: Path, url: str, source: Path) -> Step:
    def before() -> None:
        run(zoostore(store, "remote", "add", "zoo", url))

    def check() -> None:
        out = store.with_name("out")
        run(zoostore(store, "checkout", STUB, str(out)))
        same(source, out)
        shutil.rmtree(out)

    pull = zoostore(store, "pull", STUB)
    return Step(pull, before, check=check, after=lambda: _remove(store))


def _download(tool: Downloader, url: str, folder: Path, large: Path) -> Step:
    def check() -> None:
        try:
            run(Command(["cmp", str(folder / large.name), str(large)]))
        except CommandFailed as error:
            raise CommandFailed(f"What arrived is not what was sent: {error}") from error

    fetch = tool.fetch(url, folder, large.name)
    return Step(fetch, folder.mkdir, check=check, after=lambda: _remove(folder))


def _remove(path: Path) -> None:
    if path.exists():
        shutil.rmtree(path)
