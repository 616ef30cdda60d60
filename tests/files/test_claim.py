"""Claims: one process at a time, and those of processes that are gone do not count."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import zoostore
from zoostore.errors import StoreBusy
from zoostore.files import claim as claim_module
from zoostore.files.claim import boot_id, claim
from zoostore.files.staging import host_name, owner_is_gone


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "claim"


def command(script: str, *args: object) -> list[str]:
    return [sys.executable, "-c", script, *map(str, args)]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(zoostore.__file__).parent.parent)}


def claimed(path: Path) -> bool:
    """Whether the claim could be had."""
    with claim(path, "The zoo"):
        return path.exists()


def test_a_claim_stands_while_it_is_held(path: Path) -> None:
    with claim(path, "The zoo"):
        assert path.read_text().split()[:2] == [host_name(), str(os.getpid())]

    assert not path.exists()


def test_a_claim_ends_with_an_error(path: Path) -> None:
    def fail_within() -> None:
        with claim(path, "The zoo"):
            raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        fail_within()
    assert not path.exists()


def test_a_claim_that_is_held_is_refused_with_the_name_of_its_holder(path: Path) -> None:
    with claim(path, "The zoo"):
        with pytest.raises(StoreBusy) as caught, claim(path, "The zoo"):
            pass
        assert path.exists()

    assert caught.value.facts["pid"] == str(os.getpid())
    assert caught.value.facts["host"] == host_name()
    assert caught.value.exit_code == 11
    assert "The zoo" in caught.value.message


def test_a_claim_of_another_process_is_respected(path: Path) -> None:
    script = """
import sys
from pathlib import Path
from zoostore.files.claim import claim
with claim(Path(sys.argv[1]), "The zoo"):
    print("held", flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen(
        command(script, path),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StoreBusy) as caught:
            claimed(path)
        assert caught.value.facts["pid"] == str(holder.pid)
        holder.communicate()

    assert claimed(path)


@pytest.mark.parametrize("moment", ["os.fdopen", "os.open", "os.write", "os.link", "within"])
def test_the_claim_of_a_process_that_was_killed_at_any_moment_does_not_count(
    path: Path, moment: str
) -> None:
    """Before or after it named itself: whichever calls it makes a claim with."""
    script = """
import os, sys
from pathlib import Path
from zoostore.files.claim import claim

original_open = os.open

def open_and_die(*args, **named):
    original_open(*args, **named)
    os._exit(9)

module, _, name = sys.argv[2].partition(".")
if name:
    setattr(os, name, open_and_die if name == "open" else lambda *_, **__: os._exit(9))
with claim(Path(sys.argv[1]), "The zoo"):
    os._exit(9)
"""
    killed = subprocess.run(command(script, path, moment), check=False, env=environment())
    assert killed.returncode == 9

    assert claimed(path)


def test_a_claim_does_not_count_because_its_process_has_a_namesake(path: Path) -> None:
    """Ids of processes are given again, and each container counts its own."""
    path.write_text(f"some-container {os.getpid()} {boot_id()}\n")

    assert claimed(path)


def test_a_claim_from_before_the_machine_was_restarted_does_not_count(path: Path) -> None:
    path.write_text(f"{host_name()} {os.getpid()} 00000000-0000-0000-0000-000000000000\n")

    assert claimed(path)


def test_a_claim_made_on_another_machine_is_respected(path: Path) -> None:
    path.write_text("other-machine 1\n")

    with pytest.raises(StoreBusy) as caught:
        claimed(path)

    assert caught.value.facts["host"] == "other-machine"
    assert path.read_text() == "other-machine 1\n"


@pytest.mark.parametrize(
    "content",
    [b"\xff\xfe", f"{host_name()} 99999999999999999999\n".encode(), b"x" * 100_000, b"a b c\n"],
    ids=["no text", "no process", "long", "three words"],
)
def test_a_claim_that_says_something_else_is_refused_or_does_not_count(
    path: Path, content: bytes
) -> None:
    path.write_bytes(content)

    try:
        assert claimed(path)
    except StoreBusy:
        assert path.read_bytes() == content


def test_a_claim_made_while_an_abandoned_one_is_looked_at_is_respected(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes find the same abandoned claim; the slower must not remove the faster's."""
    gone = subprocess.Popen(command(""))
    gone.wait()
    path.write_text(f"{host_name()} {gone.pid}\n")
    faster = f"{host_name()} {os.getppid()}\n"

    def overtaken(host: str, pid: str) -> bool:
        is_gone = owner_is_gone(host, pid)
        if is_gone:
            path.unlink()
            path.write_text(faster)
        return is_gone

    monkeypatch.setattr(claim_module, "owner_is_gone", overtaken)

    with pytest.raises(StoreBusy):
        claimed(path)

    assert path.read_text() == faster
