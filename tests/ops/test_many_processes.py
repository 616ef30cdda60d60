"""Many processes in one store, and processes that are killed: nothing is lost, nothing is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from zoostore import Store

if TYPE_CHECKING:
    from tests.conftest import LayOut

BIG = bytes(range(256)) * 300
BUILTIN = ["mlp-512-digits-base", "mlp-512-digits-pruned80", "convnet-16-digits-base"]

TOGETHER = """
import sys, time
from pathlib import Path
from zoostore import Store
store, work, gate = Store(sys.argv[1]), *map(Path, sys.argv[2:4])
gate.with_name(f"{gate.name}.{sys.argv[4]}").touch()
while not gate.exists():
    time.sleep(0.001)
"""


def start_together(
    programs: Sequence[str], store: Store, work: Path
) -> list[subprocess.CompletedProcess[bytes]]:
    """Run programs, each in a process of its own, all let go at the same moment."""
    gate = work / "gate"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", TOGETHER + program, store.path, work, gate, str(number)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for number, program in enumerate(programs)
    ]
    until(lambda: len(list(work.glob("gate.*"))) == len(programs))
    gate.touch()
    done = []
    for process in processes:
        out, err = process.communicate(timeout=60)
        done.append(subprocess.CompletedProcess(process.args, process.returncode, out, err))
    return done


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def check_all_well(store: Store, done: list[subprocess.CompletedProcess[bytes]]) -> None:
    assert [process.stderr.decode() for process in done if process.returncode] == []
    assert store.verify().is_clean
    assert list((store.path / "tmp").iterdir()) == []


def test_different_models_added_at_once_all_arrive(
    store: Store, lay: LayOut, tmp_path: Path
) -> None:
    for number in range(4):
        lay(f"model{number}", {"shared": BIG, "own": BIG + b"%d" % number, "small": b"%d" % number})
    program = """
number = sys.argv[4]
for turn in range(5):
    (work / f"model{number}" / "turn").write_text(f"{number} {turn}")
    store.add(work / f"model{number}", f"zoo:model{number}", message=str(turn))
    store.tag(f"zoo:model{number}", f"v{turn}")
"""

    done = start_together([program] * 4, store, tmp_path)

    check_all_well(store, done)
    assert [model.stub for model in store.snapshots()] == [f"zoo:model{n}" for n in range(4)]
    for number in range(4):
        log = store.log(f"zoo:model{number}")
        assert [entry.snapshot.message for entry in log] == ["4", "3", "2", "1", "0"]
        assert [entry.tags for entry in log] == [(f"v{turn}",) for turn in range(4, -1, -1)]


def test_one_model_pulled_by_many_at_once_arrives(store: Store, tmp_path: Path) -> None:
    program = f"store.pull({BUILTIN[0]!r})"

    done = start_together([program] * 4, store, tmp_path)

    check_all_well(store, done)
    assert len(store.snapshots()) == 1


def test_one_model_checked_out_by_many_at_once_arrives(store: Store, tmp_path: Path) -> None:
    """What four jobs on one machine do that start at the same time."""
    program = f"store.checkout({BUILTIN[0]!r}, work / f'out{{sys.argv[4]}}')"

    done = start_together([program] * 4, store, tmp_path)

    check_all_well(store, done)
    for number in range(4):
        assert store.status(tmp_path / f"out{number}").is_clean


def test_adding_and_pulling_at_once_all_arrive(store: Store, lay: LayOut, tmp_path: Path) -> None:
    lay("model", {"big": BIG, "small": b"s"})
    programs = [f"store.pull({stub!r})" for stub in BUILTIN]
    programs.append("store.add(work / 'model', 'zoo:mine')")

    done = start_together(programs, store, tmp_path)

    check_all_well(store, done)
    assert len(store.snapshots()) == 4


def test_one_name_added_to_by_many_at_once_keeps_a_history_or_says_no(
    store: Store, lay: LayOut, tmp_path: Path
) -> None:
    for number in range(4):
        lay(f"model{number}", {"own": b"%d" % number * 20})
    program = """
from zoostore.errors import Diverged
try:
    done = store.add(work / f"model{sys.argv[4]}", "zoo:one", message=sys.argv[4])
    print(done.snapshot)
except Diverged:
    print("diverged")
"""

    done = start_together([program] * 4, store, tmp_path)

    check_all_well(store, done)
    said = [process.stdout.decode().strip() for process in done]
    added = {text for text in said if text != "diverged"}
    assert added
    assert added == {str(entry.id) for entry in store.log("zoo:one")}


def test_one_directory_checked_out_into_by_two_at_once_is_whole(
    store: Store, lay: LayOut, tmp_path: Path
) -> None:
    files = {f"file{number}": b"%d" % number for number in range(50)}
    store.add(lay("model", files), "zoo:one")
    program = """
from zoostore.errors import ZooError
try:
    store.checkout("zoo:one", work / "out")
except ZooError as error:
    print(error.kind)
"""

    done = start_together([program] * 2, store, tmp_path)

    check_all_well(store, done)
    assert b"" in [process.stdout for process in done]
    assert store.status(tmp_path / "out").is_clean
    assert not list(tmp_path.glob(".zoostore-*"))


def test_readers_are_not_disturbed_by_a_writer(store: Store, lay: LayOut, tmp_path: Path) -> None:
    store.add(lay("model", {"big": BIG, "small": b"s"}), "zoo:first")
    writer = """
