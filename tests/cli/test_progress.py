"""How far work is: what is counted, when it is shown, and which way of showing is chosen."""

from __future__ import annotations

import io
import json
import os
import sys
import threading
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoostore.cli.progress.bars import Bars
from zoostore.cli.progress.choosing import watch
from zoostore.cli.progress.events import Events
from zoostore.cli.progress.lines import Lines
from zoostore.cli.progress.stream import Unfailing
from zoostore.cli.progress.watch import View, Watch
from zoostore.cli.progress.work import Part, Seen, Work
from zoostore.cli.settings import Settings
from zoostore.progress import Progress
from zoostore.units import human_time

if TYPE_CHECKING:
    from typing import TextIO


class Clock:
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Recorder(View):
    """Remembers what it was to show."""

    period = 1.0

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []
        self.shown = threading.Event()

    def begin(self, seen: Seen) -> None:
        self.calls.append(("begin", seen))

    def show(self, seen: Seen | None) -> None:
        self.calls.append(("show", seen))
        self.shown.set()

    def file(self, part: Part) -> None:
        self.calls.append(("file", part))

    def end_file(self, name: str) -> None:
        self.calls.append(("end_file", name))

    def note(self, text: str) -> None:
        self.calls.append(("note", text))

    def end(self, seen: Seen) -> None:
        self.calls.append(("end", seen))

    @property
    def words(self) -> list[str]:
        return [word for word, _ in self.calls]


# What is counted


def steady(total: int, speed: int, seconds: int) -> Work:
    """Work that went on for so many seconds, at so many bytes a second."""
    work = Work("pulling", total, 0.0)
    for second in range(1, seconds + 1):
        work.advance(speed, float(second))
    return work


def test_the_speed_and_the_time_left_are_those_of_steady_work() -> None:
    whole = steady(1000, 10, 5).seen(5.0).whole

    assert (whole.done, whole.total, whole.speed, whole.left) == (50, 1000, 10.0, 95.0)


def test_the_speed_is_that_of_the_last_ten_seconds() -> None:
    work = steady(100_000, 10, 60)
    for second in range(61, 81):
        work.advance(1000, float(second))

    assert work.seen(80.0).whole.speed == 1000.0


def test_work_that_stands_still_has_no_speed_and_nobody_knows_what_is_left() -> None:
    work = steady(1000, 10, 5)
    for second in range(6, 17):
        work.seen(float(second))

    whole = work.seen(17.0).whole
    assert (whole.speed, whole.left) == (0.0, None)


def test_bytes_that_must_be_done_again_are_taken_back_and_make_no_negative_speed() -> None:
    work = steady(100, 10, 5)
    work.advance(-70, 6.0)

    whole = work.seen(6.0).whole
    assert (whole.done, whole.speed) == (0, 0.0)


def test_more_than_was_announced_is_never_shown() -> None:
    work = steady(45, 10, 5)
    work.file("a", 9, 8, 5.0)

    seen = work.seen(5.0)
    assert (seen.whole.done, seen.whole.share, seen.whole.left) == (45, 1.0, 0.0)
    assert [(file.done, file.total) for file in seen.files] == [(8, 8)]


def test_without_a_total_there_is_no_share_and_no_time_left() -> None:
    whole = steady(0, 10, 5).seen(5.0).whole

    assert (whole.done, whole.total, whole.share, whole.left) == (50, None, None, None)


def test_what_was_on_the_disk_already_says_nothing_of_the_speed() -> None:
    work, found, speed = Work("pulling", 10**10, 0.0), 10**9, 1 << 20
    work.advance(found, 1.0)
    work.file("a", found, 10**10, 1.0)
    for second in range(2, 6):
        work.advance(speed, float(second))
        work.file("a", found + (second - 1) * speed, 10**10, float(second))

    seen = work.seen(5.0)
    assert seen.whole.done == seen.files[0].done == found + 4 * speed
    assert seen.moved == 4 * speed
    assert seen.whole.speed == 4 * speed / 5.0
    assert seen.files[0].speed == speed


def test_a_file_of_no_bytes_is_whole() -> None:
    work = Work("pulling", 0, 0.0)
    work.file("empty", 0, 0, 0.0)

    assert work.seen(1.0).files[0].share == 1.0


def test_a_total_that_cannot_be_is_not_believed() -> None:
    work = Work("pulling", 10**400, 0.0)
    work.advance(10, 1.0)
    work.file("a", 5, 10**400, 1.0)
    work.file("b", 5, -1, 1.0)
    seen = work.seen(2.0)

    for part in (seen.whole, *seen.files):
        assert part.total is not None
        assert 0 <= part.total <= 2**63
        assert len(human_time(part.left or 0)) < 20


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0 s"),
        (44.9, "44 s"),
        (60, "1 min"),
        (200, "3 min 20 s"),
        (3599, "59 min"),
        (3600, "1 h"),
        (2 * 3600 + 300, "2 h 5 min"),
        (11 * 3600 + 300, "11 h"),
        (3 * 86_400 + 7200, "3 d 2 h"),
        (1e12, "11574074 d"),
    ],
)
def test_a_time_is_told_in_the_units_that_say_something(seconds: float, text: str) -> None:
    assert human_time(seconds) == text


