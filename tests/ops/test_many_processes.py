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


KILLED = """
import itertools, os, sys
from pathlib import Path
from zoostore import Store

CALLS = ("fsync", "replace", "rename", "mkdir", "open", "write", "pwrite", "unlink", "rmdir")
CALLS += ("link", "symlink", "chmod")
root = Path(sys.argv[1])

def die_before(number):
    calls = itertools.count()
    def counted(original):
        def call(*args, **named):
            if next(calls) == number:
                os._exit(9)
            return original(*args, **named)
        return call
    for name in CALLS:
        setattr(os, name, counted(getattr(os, name)))

def in_child(work):
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def try_every_call(prepare, work, check, step):
    for number in itertools.count(0, step):
        folder = root / str(number)
        folder.mkdir()
        assert in_child(lambda: prepare(folder)) == 0
        def killed():
            die_before(number)
            work(folder)
        code = in_child(killed)
        assert code in (0, 9), code
        assert in_child(lambda: check(folder, code == 0)) == 0, f"killed before call {number}"
        if code == 0:
            return number

OLD = {"same": b"same", "changed": b"old" * 20, "gone/x": b"x", "kind": b"k"}
NEW = {"same": b"same", "changed": b"new" * 20, "kind/y": b"y", "come": b"c" * 30}

def write(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).unlink(missing_ok=True)  # it may be a link to an object
        (folder / name).write_bytes(content)
    return folder

def read(folder):
    paths = [path for path in folder.rglob("*") if ".zoostore" not in path.parts]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths if path.is_file()}

def opened(folder):
    (folder / "store").mkdir(exist_ok=True)
    (folder / "store/config.toml").write_text("large_object = 16")
    return Store(folder / "store", offline=True)

def prepare(folder):
    store = opened(folder)
    store.add(write(folder / "old", OLD), "zoo:m", time=1)
    store.tag("zoo:m", "old")
    store.add(write(folder / "new", NEW), "zoo:m", time=2)
    store.checkout("zoo:m@old", folder / "work")
    write(folder / "work", {"mine": b"untracked", "same": b"edited"})
"""
UPDATE = """
def work(folder):
    opened(folder).checkout("zoo:m", folder / "work")

def check(folder, is_done):
    store = opened(folder)
    here = read(folder / "work")
    assert here["mine"] == b"untracked"
    assert here["same"] == b"edited"
    for name, content in here.items():
        assert content in (OLD.get(name), NEW.get(name), b"untracked", b"edited"), name
    store.checkout("zoo:m", folder / "work", force=True)
    assert read(folder / "work") == {**NEW, "mine": b"untracked"}
    status = store.status(folder / "work")
    assert not status.modified and not status.deleted
    assert store.verify().is_clean
"""
CREATE = """
def work(folder):
    opened(folder).checkout("zoo:m", folder / "fresh")

def check(folder, is_done):
    store = opened(folder)
    assert (folder / "fresh").exists() or not is_done
    if (folder / "fresh").exists():
        assert read(folder / "fresh") == NEW
        assert store.status(folder / "fresh").is_clean
    store.checkout("zoo:m", folder / "fresh")
    assert read(folder / "fresh") == NEW
    store.checkout("zoo:m", folder / "other")
    assert not [path for path in folder.iterdir() if path.name.startswith(".zoostore")]
"""
COMMIT = """
prepare_old = prepare

def prepare(folder):
    prepare_old(folder)
    opened(folder).checkout("zoo:m", folder / "tip")
    write(folder / "tip", {"come": b"edited" * 5, "mine": b"m"})
    (folder / "tip/same").unlink()

def work(folder):
    opened(folder).commit(folder / "tip", message="killed", time=3)

def check(folder, is_done):
    store = opened(folder)
    expected = {**NEW, "come": b"edited" * 5, "mine": b"m"}
    del expected["same"]
    assert read(folder / "tip") == expected
    assert store.verify().is_clean
    messages = [entry.snapshot.message for entry in store.log("zoo:m")]
    assert messages in (["", ""], ["killed", "", ""])
    assert not is_done or messages[0] == "killed"
    if messages[0] == "killed":
        store.checkout("zoo:m", folder / "tip")
    else:
        store.commit(folder / "tip", message="again", time=4)
    assert store.status(folder / "tip").is_clean
    store.checkout("zoo:m", folder / "fresh")
    assert read(folder / "fresh") == expected
"""
PULL = """
def work(folder):
    opened(folder).pull("tabular/classification/mlp-32/numpy/zoostore/breast_cancer/base-none")

def check(folder, is_done):
    store = opened(folder)
    assert store.verify().is_clean
    stub = "mlp-32-breast_cancer-base"
    assert not is_done or store.snapshot(stub)
    store.checkout(stub, folder / "model")
    assert store.status(folder / "model").is_clean
    store.add(write(folder / "next", {"n": b"n"}), "zoo:next")
    assert store.verify().is_clean
    assert not list((folder / "store/tmp").iterdir())
"""


@pytest.mark.parametrize(
    ("verb", "step"),
    [(UPDATE, 4), (CREATE, 5), (COMMIT, 5), (PULL, 9)],
    ids=["update", "checkout", "commit", "pull"],
)
def test_a_verb_that_is_killed_before_any_system_call_can_be_done_again(
    tmp_path: Path, verb: str, step: int
) -> None:
    """Before every one, or every so many, so that it does not take minutes."""
    program = f"{KILLED}{verb}\nprint(try_every_call(prepare, work, check, {step}))"

    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path], capture_output=True, timeout=120, check=False
    )

    assert done.returncode == 0, done.stderr.decode()[-3000:]
    assert int(done.stdout) >= 15, "it took that many calls"