for turn in range(15):
    (work / "model" / "turn").write_text(str(turn))
    store.add(work / "model", "zoo:second")
"""
    reader = """
for turn in range(60):
    assert "zoo:first" in [model.stub for model in store.snapshots()]
    with store.open_file("zoo:first", "small") as file:
        assert file.read() == b"s"
    assert store.du(["zoo:first"]).models
"""

    done = start_together([writer, reader, reader, reader], store, tmp_path)

    check_all_well(store, done)
    assert len(store.log("zoo:second")) == 15


def test_what_was_done_while_the_index_was_lost_again_and_again_is_done(
    store: Store, lay: LayOut, tmp_path: Path
) -> None:
    """A command may fail while somebody removes the index, but none may say more than it did."""
    store.add(lay("model", {"big": BIG, "small": b"s"}), "zoo:first")
    loser = """
import shutil
for turn in range(5):
    shutil.rmtree(sys.argv[1] + "/index", ignore_errors=True)
    time.sleep(0.01)
"""
    user = """
from zoostore.errors import ZooError
for turn in range(10):
    try:
        print(store.add(work / "model", f"zoo:n{sys.argv[4]}x{turn}").stub)
    except ZooError:
        pass
"""

    done = start_together([loser, user, user], store, tmp_path)

    check_all_well(store, done)
    said = {line for process in done for line in process.stdout.decode().split()}
    assert said <= {model.stub for model in store.snapshots()}


def test_one_store_serves_many_threads(store: Store, lay: LayOut, tmp_path: Path) -> None:
    store.add(lay("model", {"big": BIG, "small": b"s", "sub/deep": b"d"}), "zoo:one")

    def use(number: int) -> int:
        name = f"zoo:thread{number}"
        store.add(tmp_path / "model", name)
        with store.open_file("zoo:one", "sub/deep") as small, store.open_file(name, "big") as big:
            assert (small.read(), big.read()) == (b"d", BIG)
        return store.checkout(name, tmp_path / f"out{number}").files

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(use, range(24))) == [3] * 24

    assert len(store.snapshots()) == 25
    assert store.verify().is_clean
    assert list((store.path / "tmp").iterdir()) == []


def test_a_forked_child_can_use_the_store_of_its_parent(
    store: Store, lay: LayOut, tmp_path: Path
) -> None:
    store.add(lay("model", {"big": BIG, "small": b"s"}), "zoo:one")
    program = """
store.snapshots()
pids = []
for number in range(4):
    pid = os.fork()
    if pid == 0:
        store.add(work / "model", f"zoo:child{number}")
        assert store.open_file("zoo:one", "small").read() == b"s"
        os._exit(0)
    pids.append(pid)
store.add(work / "model", "zoo:parent")
assert [os.waitpid(pid, 0)[1] for pid in pids] == [0] * 4
assert len(store.snapshots()) == 6
"""

    done = start_together(["import os\n" + program], store, tmp_path)

    check_all_well(store, done)
    assert len(store.snapshots()) == 6


# Killed


@pytest.fixture
def long_model(tmp_path: Path) -> Path:
    """A model of 300 MB, most of them a hole."""
    folder = tmp_path / "long"
    folder.mkdir()
    with open(folder / "weights.bin", "wb") as file:
        file.write(os.urandom(8 << 20))
        file.truncate(292 << 20)
        file.seek(0, os.SEEK_END)
        file.write(os.urandom(8 << 20))
    for number in range(50):
        (folder / f"small{number}").write_bytes(b"%d" % number)
    return folder


def staged_bytes(store: Store) -> int:
    total = 0
    for path in (store.path / "tmp").rglob("*"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            continue
    return total


@pytest.mark.parametrize("megabytes", [0, 1, 100, 290])
def test_an_add_that_is_killed_leaves_nothing_wrong(
    store: Store, lay: LayOut, long_model: Path, tmp_path: Path, megabytes: int
) -> None:
    store.add(lay("first", {"a": b"a", "big": BIG}), "zoo:first")
    command = [sys.executable, "-m", "zoostore", "--store", str(store.path), "add"]

    def has_come_so_far() -> bool:
        return any((store.path / "tmp").iterdir()) and staged_bytes(store) >= megabytes << 20

    with subprocess.Popen(
        [*command, str(long_model), "zoo:long"], stderr=subprocess.PIPE
    ) as process:
        until(lambda: has_come_so_far() or process.poll() is not None)
        process.send_signal(signal.SIGKILL)
    was_killed = process.returncode == -signal.SIGKILL
    (left,) = (store.path / "tmp").iterdir() if was_killed else [None]
    after_kill = Store(store.path)

    assert after_kill.verify().is_clean
    assert [model.stub for model in after_kill.snapshots()] == ["zoo:first"] + ["zoo:long"] * (
        not was_killed
    )

    after_kill.add(lay("next", {"n": b"n"}), "zoo:next")
    assert list((store.path / "tmp").iterdir()) == []
    assert left is None or not left.exists()
    assert after_kill.verify().is_clean