# When it is shown


def test_a_view_is_told_of_files_once_when_they_begin_and_once_when_they_end() -> None:
    view = Recorder()
    progress = Watch(view, Clock(), is_ticking=False)
    progress.begin("pulling", 10)
    progress.item("a", 0, 10)
    progress.item("a", 5, 10)
    progress.item_end("a")
    progress.item_end("a")
    progress.item_end("never begun")
    progress.end()

    assert view.words == ["begin", "file", "end_file", "end"]


def test_what_is_told_outside_of_work_counts_for_nothing() -> None:
    view = Recorder()
    progress = Watch(view, Clock(), is_ticking=False)
    progress.advance(5)
    progress.item("a", 1, 2)
    progress.item_end("a")
    progress.end()

    assert view.words == []


def test_a_note_is_told_at_once_and_also_before_work_begins() -> None:
    view = Recorder()
    Watch(view, Clock(), is_ticking=False).note("waiting for process 7")

    assert view.calls == [("note", "waiting for process 7")]


def test_work_that_begins_ends_what_was_not_ended() -> None:
    view = Recorder()
    progress = Watch(view, Clock(), is_ticking=False)
    progress.begin("adding", 1)
    progress.begin("pulling", 1)
    progress.end()

    assert view.words == ["begin", "end", "begin", "end"]


def test_what_the_last_work_of_a_name_took_is_known_until_it_is_asked_for() -> None:
    clock = Clock()
    progress = Watch(View(), clock)
    for seconds in (1.5, 2.5):
        progress.begin("pulling", 10)
        progress.advance(7)
        clock.now += seconds
        progress.end()

    assert [progress.spent("pulling"), progress.spent("pulling")] == [(2.5, 7), (0.0, 0)]
    assert progress.spent("adding") == (0.0, 0)


def test_a_thread_shows_work_while_nothing_arrives_and_is_gone_when_it_ends() -> None:
    before = set(threading.enumerate())
    view = Recorder()
    view.period = 0.001
    progress = Watch(view)
    progress.begin("pulling", 1)

    assert view.shown.wait(30)
    progress.end()
    assert set(threading.enumerate()) <= before
    assert view.words[-1] == "end"


def test_a_note_between_two_pieces_of_work_is_shown_while_it_lasts() -> None:
    before = set(threading.enumerate())
    view = Recorder()
    view.period = 0.001
    progress = Watch(view)
    progress.note("waiting for process 7")

    assert view.shown.wait(30)
    progress.end()
    assert view.calls[1] == ("show", None)
    assert set(threading.enumerate()) <= before


def test_a_view_that_shows_nothing_needs_no_thread() -> None:
    before = set(threading.enumerate())
    progress = Watch(View())
    progress.begin("pulling", 1)

    assert set(threading.enumerate()) <= before
    progress.end()


# Any order of events, from any thread

NAMES = st.sampled_from(["a", "b", "[red]c", "d\x1b[2J\n\u202e", "\udcff", "模型" * 40, ""])
NUMBERS = st.integers(-100, 1000) | st.sampled_from([2**40, 2**64, 10**330])
STEPS = st.one_of(
    st.tuples(st.just("begin"), NAMES, NUMBERS.map(abs)),
    st.tuples(st.just("advance"), NUMBERS),
    st.tuples(st.just("item"), NAMES, NUMBERS, st.none() | NUMBERS),
    st.tuples(st.just("item_end"), NAMES),
    st.tuples(st.just("note"), NAMES),
    st.tuples(st.just("end")),
    st.tuples(st.just("tick")),
    st.tuples(st.just("wait"), st.sampled_from([0.0, 0.1, 3.0, 1e6])),
)


def tell(progress: Watch, clock: Clock, steps: list[tuple[Any, ...]]) -> None:
    for word, *arguments in steps:
        if word == "wait":
            clock.now += arguments[0]
        else:
            getattr(progress, word)(*arguments)


def check_events(text: str) -> None:
    """Every line is an object, and nothing is ever more than whole."""
    for line in text.splitlines():
        event = json.loads(line)
        assert isinstance(event.pop("event"), str)
        done, total = event.get("done_bytes", 0), event.get("total_bytes")
        assert done >= 0
        assert total is None or done <= total


@given(st.lists(STEPS, max_size=30))
def test_whatever_is_told_is_shown_and_nothing_drives_the_terminal(
    steps: list[tuple[Any, ...]],
) -> None:
    for kind in (Lines, Events, Bars):
        stream, clock = io.StringIO(), Clock()
        progress = Watch(kind(stream), clock, is_ticking=False)
        tell(progress, clock, [("begin", "pulling", 100), *steps, ("tick",), ("end",)])
        text = stream.getvalue()
        if kind is Events:
            check_events(text)
        if kind is Lines:
            assert all(line.isprintable() for line in text.split("\n"))
        assert "\x1b[2J" not in text
        assert "\u202e" not in text


