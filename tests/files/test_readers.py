"""Reading many files: how many at a time, and ahead of their turn."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from zoostore import Store
from zoostore.errors import InvalidConfig
from zoostore.files.readers import Readers, Threads, threads_for

if TYPE_CHECKING:
    from tests.conftest import LayOut


@pytest.mark.parametrize(
    ("is_spinning", "wanted", "threads"),
    [(True, None, (1, 4)), (True, 3, (3, 3)), (False, None, (4, 4))],
)
def test_a_disk_that_spins_reads_one_file_at_a_time_unless_told(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    is_spinning: bool,
    wanted: int | None,
    threads: tuple[int, int],
) -> None:
    monkeypatch.setattr("zoostore.files.readers.spins", lambda _: is_spinning)
    monkeypatch.setattr("os.cpu_count", lambda: 4)

    assert threads_for(tmp_path, wanted) == threads


def test_a_file_that_is_more_than_a_threads_share_is_hashed_by_all() -> None:
    assert Threads(2, 2).share(100 << 20) == 50 << 20
    assert Threads(2, 2).share(1 << 20) == 16 << 20
    assert Threads(1, 2).share(100 << 20) == 16 << 20


@pytest.mark.parametrize("count", [1, 2])
def test_what_there_is_nothing_to_do_for_keeps_its_place(count: int) -> None:
    """And few wait for their turn, though there is no work among them."""
    taken: list[int] = []

    def items() -> Iterator[tuple[int, Callable[[], int] | None]]:
        for number in range(20_000):
            taken.append(number)
            yield number, functools.partial(int, number) if number % 5000 == 7 else None

    with Readers(count) as readers:
        for at, (number, piece) in enumerate(readers.ahead(items())):
            assert number == at
            assert len(taken) - at < 5000
            assert piece is None if number % 5000 != 7 else piece is not None and piece() == number


def test_work_is_done_ahead_and_given_in_its_order() -> None:
    meeting = threading.Barrier(2, timeout=30)

    def piece(number: int) -> Callable[[], int]:
        def work() -> int:
            meeting.wait()  # passed by two at once, or not at all
            return number * 10

        return work

    with Readers(2) as readers:
        done = [(key, get()) for key, get in readers.ahead((n, piece(n)) for n in range(20))]

    assert done == [(n, n * 10) for n in range(20)]


def test_one_reader_works_when_it_is_asked() -> None:
    seen: list[int] = []

    with Readers(1) as readers:
        ahead = readers.ahead((n, lambda n=n: seen.append(n)) for n in range(3))
        next(ahead)
        assert seen == []
        next(ahead)[1]()

    assert seen == [1]


def test_what_fails_fails_when_its_turn_comes() -> None:
    def fail() -> None:
        raise KeyError("one")

    with Readers(2) as readers:
        (_, first), (_, second) = readers.ahead([("one", fail), ("two", lambda: None)])
        second()
        with pytest.raises(KeyError):
            first()


@pytest.mark.timeout(30)
def test_work_that_nobody_waits_for_stops() -> None:
    def endless(readers: Readers) -> None:
        while True:
            readers.go_on()

    def consume() -> None:
        with Readers(2) as readers:
            for _ in readers.ahead((n, lambda: endless(readers)) for n in range(100)):
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        consume()

    assert not [each for each in threading.enumerate() if "zoostore-reader" in each.name]


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "true", '"all"'])
def test_the_number_of_threads_is_checked(store: Store, lay: LayOut, value: str) -> None:
    (store.path / "config.toml").write_text(f"threads = {value}\n")

    with pytest.raises(InvalidConfig, match="threads"):
        store.add(lay("model", {"a": b"a"}), "zoo:m")


@pytest.fixture(params=[1, 3])
def in_threads(store: Store, request: pytest.FixtureRequest) -> Store:
    (store.path / "config.toml").write_text(f"threads = {request.param}\nlarge_object = 1000\n")
    return Store(store.path)


def test_large_files_are_taken_in_by_as_many_threads_as_are_wanted(
    in_threads: Store, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for number in range(40):
        (folder / f"{number}").write_bytes(bytes([number % 10]) * 5000)

    added = in_threads.add(folder, "zoo:m")

    assert (added.files, added.size) == (40, 40 * 5000)
    loose = [
        path for path in (in_threads.path / "objects").rglob("*") if path.stat().st_size == 5000
    ]
    assert len(loose) == 10
    assert in_threads.verify().is_clean
    in_threads.checkout("zoo:m", tmp_path / "out")
    for path in folder.iterdir():
        assert (tmp_path / "out" / path.name).read_bytes() == path.read_bytes()
