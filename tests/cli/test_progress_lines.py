"""Progress on a pipe: lines for a log, and JSON for a program."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from zoostore.cli.progress.events import Events
from zoostore.cli.progress.lines import Lines
from zoostore.cli.progress.watch import Watch

if TYPE_CHECKING:
    from tests.conftest import Cli, LayOut, Process, Scene

ROOT = Path(__file__).parents[2]


class Pipe:
    """A watch that writes to a text, and whose clock goes on when it is told to."""

    def __init__(self, kind: type[Lines | Events]) -> None:
        self._now = 0.0
        self._stream = io.StringIO()
        self.progress = Watch(kind(self._stream), lambda: self._now, is_ticking=False)

    def tick(self, seconds: float) -> None:
        self._now += seconds
        self.progress.tick()

    @property
    def lines(self) -> list[str]:
        return self._stream.getvalue().splitlines()

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]


# Lines


def test_a_line_is_whole() -> None:
    pipe = Pipe(Lines)
    pipe.progress.begin("pulling", 5_000_000_000)
    pipe.progress.advance(425_000_000)
    pipe.tick(5)

    assert pipe.lines == ["pulling: 425 MB of 5.0 GB (8%), 85.0 MB/s, 53 s left"]


def test_a_line_without_a_total_says_what_is_known() -> None:
    pipe = Pipe(Lines)
    pipe.progress.begin("pulling", 0)
    pipe.progress.advance(425_000_000)
    pipe.tick(5)

    assert pipe.lines == ["pulling: 425 MB, 85.0 MB/s"]


def test_only_what_is_done_is_a_hundred_percent() -> None:
    pipe = Pipe(Lines)
    pipe.progress.begin("pulling", 100_000)
    pipe.progress.advance(99_999)
    pipe.tick(5)
    pipe.progress.advance(5)
    pipe.tick(5)

    assert ["(99%)" in pipe.lines[0], "(100%)" in pipe.lines[1]] == [True, True]


def test_work_that_is_done_soon_says_nothing() -> None:
    pipe = Pipe(Lines)
    pipe.progress.begin("pulling", 10)
    pipe.progress.item("a", 10, 10)
    pipe.progress.advance(10)
    pipe.progress.item_end("a")
    pipe.progress.end()

    assert pipe.lines == []
    assert (Lines.patience, Lines.period) == (5.0, 5.0)


def test_a_note_is_a_line_of_its_own_in_which_nothing_drives_a_terminal() -> None:
    pipe = Pipe(Lines)
    pipe.progress.begin("pulling", 0)
    pipe.tick(5)
    pipe.progress.note("waiting 4 s: \x1b[2J\n\u2028 answered 503")

    assert pipe.lines[1:] == ["waiting 4 s: \\x1b[2J\\n\\u2028 answered 503"]


def test_what_is_noted_is_said_only_once_it_takes_long() -> None:
    pipe = Pipe(Lines)
    pipe.progress.note("waiting for process 7")
    assert pipe.lines == []
    pipe.tick(5)
    pipe.progress.note("waiting for process 8")
    pipe.tick(5)

    assert pipe.lines == ["waiting for process 7", "waiting for process 8"]


def test_what_was_noted_before_work_went_on_is_no_news() -> None:
    pipe = Pipe(Lines)
    pipe.progress.note("waiting for process 7")
    pipe.progress.begin("pulling", 0)
    pipe.progress.note("trying again")
    pipe.progress.end()
    pipe.tick(5)

    assert pipe.lines == []


# JSON


def test_events_tell_of_the_work_and_of_each_file() -> None:
    pipe = Pipe(Events)
    pipe.progress.begin("pulling", 1000)
    pipe.progress.item("a\x1b", 0, None)
    pipe.progress.item("a\x1b", 100, 400)
    pipe.progress.advance(100)
    pipe.tick(0.5)
    pipe.progress.note("why")
    pipe.progress.item_end("a\x1b")
    pipe.tick(0.5)
    pipe.progress.end()

    progress = {"event": "progress", "what": "pulling", "done_bytes": 100, "total_bytes": 1000}
    assert pipe.events == [
        {"event": "begin", "what": "pulling", "total_bytes": 1000},
        {"event": "file", "name": "a\x1b", "done_bytes": 0, "total_bytes": None},
        {**progress, "bytes_per_second": 200, "seconds_left": 4.5},
        {"event": "file", "name": "a\x1b", "done_bytes": 100, "total_bytes": 400},
        {"event": "note", "text": "why"},
        {"event": "file_end", "name": "a\x1b"},
        {**progress, "bytes_per_second": 100, "seconds_left": 9.0},
        {
            "event": "end",
            "what": "pulling",
            "done_bytes": 100,
            "total_bytes": 1000,
            "seconds": 1.0,
        },
    ]
    assert "\x1b" not in "".join(pipe.lines)


def test_a_file_is_told_of_only_where_something_has_changed() -> None:
    pipe = Pipe(Events)
    pipe.progress.begin("pulling", 1000)
    for done in (1, 2, 3):
        pipe.progress.item("a", done, 4)
    for _ in range(3):
        pipe.tick(0.5)

    assert [event["done_bytes"] for event in pipe.events if event["event"] == "file"] == [1, 3]
    assert (Events.patience, Events.period) == (0.5, 0.5)


def test_without_a_total_there_is_null_and_no_guess() -> None:
    pipe = Pipe(Events)
    pipe.progress.begin("pulling", 0)
    pipe.progress.advance(5)
    pipe.tick(1)

    begin, progress = pipe.events
    assert begin["total_bytes"] is progress["total_bytes"] is progress["seconds_left"] is None


def test_the_page_names_the_keys_of_every_event() -> None:
    pipe = Pipe(Events)
    pipe.progress.begin("pulling", 10)
    pipe.progress.item("a", 1, 2)
    pipe.progress.note("n")
    pipe.tick(1)
    pipe.progress.item_end("a")
    pipe.progress.end()
    page = (ROOT / "docs" / "json.md").read_text("utf-8").partition("\n## Progress\n")[2]
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \|", page, re.MULTILINE)
    named = {key: set(re.findall(r"`(\w+)`", where)) for key, where in rows}
    words = set(re.findall(r"^- `(\w+)`:", page, re.MULTILINE))

    found: dict[str, set[str]] = {}
    for event in pipe.events:
        for key in event:
            found.setdefault(key, set()).add(event["event"])
    assert found.pop("event") == words
    assert named.pop("event") == set()
    assert found == named


# Commands


def test_a_command_tells_of_its_work_as_json_and_stdout_is_one_document(
    process: Process, scene: Scene, tmp_path: Path, lay: LayOut
) -> None:
    lay("model", {"a": b"a" * 1000})

    done = process("--json", "add", tmp_path / "model", "zoo:new", "--progress=json")

    events = [json.loads(line) for line in done.stderr.splitlines()]
    assert json.loads(done.stdout)["new_bytes"] > 1000
    assert (events[0]["event"], events[0]["what"]) == ("begin", "adding")
    assert (events[-1]["event"], events[-1]["done_bytes"]) == ("end", 1000)


def test_work_that_fails_ends_before_the_error_is_told(
    cli: Cli, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(5, "the disk is on fire")

    monkeypatch.setattr("zoostore.ops.laying.Layer.lay_all", fail)

    ran = cli("--progress", "json", "checkout", "zoo:one", scene.work.parent / "new")

    *_, last, error = ran.err.splitlines()
    assert ran.code == 1
    assert json.loads(last)["event"] == "end"
    assert error.startswith("error: ")


@pytest.mark.parametrize("place", ["before", "after"])
def test_the_option_stands_before_or_after_the_verb(cli: Cli, scene: Scene, place: str) -> None:
    option = ["--progress", "json"]
    command = ["verify"]

    ran = cli(*(option + command if place == "before" else command + option))

    assert json.loads(ran.err.splitlines()[0])["event"] == "begin"


def test_a_way_that_is_none_is_a_usage_error_that_names_those_that_are(cli: Cli) -> None:
    ran = cli("ls", "--progress", "loud")

    assert ran.code == 2
    for mode in ("auto", "bar", "plain", "json", "none"):
        assert f"'{mode}'" in ran.err


def test_a_command_that_is_soon_done_says_nothing_of_progress_on_a_pipe(
    process: Process, scene: Scene
) -> None:
    assert process("cat", "zoo:one", "big.bin").stderr == b""