@given(st.lists(st.lists(STEPS, max_size=12), min_size=2, max_size=4))
def test_threads_may_tell_at_the_same_time(threads: list[list[tuple[Any, ...]]]) -> None:
    stream = io.StringIO()
    clock = Clock()
    progress = Watch(Events(stream), clock, is_ticking=False)
    progress.begin("pulling", 100)
    failures: list[BaseException] = []

    def run(steps: list[tuple[Any, ...]]) -> None:
        try:
            tell(progress, clock, [step for step in steps if step[0] not in ("begin", "end")])
        except BaseException as error:
            failures.append(error)

    running = [threading.Thread(target=run, args=(steps,)) for steps in threads]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    progress.end()

    assert not failures
    check_events(stream.getvalue())


def test_what_many_threads_advance_is_all_counted() -> None:
    view = Recorder()
    progress = Watch(view, Clock(), is_ticking=False)
    progress.begin("pulling", 8000)

    def advance() -> None:
        for _ in range(1000):
            progress.advance(1)

    threads = [threading.Thread(target=advance) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    progress.end()

    assert view.calls[-1][1].whole.done == 8000


# Streams that fail


class Broken(io.StringIO):
    """A pipe that nobody reads any more."""

    encoding = "utf-8"

    def write(self, text: str) -> int:
        raise BrokenPipeError

    def flush(self) -> None:
        raise BrokenPipeError


@pytest.mark.parametrize("kind", [Lines, Events, Bars])
def test_a_stream_that_nobody_reads_does_not_stop_the_work(
    kind: type[Lines | Events | Bars], capfd: pytest.CaptureFixture[str]
) -> None:
    progress = Watch(kind(cast("TextIO", Unfailing(Broken()))), Clock(), is_ticking=False)
    tell(progress, Clock(), [("begin", "pulling", 9), ("item", "a", 1, 2), ("tick",)])
    tell(progress, Clock(), [("note", "n"), ("tick",), ("item_end", "a"), ("end",)])
    os.write(1, b"stdout is as it was")

    assert capfd.readouterr().out == "stdout is as it was"


def test_a_stream_that_was_closed_is_none_to_fail_on() -> None:
    closed = io.StringIO()
    closed.close()
    stream = Unfailing(closed)

    assert stream.write("text") == 4
    stream.flush()


# Which way is chosen


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def chosen(monkeypatch: pytest.MonkeyPatch, *, terminal: bool, **options: Any) -> type[View]:
    settings = Settings()
    for name, value in options.items():
        setattr(settings, name, value)
    monkeypatch.setattr(sys, "stderr", Terminal() if terminal else io.StringIO())
    return type(watch(settings)._view)


@pytest.mark.parametrize(
    ("options", "on_terminal", "on_pipe"),
    [
        ({}, Bars, Lines),
        ({"json": True}, Bars, View),
        ({"quiet": True}, View, View),
        ({"no_progress": True}, View, View),
        ({"no_progress": True, "progress": "bar"}, View, View),
        ({"progress": "auto", "quiet": True}, View, View),
        ({"progress": "none"}, View, View),
        ({"progress": "plain"}, Lines, Lines),
        ({"progress": "json"}, Events, Events),
        ({"progress": "json", "quiet": True, "json": True}, Events, Events),
        ({"progress": "bar"}, Bars, Bars),
    ],
)
def test_progress_is_shown_as_the_options_and_stderr_have_it(
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
    on_terminal: type[View],
    on_pipe: type[View],
) -> None:
    monkeypatch.setenv("TERM", "xterm")

    assert chosen(monkeypatch, terminal=True, **options) is on_terminal
    assert chosen(monkeypatch, terminal=False, **options) is on_pipe


@pytest.mark.parametrize("progress", ["auto", "bar"])
@pytest.mark.parametrize("name", ["dumb", "unknown"])
def test_a_terminal_that_cannot_move_its_cursor_gets_lines(
    monkeypatch: pytest.MonkeyPatch, name: str, progress: str
) -> None:
    monkeypatch.setenv("TERM", name)

    assert chosen(monkeypatch, terminal=True, progress=progress) is Lines


def test_the_environment_may_want_no_progress_and_an_option_knows_better(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ZOOSTORE_NO_PROGRESS", "1")

    assert chosen(monkeypatch, terminal=True) is View
    assert chosen(monkeypatch, terminal=False) is View
    assert chosen(monkeypatch, terminal=False, progress="json") is Events


def test_a_watch_is_a_progress() -> None:
    progress: Progress = Watch(View())

    progress.begin("adding", 1)
    progress.end()
