"""With a worker that helps, the verbs do what they do without, and refuse what they refuse."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pytest

from zoostore import Store
from zoostore.errors import DamagedContent, FileChanged, SpecialFile, WorkerEnded
from zoostore.files.listed import list_as_bytes
from zoostore.ops import laying, looking, taking
from zoostore.progress import Silent
from zoostore.store.apart import Apart
from zoostore.worker import Worker

if TYPE_CHECKING:
    from tests.conftest import Content, InStore, LayOut

Look: TypeAlias = "Callable[[Path], dict[str, Content]]"
STUB = "zoo:mine"
FOLDERS, IN_EACH = 150, 4
FILES: dict[str, Content] = {
    **{
        f"d{folder:03}/f{number}{'*' * (number == 1)}": f"{folder % 50} {number}".encode()
        for folder in range(FOLDERS)
        for number in range(IN_EACH)
    },
    "d000/big.bin": bytes(range(256)) * 300,
    "d001/link": "f0",
    "d002/void/": None,
    "d003/empty": b"",
}


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What workers were told to do; they are started for any number of files."""
    for module in (taking, laying, looking):
        monkeypatch.setattr(module, "_WORTH_A_WORKER", 1)
    for module in (taking, laying):
        monkeypatch.setattr(module, "_GROUP_FILES", 50)
    told: list[object] = []
    begin = Worker.begin

    def note(worker: Worker, order: object) -> None:
        told.append(getattr(order, "func", order))
        begin(worker, order)

    monkeypatch.setattr(Worker, "begin", note)
    return told


@pytest.fixture
def helped(store: Store, begun: list[object]) -> Store:
    """A store whose verbs are helped, whatever the machine."""
    (store.path / "config.toml").write_text("threads = 2\n")
    return Store(store.path)


def test_what_goes_in_comes_out(
    helped: Store, begun: list[object], lay: LayOut, look: Look, tmp_path: Path
) -> None:
    source = lay("source", FILES)
    helped.add(source, STUB)
    files = [wanted for order in begun if isinstance(order, list) for wanted in order]
    assert len(files) >= 100
    assert begun.pop() is None  # the pack is finished

    helped.checkout(STUB, tmp_path / "out", link="copy")
    assert begun.pop().__name__ == "extract"  # type: ignore[attr-defined]
    assert look(tmp_path / "out") == look(source)
    assert not helped.verify().damaged


def test_the_same_snapshot_is_made_without(
    helped: Store, new_store: Callable[[str], Store], lay: LayOut
) -> None:
    source = lay("source", FILES)
    alone = new_store("alone")
    (alone.path / "config.toml").write_text("threads = 1\n")
    with_help, without = (
        helped.add(source, STUB, time=1),
        Store(alone.path).add(source, STUB, time=1),
    )
    assert with_help == without


def test_content_that_is_there_many_times_is_stored_once(helped: Store, lay: LayOut) -> None:
    added = helped.add(lay("source", FILES), STUB)
    contents = {data for data in FILES.values() if isinstance(data, bytes)}
    trees = FOLDERS + 2
    assert added.new_objects <= len(contents) + trees
    assert helped.add(lay("again", FILES), "zoo:other").new_objects == 1  # the snapshot


@pytest.mark.parametrize("where", ["d000", "d070", "d149"])
def test_status_sees_what_changed(
    helped: Store, begun: list[object], lay: LayOut, tmp_path: Path, where: str
) -> None:
    helped.add(lay("source", FILES), STUB)
    out = helped.checkout(STUB, tmp_path / "out", link="copy").directory
    begun.clear()
    assert helped.status(out).is_clean
    assert list_as_bytes in begun

    (out / where / "f0").write_bytes(b"edited")
    os.chmod(out / where / "f2", 0o755)
    (out / where / "f3").unlink()
    (out / where / "new").write_bytes(b"")
    (out / where / "below").mkdir()
    status = helped.status(out)
    assert status.modified == (f"{where}/f0", f"{where}/f2")
    assert status.deleted == (f"{where}/f3",)
    assert status.untracked == (f"{where}/below/", f"{where}/new")


