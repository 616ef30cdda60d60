"""Caches that somebody made to be adopted, by the whole way from the command line to the store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.hostile.lines import parts_of
from tests.hostile.raw_cache import COMMIT, GOOD, WRONG, good_cache, stand
from zoostore import Store

if TYPE_CHECKING:
    from tests.conftest import Cli
    from tests.hostile.conftest import Watching

DAMAGED = 3
SECRET = b"nobody may have this" * 10


class Line(NamedTuple):
    cache: str
    path: str
    stands: str
    what: str


def lines() -> list[Line]:
    """The lines of `caches.txt`."""
    return [Line(*parts) for parts in parts_of(Path(__file__).with_name("caches.txt"))]


LINES = {f"{line.cache}: {line.what}, {line.stands[:12]}": line for line in lines()}


def contents(store: Store) -> set[bytes]:
    """Of all files of all models that a store has."""
    found = set()
    for model in store.snapshots():
        for file in store.files(model.stub):
            with store.open_file(model.stub, file.path) as content:
                found.add(content.read())
    return found


@pytest.mark.timeout(60)
@pytest.mark.parametrize("relink", [False, True], ids=["", "relink"])
@pytest.mark.parametrize("name", LINES)
def test_what_is_good_is_adopted_and_nothing_else(
    name: str, relink: bool, store: Store, cli: Cli, around: Path, tmp_path: Path, watch: Watching
) -> None:
    line = LINES[name]
    (tmp_path / "secret/key").write_bytes(SECRET)
    root = good_cache(line.cache, around / "cache")
    path = line.path.replace("COMMIT", COMMIT).replace("WRONG", WRONG)
    stand(root / path, line.stands, tmp_path / "secret/key")
    arguments = ["adopt", str(root), "--json", *(["--relink"] if relink else [])]

    with watch(store.path, *([root] if relink else [])):
        ran = cli("--store", store.path, *arguments)

    assert ran.code == (DAMAGED if line.stands == "other bytes" else 0), ran.out
    assert GOOD in contents(store)
    assert not any(SECRET in content or b"root:" in content for content in contents(store))
    assert store.verify().is_clean


def test_no_line_is_there_twice() -> None:
    assert len(LINES) == len(lines())
