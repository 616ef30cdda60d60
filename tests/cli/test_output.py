"""What goes where: data on stdout, talk on stderr, nothing that could drive a terminal."""

from __future__ import annotations

import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from zoostore import Store
from zoostore.cli.verbs import VERBS

if TYPE_CHECKING:
    from tests.conftest import Cli, Content, LayOut, Process, Ran, Scene

ESCAPE = "\x1b[31m\x07\x9b0m"
NASTY = f"na{ESCAPE}me\r\n\u2028x"
ALL_VERBS = [(verb,) for verb in VERBS] + [("remote", verb) for verb in ("add", "ls", "show", "rm")]


def unprintable(text: str) -> set[str]:
    """What of a text could move a cursor, but for the ends of lines."""
    return {character for character in text if not character.isprintable()} - {"\n"}


# Data and talk


@pytest.mark.parametrize(
    ("arguments", "data"),
    [
        (("checkout", "zoo:one", "{new}"), "{new}\n"),
        (("tag", "zoo:one", "v2"), "{tip}  v2\n"),
        (("pull", "zoo:one@v1"), "{first}  zoo:one\n"),
        (("rm", "zoo:one"), "{tip}\n"),
        (("publish", "zoo:one", "--to", "{new}"), "{new}\n"),
        (("cat", "zoo:one", "text"), "second"),
        (("status", "{work}"), "modified   text\ndeleted    link\nuntracked  new\n"),
        (("diff", "zoo:one@v1", "zoo:one"), "changed    text\n"),
        (("verify",), ""),
    ],
)
def test_only_data_is_on_stdout(
    process: Process, scene: Scene, tmp_path: Path, arguments: tuple[str, ...], data: str
) -> None:
    values = {
        "new": tmp_path / "made",
        "work": scene.work,
        "tip": scene.store.snapshot("zoo:one").id,
        "first": scene.store.snapshot("zoo:one@v1").id,
    }

    done = process(*(argument.format(**values) for argument in arguments))

    assert done.returncode == 0
    assert done.stdout.decode() == data.format(**values)


@pytest.mark.parametrize("quiet", ["-q", "--quiet"])
@pytest.mark.parametrize(
    "arguments",
    [
        ("checkout", "zoo:one", "{new}"),
        ("pull", "mlp-512-digits-base"),
        ("add", "{source}", "zoo:new"),
        ("commit", "{work}", "-m", "m"),
        ("status", "{work}"),
        ("du",),
        ("verify",),
        ("rm", "zoo:two"),
        ("publish", "zoo:one", "--to", "{new}"),
    ],
)
def test_talk_is_on_stderr_and_can_be_silenced(
    cli: Cli, scene: Scene, tmp_path: Path, lay: LayOut, arguments: tuple[str, ...], quiet: str
) -> None:
    lay("source", {"a": b"a"})
    loud_place, silent_place = tmp_path, shutil.copytree(tmp_path, tmp_path / "copy", symlinks=True)

    def run(place: Path, *more: str) -> Ran:
        values = {"new": place / "made", "work": place / "work", "source": place / "source"}
        filled = [argument.format(**values) for argument in arguments]
        return cli("--store", place / "store", *more, *filled)

    loud, silent = run(loud_place), run(silent_place, quiet)

    assert (loud.code, silent.code) == (0, 0)
    assert loud.err
    assert silent.err == ""
    assert bool(silent.out) == bool(loud.out)


def test_cat_writes_the_bytes_and_nothing_else(process: Process, scene: Scene) -> None:
    done = process("cat", "zoo:one", "big.bin")

    assert (done.returncode, done.stdout, done.stderr) == (0, bytes(range(256)), b"")


def test_cat_follows_a_link_within_the_model(process: Process, scene: Scene) -> None:
    assert process("cat", "zoo:one@v1", "link").stdout == b"first"


@pytest.mark.parametrize(
    ("content", "encoding", "text"),
    [(b"text \xc3\xa9", "utf-8", "text é"), (b"\xff\x00", "base64", "/wA=")],
)
def test_cat_as_json_says_how_the_content_is_written(
    store: Store, lay: LayOut, cli: Cli, content: bytes, encoding: str, text: str
) -> None:
    store.add(lay("a", {"file": content}), "zoo:a")

    answer = cli("--store", store.path, "cat", "zoo:a", "file", "--json").json

    assert (answer["encoding"], answer["content"], answer["size"]) == (encoding, text, len(content))


# Names that could drive a terminal


