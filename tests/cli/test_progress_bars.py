"""Progress on a terminal: what stands there, whatever the names, the sizes and the terminal."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import ConsoleDimensions

from zoostore.cli.progress.bars import Bars
from zoostore.cli.progress.picture import picture, shortened
from zoostore.cli.progress.watch import Watch
from zoostore.cli.progress.work import Part, Seen

if TYPE_CHECKING:
    from tests.conftest import LayOut

MB = 1_000_000
PROGRAM = """
from zoostore.cli.process import main
from zoostore.cli.progress.bars import Bars
Bars.patience = Bars.period = 0.001
main()
"""
"""The command line without its patience: a test's work is done before a bar is worth it."""


def lines(seen: Seen, width: int = 80, height: int = 24, encoding: str = "utf-8") -> list[str]:
    return picture(seen, ConsoleDimensions(width, height), encoding).plain.split("\n")


def file(name: str, done: int = 25 * MB, total: int | None = 100 * MB) -> Part:
    return Part(name, done, total, 5.0 * MB)


def seen(*files: Part, total: int | None = 1000 * MB) -> Seen:
    return Seen(Part("pulling", 250 * MB, total, 50.0 * MB), 5.0, files)


def without_escapes(text: str) -> str:
    return re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", text)


# The picture


def test_there_is_a_line_for_each_file_and_one_for_the_whole() -> None:
    assert lines(seen(file("config.json"), file("weights/model.bin", 1, None))) == [
        "config.json             ━━─────────  25.0 MB of 100 MB  5.0 MB/s",
        "weights/model.bin                                  1 B  5.0 MB/s",
        "pulling                 ━━─────────   250 MB of 1.0 GB 50.0 MB/s 15 s left",
    ]


def test_a_narrow_terminal_has_a_name_and_a_share() -> None:
    assert lines(seen(file("weights/model.bin")), width=20) == [
        "wei.../model.bin 25%",
        "pulling          25%",
    ]


def test_a_terminal_of_middle_width_has_the_speed_and_the_time_left() -> None:
    first, last = lines(seen(file("weights/model.bin")), width=50)

    assert first.endswith("25%        5.0 MB/s")
    assert last.endswith("25%       15 s left")


def test_files_that_do_not_fit_are_counted() -> None:
    files = [file(f"file {number}") for number in range(10)]

    shown = lines(seen(*files), height=6)

    assert len(shown) == 5
    assert [line.split("  ")[0] for line in shown[:3]] == ["file 0", "file 1", "file 2"]
    assert shown[3] == "and 7 more"
    assert len(lines(seen(*files), height=1)) == 1, "the whole is always there"
    assert len(lines(seen(*files), height=12)) == 11, "and if all fit, all are shown"


def test_what_the_terminal_has_no_letters_for_is_escaped() -> None:
    shown = "\n".join(lines(seen(file("模型.bin")), encoding="ascii"))

    assert shown.isascii()
    assert "\\u6a21" in shown
    assert "##--" in shown


def test_the_middle_of_a_name_is_left_out() -> None:
    assert shortened("a.bin", 8) == "a.bin   "
    assert shortened("folder/sub/a.bin", 14) == "folde.../a.bin"
    assert shortened("model-00001-of-00004.safetensors", 20) == "model-00001-...nsors"
    assert shortened("模型模型模型", 8) == "模 ...型"


names = st.text(st.characters() | st.sampled_from("\x1b[]/\n模\u202e\u0301\udcff🦓"), max_size=60)
parts = st.builds(
    lambda name, done, total, speed: Part(name, min(done, total or done), total, speed),
    names,
    st.integers(0, 2**63),
    st.none() | st.integers(0, 2**63),
    st.floats(0, 1e18),
)


@given(
    parts,
    st.lists(parts, max_size=6),
    st.integers(1, 200),
    st.integers(1, 12),
    st.sampled_from(["utf-8", "ascii", "latin-1"]),
)
def test_every_line_fits_the_terminal(
    whole: Part, files: list[Part], width: int, height: int, encoding: str
) -> None:
    shown = lines(Seen(whole, 1.0, tuple(files)), width, height, encoding)

    assert len(shown) <= max(1, height - 1)
    for line in shown:
        assert cell_len(line) <= width
        assert line.isprintable()
        assert line.encode(encoding)


# The terminal


class Screen:
    """A watch with bars, and all that was written to its terminal."""

    def __init__(self) -> None:
        self._stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
        self.progress = Watch(Bars(self._stream), lambda: 0.0, is_ticking=False)

    @property
    def text(self) -> str:
        buffer = self._stream.buffer
        assert isinstance(buffer, io.BytesIO)
        return buffer.getvalue().decode()


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "24")
    return Screen()