def test_a_file_that_changes_meanwhile_is_refused(
    helped: Store, lay: LayOut, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = lay("source", FILES)
    begin = Worker.begin
    first = source / "d000" / "f0"

    def change(worker: Worker, order: object) -> None:
        first.write_bytes(b"something else")
        begin(worker, order)

    monkeypatch.setattr(Worker, "begin", change)
    with pytest.raises(FileChanged, match="d000/f0 changed") as caught:
        helped.add(source, STUB)
    assert caught.value.facts == {"path": str(first)}
    _nothing_is_left(helped)


def test_a_file_that_changes_after_all_were_found_is_refused(
    helped: Store, begun: list[object], lay: LayOut, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever of the two reads it."""
    source = lay("source", FILES)
    rest = taking._Taking._taken_small
    late = source / "d149" / "f3"

    def change(taking: taking._Taking) -> object:
        late.write_bytes(b"something else")
        return rest(taking)

    monkeypatch.setattr(taking._Taking, "_taken_small", change)
    with pytest.raises(FileChanged, match="d149/f3 changed") as caught:
        helped.add(source, STUB)
    assert caught.value.facts == {"path": str(late)}
    assert begun
    _nothing_is_left(helped)


def test_what_no_snapshot_can_hold_is_refused_though_others_were_read(
    helped: Store, begun: list[object], lay: LayOut
) -> None:
    source = lay("source", FILES)
    os.mkfifo(source / "d149" / "pipe")
    with pytest.raises(SpecialFile, match="d149/pipe"):
        helped.add(source, STUB)
    assert begun
    _nothing_is_left(helped)


def test_a_worker_that_dies_is_said_to(
    helped: Store, lay: LayOut, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = lay("source", FILES)
    finish = Apart.finish

    def die(apart: Apart) -> None:
        apart._worker._process.kill()
        finish(apart)

    monkeypatch.setattr(Apart, "finish", die)
    with pytest.raises(WorkerEnded):
        helped.add(source, STUB)
    _nothing_is_left(helped)

    monkeypatch.setattr(Apart, "finish", finish)
    helped.add(source, STUB)
    assert not helped.verify().damaged


def _nothing_is_left(store: Store) -> None:
    assert store.snapshots() == []
    assert list((store.path / "tmp").iterdir()) == []
    assert list((store.path / "packs").iterdir()) == []


def test_damage_in_a_pack_is_not_laid_out(
    helped: Store, lay: LayOut, packs: InStore, tmp_path: Path
) -> None:
    """By whoever finds it; the stamp is set back, as rot leaves it."""
    helped.add(lay("source", FILES), STUB)
    _rot(packs(helped.path))
    with pytest.raises(DamagedContent):
        Store(helped.path).checkout(STUB, tmp_path / "out", link="copy")
    assert not (tmp_path / "out").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source", "store"]

    helped.add(tmp_path / "source", STUB)
    Store(helped.path).checkout(STUB, tmp_path / "out", link="copy")


def test_what_a_worker_could_not_make_is_counted_once(
    helped: Store, new_store: Callable[[str], Store], lay: LayOut, packs: InStore, tmp_path: Path
) -> None:
    """An alternate has what is damaged here."""
    source = lay("source", FILES)
    other = new_store("other")
    other.add(source, STUB)
    helped.add(source, STUB)
    _rot(packs(helped.path))
    with open(helped.path / "config.toml", "a") as config:
        config.write(f'alternates = ["{other.path}"]\n')
    counted = _Counted()
    Store(helped.path, progress=counted).checkout(STUB, tmp_path / "out", link="copy")
    assert (tmp_path / "out/d049/f3").read_bytes() == b"49 3"
    assert counted.bytes == sum(len(data) for data in FILES.values() if data is not None)


class _Counted(Silent):
    """How many bytes were told to be done."""

    bytes = 0

    def advance(self, count: int) -> None:
        self.bytes += count


def _rot(paths: list[Path]) -> None:
    """Change a byte of a content, as rot does: the stamp stays."""
    for path in paths:
        data = path.read_bytes()
        at = data.find(b"49 3")
        if at < 0:
            continue
        status = path.stat()
        path.chmod(0o600)
        path.write_bytes(data[:at] + b"4x" + data[at + 2 :])
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_where_a_worker_cannot_write_nothing_is_left(
    helped: Store, lay: LayOut, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    helped.add(lay("source", FILES), STUB)
    begin = Worker.begin

    def stand_in_the_way(worker: Worker, piece: Callable[[], object]) -> None:
        first, *_ = piece.args[0]  # type: ignore[attr-defined]
        Path(first[2]).mkdir()
        begin(worker, piece)

    monkeypatch.setattr(Worker, "begin", stand_in_the_way)
    with pytest.raises(Exception, match="exists"):
        helped.checkout(STUB, tmp_path / "out", link="copy")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source", "store"]
