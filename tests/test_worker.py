"""A worker: it does what it is told, says what went wrong, and goes when nobody needs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from zoostore.digest import hash_bytes
from zoostore.errors import FileChanged, WorkerEnded
from zoostore.files.reading import read_together
from zoostore.worker import Worker, hired, shared

LARGE = 5 << 20
"""More than a pipe holds."""


def test_what_it_is_sent_and_gives_may_be_larger_than_a_pipe() -> None:
    data = bytes(range(256)) * (LARGE // 256)
    with Worker() as worker:
        for _ in range(3):
            worker.begin(partial(bytes, data))
            assert worker.result() == data


def test_it_is_another_process() -> None:
    with Worker() as worker:
        worker.begin(os.getpid)
        assert worker.result() != os.getpid()


@pytest.mark.parametrize("count", range(6))
def test_work_is_shared(count: int) -> None:
    work = [(number, os.getpid) for number in range(count)]
    with Worker() as worker:
        done = list(shared(worker, work))
    assert sorted(number for number, _ in done) == list(range(count))
    there = {number for number, process in done if process != os.getpid()}
    assert there >= set(range(min(count, 1)))


def test_nobody_waits_for_a_worker_that_is_slow() -> None:
    work = [(number, partial(time.sleep, 0 if number else 0.3)) for number in range(5)]
    with Worker() as worker:
        done = [number for number, _ in shared(worker, work)]
    assert done == [1, 2, 3, 4, 0]


def test_one_that_is_ready_is_given_more() -> None:
    def work() -> Iterator[tuple[int, Callable[[], int]]]:
        for number in range(4):
            yield number, os.getpid
            while not worker.is_ready():
                time.sleep(0.001)

    with Worker() as worker:
        done = list(shared(worker, work()))
    assert [number for number, process in done if process != os.getpid()] == [0, 1, 2, 3]


def test_without_a_worker_all_is_done_here() -> None:
    work = [(number, partial(divmod, number, 2)) for number in range(4)]
    assert list(shared(None, work)) == [(number, divmod(number, 2)) for number in range(4)]


def test_what_fails_there_fails_here(tmp_path: Path) -> None:
    wanted = [("gone", 1, b"stamp")]
    with Worker() as worker:
        worker.begin(partial(read_together, str(tmp_path), wanted))
        with pytest.raises(FileChanged, match="gone changed while") as caught:
            worker.result()
        assert caught.value.facts == {"path": str(tmp_path / "gone")}
        worker.begin(partial(os.stat, tmp_path / "gone"))
        with pytest.raises(FileNotFoundError):
            worker.result()
        worker.begin(partial(divmod, 7, 2))
        assert worker.result() == (3, 1)


def _add_up(orders: Iterator[int]) -> Iterator[object]:
    total = 0
    for number in orders:
        if number < 0:
            raise ValueError("less than nothing")
        total += number
        if total > 9:
            yield total


def test_a_program_keeps_what_it_needs() -> None:
    """Not every order has a result, and some may be given before the first is taken."""
    with Worker(_add_up) as worker:
        for number in (9, 1, 2, -1):
            worker.begin(number)
        assert [worker.result(), worker.result()] == [10, 12]
        with pytest.raises(ValueError, match="less than nothing"):
            worker.result()
        with pytest.raises(WorkerEnded, match="ended with 0"):
            worker.result()


def test_names_that_are_no_text_arrive(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff\xe9")
    try:
        (tmp_path / name).write_bytes(b"x")
    except OSError:
        pytest.skip("the file system takes no such names")
    with Worker() as worker:
        worker.begin(partial(os.listdir, tmp_path))
        assert worker.result() == [name]


def test_one_that_is_killed_is_said_to_be() -> None:
    with Worker() as worker:
        worker.begin(partial(os.kill, _process_of(worker), signal.SIGKILL))
        with pytest.raises(WorkerEnded, match="ended with -9") as caught:
            worker.result()
        assert caught.value.facts == {"code": -9}
        with pytest.raises(WorkerEnded):
            worker.begin(os.getpid)


def test_it_does_not_outlive_its_context() -> None:
    with Worker() as worker:
        process = _process_of(worker)
        worker.begin(partial(time.sleep, 60))
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


OUTLIVED = """
import os, signal, time
from functools import partial
from zoostore.worker import Worker
with Worker() as worker:
    worker.begin(partial(time.sleep, 0.2))
    os.kill(os.getpid(), signal.{signal})
    time.sleep(60)
"""


@pytest.mark.parametrize("name", ["SIGKILL", "SIGINT"])
def test_it_does_not_outlive_who_started_it(name: str) -> None:
    """It holds the same standard error, which is read to its end: nobody writes to it any more."""
    program = OUTLIVED.format(signal=name)
    ended = subprocess.run(
        [sys.executable, "-c", program], stderr=subprocess.PIPE, text=True, timeout=30, check=False
    )
    assert ended.returncode == -getattr(signal, name)
    assert "worker" not in ended.stderr.partition("KeyboardInterrupt")[2]
    assert ended.stderr.count("Traceback") == (name == "SIGINT")


def test_ctrl_c_is_not_for_the_worker() -> None:
    with Worker() as worker:
        worker.begin(partial(os.getpgid, 0))
        assert worker.result() != os.getpgid(0)


def test_none_is_hired_where_there_is_no_python_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    with hired(when=False) as worker:
        assert worker is None
    for executable in ("", "/usr/bin/something-that-embeds-it", None):
        monkeypatch.setattr(sys, "executable", executable)
        with hired(when=True) as worker:
            assert worker is None


def test_it_finds_the_package_without_a_path_to_it(tmp_path: Path) -> None:
    """As where an import hook, and no entry of the path, leads to the package."""
    program = (
        "import sys; from zoostore.worker import Worker; from zoostore.digest import hash_bytes\n"
        "from functools import partial\n"
        "sys.path[:] = [path for path in sys.path if 'packages' in path or 'lib' in path]\n"
        "with Worker() as worker:\n"
        "    worker.begin(partial(hash_bytes, b'x'))\n"
        "    print(worker.result())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
        env={**os.environ, "PYTHONPATH": os.fspath(Path(__file__).parents[1])},
    )
    assert done.stdout.strip() == str(hash_bytes(b"x"))


def _process_of(worker: Worker) -> int:
    worker.begin(os.getpid)
    process = worker.result()
    assert isinstance(process, int)
    return process