def test_work_that_is_done_soon_shows_nothing(screen: Screen) -> None:
    screen.progress.begin("pulling", 10)
    screen.progress.item("a", 1, 10)
    screen.progress.advance(10)
    screen.progress.end()

    assert screen.text == ""
    assert Bars.patience == 0.4


def test_the_bars_are_gone_and_the_cursor_is_back_when_work_ends(screen: Screen) -> None:
    screen.progress.begin("pulling", 10)
    screen.progress.item("a", 1, 10)
    screen.progress.tick()
    assert "pulling" in screen.text

    screen.progress.end()

    after = screen.text[screen.text.rindex("B/s") :]
    assert after.count("\x1b[2K") == 2, "both lines are erased"
    assert screen.text.rindex("\x1b[?25h") > screen.text.rindex("\x1b[?25l")


def test_a_file_that_ended_is_not_shown_any_more(screen: Screen) -> None:
    screen.progress.begin("pulling", 10)
    screen.progress.item("first.bin", 1, 10)
    screen.progress.tick()
    screen.progress.item_end("first.bin")
    before = len(screen.text)
    screen.progress.tick()

    assert "first.bin" in screen.text[:before]
    assert "first.bin" not in screen.text[before:]


def test_notes_are_lines_before_and_above_the_bars(screen: Screen) -> None:
    screen.progress.note("waiting for process 7\x07")
    assert screen.text == "waiting for process 7\\x07\n"

    screen.progress.begin("pulling", 10)
    screen.progress.tick()
    before = len(screen.text)
    long = f"waiting 4 s: [bold]{'x' * 100}[/bold] answered 503"
    screen.progress.note(long)

    shown = without_escapes(screen.text[before:])
    assert shown.index(long) < shown.index("pulling")


def test_a_name_is_no_markup_and_no_escape(screen: Screen) -> None:
    screen.progress.begin("pulling", 10)
    screen.progress.item("[red]a :bomb:\x1b]0;title\x07", 1, 10)
    screen.progress.tick()

    assert "[red]a :bomb:" in without_escapes(screen.text)
    assert "\x1b]" not in screen.text
    assert "\x07" not in screen.text


def test_without_colours_there_are_none(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    def shown() -> str:
        before = len(screen.text)
        screen.progress.begin("pulling", 10)
        screen.progress.advance(5)
        screen.progress.tick()
        screen.progress.end()
        return screen.text[before:]

    coloured = shown()
    monkeypatch.setenv("NO_COLOR", "1")
    plain = shown()

    assert "\x1b[32m" in coloured
    assert not re.search(r"\x1b\[[0-9;]*m", plain.replace("\x1b[0m", ""))
    assert without_escapes(coloured) == without_escapes(plain)


def test_a_terminal_may_be_smaller_than_anything(
    screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "1")
    monkeypatch.setenv("LINES", "1")
    screen.progress.begin("pulling", 10)
    screen.progress.item("a", 1, 10)
    screen.progress.tick()
    screen.progress.end()

    assert screen.text


def on_a_terminal(*arguments: str | Path, env: dict[str, str]) -> tuple[int, str, str]:
    """Exit code, stdout, and what was written to the terminal that is stderr."""
    leader, follower = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=follower,
        env={**os.environ, "COLUMNS": "80", "PYTHONIOENCODING": "utf-8", **env},
    ) as process:
        os.close(follower)
        written = b""
        try:
            while piece := os.read(leader, 4096):
                written += piece
        except OSError:  # the other end was closed
            pass
        finally:
            os.close(leader)
        assert process.stdout is not None
        out = process.stdout.read()
        code = process.wait(60)
    return code, out.decode(), written.decode()


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_command_shows_bars_on_a_terminal_and_data_where_stdout_leads(
    lay: LayOut, options: tuple[str, ...]
) -> None:
    model = lay("model", {"a.bin": bytes(32 * MB), "b.bin": b"b" * 32 * MB})

    code, out, err = on_a_terminal("add", model, "zoo:new", *options, env={"TERM": "xterm"})

    assert code == 0
    assert "zoo:new" in out
    assert "\x1b" not in out
    assert "adding" in err
    assert err.count("\x1b[?25l") == err.count("\x1b[?25h") > 0


def test_a_dumb_terminal_gets_no_escapes(lay: LayOut) -> None:
    model = lay("model", {"a.bin": bytes(32 * MB)})

    code, _, err = on_a_terminal("add", model, "zoo:new", env={"TERM": "dumb"})

    assert code == 0
    assert "\x1b" not in err
    assert "new object" in err
