"""completion: scripts that shells take, and words that fit."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from zoostore.cli.verbs import VERBS

if TYPE_CHECKING:
    from tests.conftest import Cli, Process, Scene


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_one_that_the_shell_takes(cli: Cli, shell: str, tmp_path: Path) -> None:
    ran = cli("completion", shell)

    assert (ran.code, ran.err) == (0, "")
    assert "_ZOOSTORE_COMPLETE" in ran.out
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here to ask")
    (tmp_path / "script").write_text(ran.out)
    subprocess.run([shell, "-n", tmp_path / "script"], check=True, timeout=30)


def complete(process: Process, words: str) -> list[str]:
    """What bash would offer for the last word."""
    done = process(
        env={
            "_ZOOSTORE_COMPLETE": "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(words.count(" ")),
        }
    )
    assert done.stderr == b""
    return [line.partition(",")[2] for line in done.stdout.decode().splitlines() if line]


def test_verbs_are_completed(process: Process) -> None:
    assert complete(process, "zoostore ch") == ["checkout"]
    assert sorted(complete(process, "zoostore ")) == sorted(VERBS)


def test_models_are_completed(process: Process, scene: Scene) -> None:
    assert complete(process, "zoostore show ") == ["one", "two"]
    assert complete(process, "zoostore show o") == ["one"]
    assert complete(process, "zoostore verify one t") == ["two"]


def test_options_are_completed(process: Process) -> None:
    assert "--link" in complete(process, "zoostore checkout --l")
    assert complete(process, "zoostore checkout one --link h") == ["hardlink"]


def test_without_a_store_nothing_is_completed_and_nothing_said(process: Process) -> None:
    assert complete(process, "zoostore show ") == []
