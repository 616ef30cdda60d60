"""Archives that somebody made to do harm: they are refused, or unpacked where they may be."""

from __future__ import annotations

import gzip
import shutil
import tarfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings

from tests.fuzz.decoder import EXAMPLES
from tests.fuzz.mutating import mutated
from tests.hostile.lines import parts_of
from tests.hostile.make_archives import ARCHIVES, FOLDER, GOOD, tar_member, zip_of
from zoostore import Store
from zoostore.errors import MalformedObject, UnsafeArchive, ZooError
from zoostore.files.archive import members, unpack
from zoostore.files.entries import DEFAULT_LIMITS, Limits

if TYPE_CHECKING:
    from tests.conftest import Cli, Serve
    from tests.hostile.conftest import Watching

REFUSED = ("unsafe_archive", "malformed")
BOMB = "zeros-behind-the-end.tar.bz2"
LESS = Limits(spare=64 << 20)
"""Soon reached: to read the 1.3 GiB of the bomb takes seconds."""

ANYTHING = "*"


class Line(NamedTuple):
    name: str
    outcome: str
    what: str


def lines() -> list[Line]:
    """The lines of `archives.txt`."""
    return [Line(*parts) for parts in parts_of(FOLDER.parent / "archives.txt")]


LINES = {line.name: line for line in lines()}


def test_there_is_a_line_for_each_archive_that_is_kept_and_each_that_is_made() -> None:
    assert LINES.keys() == {path.name for path in FOLDER.iterdir()} == ARCHIVES.keys()
    assert len(lines()) == len(LINES)


@pytest.mark.parametrize("name", LINES)
def test_it_is_refused_whole_or_unpacked_within_its_folder(
    name: str, around: Path, watch: Watching
) -> None:
    line, out, found = LINES[name], around / "out", ""
    out.mkdir()
    with watch(out):
        try:
            unpacked = unpack(FOLDER / name, out, limits=LESS if name == BOMB else DEFAULT_LIMITS)
            found = ", ".join(sorted(member.path for member in unpacked))
        except ZooError as error:
            found = error.kind

    assert found == line.outcome or (line.outcome == ANYTHING and found not in REFUSED)
    if found not in REFUSED:
        written = {path for path in out.rglob("*") if not path.is_dir()}
        assert not any(path.is_symlink() or path.lstat().st_nlink > 1 for path in written)
        assert all(path.is_file() for path in written)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shutil.copytree(FOLDER, tmp_path_factory.mktemp("web") / "archives")


@pytest.mark.parametrize("name", [name for name in LINES if name != BOMB])
def test_a_pull_of_it_leaves_nothing_where_it_is_refused(
    name: str, store: Store, cli: Cli, serve: Serve, site: Path, watch: Watching
) -> None:
    web = serve(site)
    with watch(store.path):
        url = f"{web.url}/{name}"
        ran = cli("--store", store.path, "pull", url, "--as", "zoo:evil", "--json")

    is_refused = LINES[name].outcome in REFUSED
    if is_refused:
        assert (ran.code, ran.json["error"]["kind"]) == (5, LINES[name].outcome)
        assert store.snapshots() == []
    else:
        assert ran.code == 0, ran.out
        assert len(store.snapshots()) == 1
    assert store.verify().is_clean
    assert {path.name for path in (store.path / "tmp").iterdir()} <= {"downloads"}


def test_a_million_members_are_refused_at_the_limit(tmp_path: Path) -> None:
    """The same folder again and again, for that is soon made; each time counts."""
    headers = tar_member("folder", type=tarfile.DIRTYPE) * 1000
    archive = tmp_path / "million.tar.gz"
    # One member of gzip for every thousand of tar.
    archive.write_bytes(gzip.compress(headers, mtime=0) * 1000)
    start = time.process_time()

    with pytest.raises(UnsafeArchive, match="more than 10000 files and folders"):
        members(archive, Limits(entries=10_000))

    assert time.process_time() - start < 5


def test_a_million_members_of_a_zip_file_are_refused_by_their_number(tmp_path: Path) -> None:
    archive = tmp_path / "million.zip"
    data = zip_of((b"a", b"x"), count=0xFFFF)
    archive.write_bytes(data)
    with pytest.raises(MalformedObject):
        members(archive)
    with pytest.raises(UnsafeArchive, match="more than 60000 files"):
        members(archive, Limits(entries=60_000))


SMALL = [
    path.read_bytes() for path in sorted(FOLDER.iterdir()) if 0 < path.stat().st_size < 4 << 10
]
FEW = Limits(entries=50, spare=1 << 16, ratio=1)


@settings(
    max_examples=EXAMPLES * 4,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=mutated([*SMALL, GOOD + bytes(1024)]))
def test_what_becomes_of_them_when_they_are_changed_further(data: bytes, tmp_path: Path) -> None:
    archive, out = tmp_path / "archive", tmp_path / "out"
    archive.write_bytes(data)
    out.mkdir(exist_ok=True)
    try:
        listed = members(archive, FEW)
        assert unpack(archive, out, limits=FEW) == listed
    except (MalformedObject, UnsafeArchive):
        pass
    assert not any(path.is_symlink() for path in out.rglob("*"))
    shutil.rmtree(out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["archive"]