@pytest.fixture
def nasty(store: Store, lay: LayOut, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout of a model in which every text holds control characters."""
    files: dict[str, Content] = {
        f"{NASTY}/{NASTY}1": b"1",
        f"{NASTY}2": b"2" * 20,
        f"{NASTY}3": f"{NASTY}2",
    }
    store.add(
        lay("nasty", files),
        "zoo:nasty",
        message=f"message {NASTY}",
        metadata={f"key {NASTY}": f"value {NASTY}"},
    )
    store.tag("zoo:nasty", "v1")
    work = store.checkout("zoo:nasty", tmp_path / NASTY.replace("\n", "")).directory
    (work / f"{NASTY}2").unlink()
    (work / f"{NASTY}4").write_bytes(b"4")
    (work / NASTY / f"{NASTY}1").write_bytes(b"11")
    with open(store.path / "config.toml", "a") as config:
        config.write('[remotes.far]\nurl = "http://127.0.0.1:1/\\u001b[31m\\u009b0m"\n')
    monkeypatch.setenv("ZOOSTORE_HOME", str(store.path))
    return work


@pytest.mark.parametrize(
    "arguments",
    [
        ("ls",),
        ("ls", "zoo:nasty"),
        ("show", "zoo:nasty"),
        ("log", "zoo:nasty"),
        ("status", "{work}"),
        ("diff", "zoo:nasty", "{work}"),
        ("du",),
        ("remote", "ls"),
        ("remote", "show", "far"),
        ("checkout", "zoo:nasty", "{work}2"),
        ("checkout", "zoo:nasty@v1", "{work}"),
        ("commit", "{work}", "-m", f"message {ESCAPE}"),
        ("add", "{work}", "zoo:new", "-m", f"message {ESCAPE}"),
        ("add", f"{{work}}{ESCAPE}", "zoo:new"),
        ("publish", "zoo:nasty", "--to", "{work}2"),
        ("cat", "zoo:nasty", NASTY),
        ("show", f"zoo:{ESCAPE}"),
        ("show", f"zoo:nasty@{ESCAPE}"),
        ("tag", "zoo:nasty", ESCAPE),
        (ESCAPE,),
        ("ls", f"--{ESCAPE}"),
        ("--store", f"/nonexistent/{ESCAPE}", "ls"),
        ("pull", f"zoo:{ESCAPE}", "zoo:nasty"),
        ("completion", ESCAPE),
    ],
)
def test_control_characters_are_escaped_on_output(
    cli: Cli, nasty: Path, arguments: tuple[str, ...], impatient: None
) -> None:
    ran = cli(*(argument.replace("{work}", str(nasty)) for argument in arguments))

    assert unprintable(ran.out + ran.err) == set()
    assert ran.out or ran.err


def test_control_characters_in_what_verify_finds_are_escaped(
    cli: Cli, nasty: Path, store: Store, loose: Callable[[Path], list[Path]]
) -> None:
    for path in loose(store.path):
        path.unlink()

    ran = cli("verify")

    assert ran.code == 5
    assert "x2" in ran.out, "the file is named"
    assert unprintable(ran.out + ran.err) == set()


@pytest.mark.parametrize("verb", ["ls", "status", "diff"])
def test_json_holds_names_as_they_are(cli: Cli, nasty: Path, verb: str) -> None:
    work = str(nasty)
    arguments = {"ls": ["zoo:nasty"], "status": [work], "diff": ["zoo:nasty", work]}[verb]

    ran = cli(verb, *arguments, "--json")

    assert repr(NASTY)[1:-1] in repr(ran.json)
    assert ran.out.isascii()
    assert unprintable(ran.out) == set()


def test_names_that_are_not_unicode_can_be_shown(process: Process, scene: Scene, cli: Cli) -> None:
    Path(os.fsdecode(os.fsencode(scene.work) + b"/\xff\xfe")).write_bytes(b"")

    plain = process("status", scene.work)
    as_json = process("status", scene.work, "--json")

    assert (plain.returncode, as_json.returncode) == (0, 0)
    assert b"Traceback" not in plain.stderr
    assert b"\\udcff\\udcfe" in plain.stdout
    assert b"\\udcff\\udcfe" in as_json.stdout


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
@pytest.mark.parametrize("verb", ["ls", "log", "show"])
def test_what_a_terminal_cannot_show_is_no_failure(
    process: Process, store: Store, lay: LayOut, verb: str, encoding: str
) -> None:
    store.add(lay("a", {"模型 Ω é": b"a"}), "zoo:a", message="Zażółć 🦓")

    done = process(
        "--store", store.path, verb, "zoo:a", env={"PYTHONIOENCODING": encoding, "LC_ALL": "C"}
    )

    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout


# Terminals


def on_a_terminal(*arguments: str | Path, env: dict[str, str] | None = None) -> bytes:
    """What a command writes to a terminal that is both its stdout and its stderr."""
    leader, follower = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "zoostore", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=follower,
        stderr=follower,
        env={**os.environ, "TERM": "xterm", **(env or {})},
    ) as process:
        os.close(follower)
        parts = []
        try:
            while part := os.read(leader, 4096):
                parts.append(part)
        except OSError:  # the other end was closed
            pass
        finally:
            os.close(leader)
        assert process.wait(60) == 0
    return b"".join(parts)


def test_colours_are_for_terminals_and_not_where_no_color_is_set(
    scene: Scene, process: Process
) -> None:
    assert b"\x1b[" in on_a_terminal("status", scene.work)
    assert b"\x1b[" not in on_a_terminal("status", scene.work, env={"NO_COLOR": "1"})
    assert b"\x1b[" not in process("status", scene.work).stdout


# Readers and writers that go away


def test_a_reader_that_goes_away_ends_the_command_quietly(
    store: Store, lay: LayOut, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add(lay("a", {"big": bytes(1 << 22)}), "zoo:a")
    command = [sys.executable, "-m", "zoostore", "--store", str(store.path), "cat", "zoo:a", "big"]

    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(10) == bytes(10)
        process.stdout.close()
        said = process.stderr.read()

    assert said == b""
    assert process.returncode == 141


@pytest.mark.parametrize("arguments", [("ls",), ("cat", "zoo:one", "big.bin"), ("ls", "--json")])
def test_a_full_disk_behind_stdout_is_an_error_and_no_traceback(
    scene: Scene, arguments: tuple[str, ...]
) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "zoostore", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )

    assert done.returncode not in (0, 130)
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr


def test_ctrl_c_exits_130_and_leaves_the_store_clean(
    store: Store, tmp_path: Path, cli: Cli
) -> None:
    """Interrupted while it reads from a file that is long; nothing of it is kept."""
    (tmp_path / "model").mkdir()
    with open(tmp_path / "model/long.bin", "wb") as file:
        file.write(os.urandom(1 << 20))
        file.truncate(3 << 30)
    command = ["--store", str(store.path), "add", str(tmp_path / "model"), "zoo:long"]

    with subprocess.Popen(
        [sys.executable, "-m", "zoostore", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        until(lambda: is_reading(process.pid, "long.bin"))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)

    assert process.returncode == 130
    assert out == b""
    assert b"Traceback" not in err
    assert err.strip().startswith(b"error: Interrupted")
    assert err.strip().count(b"\n") == 0
    assert list((store.path / "tmp").iterdir()) == []
    assert store.snapshots() == []
    assert store.verify().is_clean
    assert cli("--store", store.path, "verify").code == 0


def is_reading(pid: int, name: str) -> bool:
    """Whether a process has a file of this name open."""
    try:
        return any(os.readlink(link).endswith(name) for link in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return False


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


# Help


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize("verb", [(), *ALL_VERBS])
def test_every_verb_explains_itself(cli: Cli, verb: tuple[str, ...], flag: str) -> None:
    ran = cli(*verb, flag)

    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("Usage: zoostore")
    for option in ("--store", "--offline", "--quiet", "--verbose", "--json", "--no-progress"):
        assert option in ran.out
    assert max(map(len, ran.out.splitlines())) <= 100


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_names_every_verb_with_a_line_about_it(cli: Cli, verb: str) -> None:
    lines = cli("--help").out.splitlines()

    (line,) = (line for line in lines if line.startswith(f"  {verb} "))
    assert line.rstrip().endswith(".")


def test_the_version_is_told(cli: Cli) -> None:
    from zoostore import __version__

    assert cli("--version").out == f"zoostore {__version__}\n"


def test_a_traceback_is_shown_on_request_only(cli: Cli, scene: Scene) -> None:
    assert "Traceback" not in cli("show", "zoo:none").err
    assert "Traceback" in cli("show", "zoo:none", "-v").err
    assert "Traceback" in cli("--verbose", "show", "zoo:none").err


def test_verbose_json_is_one_document_still(cli: Cli, scene: Scene) -> None:
    assert cli("show", "zoo:none", "-v", "--json").json["error"]["kind"] == "unknown_stub"


def test_without_a_verb_the_help_is_shown(cli: Cli) -> None:
    ran = cli()

    assert ran.code == 2
    assert "Usage: zoostore" in ran.out + ran.err
