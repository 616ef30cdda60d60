"""The examples of the documentation are typed in, and print what the pages say they print.

A page is one session in one directory. In a `console` block, `$ ` begins a command (`> `
goes on with it) and what follows is what it prints; in a `python` block stands a program,
and in a `text` block right behind it what it prints. `…` stands for anything in a line,
and a line of nothing else for any lines. A block after `<!-- not run -->` is only read.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "docs/quickstart.md", "docs/python.md")
NOT_RUN = "<!-- not run -->"

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SECONDS = 60


class Example(NamedTuple):
    """Something to run: `language` is `bash` or `python`; `prints` is None if nothing is said."""

    language: str
    code: str
    prints: str | None


class Block(NamedTuple):
    """A fenced block, and the text between it and the one before."""

    language: str
    body: str
    before: str


def blocks(page: str) -> Iterator[Block]:
    end = 0
    for match in _FENCE.finditer(page):
        yield Block(match[1], match[2], page[end : match.start()])
        end = match.end()


def examples(page: str) -> Iterator[Example]:
    """What a page has to be typed in, in order."""
    found = list(blocks(page))
    for block, following in zip(found, [*found[1:], Block("", "", "")], strict=True):
        if block.before.rstrip().endswith(NOT_RUN):
            continue
        if block.language == "console":
            yield from _commands(block.body)
        elif block.language == "python":
            is_output = following.language == "text" and not following.before.strip()
            yield Example("python", block.body, following.body if is_output else None)


def _commands(body: str) -> Iterator[Example]:
    for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        count = 1
        while count < len(lines) and lines[count].startswith("> "):
            count += 1
        code = "\n".join(line.removeprefix("> ") for line in lines[:count])
        printed = "".join(f"{line}\n" for line in lines[count:])
        yield Example("bash", code, printed if printed.strip() else None)


def is_as_shown(shown: str, printed: str) -> bool:
    """Whether output is what a page shows, `…` standing for anything."""
    return re.fullmatch(_pattern(shown), _stripped(printed)) is not None


def _pattern(shown: str) -> str:
    parts = []
    for line in _stripped(shown).splitlines():
        if line == "…":
            parts.append(r"(?:.*\n)*?")
            continue
        # Where a file system can share blocks, that is what `auto` chooses.
        text = re.escape(line).replace("…", ".*?").replace("hardlink", "(?:hardlink|reflink)")
        parts.append(text + r"\n")
    return "".join(parts)


def _stripped(text: str) -> str:
    """Lines without the spaces at their ends, for editors take those away."""
    return "".join(f"{line.rstrip()}\n" for line in text.rstrip().splitlines())


class Session:
    """One page's directory, store and shell, in which examples run one after the other."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._directory = root / "work"
        self._directory.mkdir()
        self._environment = {
            "HOME": str(root),
            "LANG": "C.UTF-8",
            "PATH": f"{self._make_commands()}{os.pathsep}{os.environ['PATH']}",
            "TZ": "UTC",
            "ZOOSTORE_HOME": str(root / "store"),
            "ZOOSTORE_OFFLINE": "1",
        }

    def _make_commands(self) -> Path:
        """`zoostore` and `python` as the pages call them: those that run this test."""
        folder = self._root / "bin"
        folder.mkdir()
        python = shlex.quote(sys.executable)
        for name, command in (("zoostore", f"{python} -m zoostore"), ("python", python)):
            script = folder / name
            script.write_text(
                f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(ROOT))} exec {command} "$@"\n'
            )
            script.chmod(0o755)
        return folder

    def run(self, example: Example) -> tuple[int, str]:
        """The exit code and all that is printed, as a terminal would show it."""
        where = self._root / "directory"
        if example.language == "bash":
            script = f"{example.code}\nstatus=$?\npwd >{shlex.quote(str(where))}\nexit $status\n"
            command = ["bash", "-c", script]
        else:
            command = ["python", "-c", example.code]
        done = subprocess.run(
            command,
            cwd=self._directory,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=_SECONDS,
            check=False,
        )
        if example.language == "bash":
            self._directory = Path(where.read_text("utf-8").rstrip("\n"))
        return done.returncode, done.stdout


@pytest.mark.parametrize("name", PAGES)
def test_a_page_does_what_it_says(name: str, tmp_path: Path) -> None:
    session = Session(tmp_path)

    for example in examples((ROOT / name).read_text("utf-8")):
        code, printed = session.run(example)

        assert code == 0, f"{name}: this failed:\n{example.code}\n{printed}"
        shown = example.prints
        assert shown is None or is_as_shown(shown, printed), (
            f"{name}: this:\n\n{example.code}\n\nprints:\n\n{printed}\nand not:\n\n{shown}"
        )


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_examples_that_show_what_they_print(name: str) -> None:
    found = list(examples((ROOT / name).read_text("utf-8")))

    assert sum(example.prints is not None for example in found) >= 5
    assert {example.language for example in found} == {"bash", "python"}


def test_examples_are_found_in_a_page() -> None:
    page = (
        "```console\n$ one \\\n> two\nout\n$ three\n```\ntext\n```sh\nnot this\n```\n"
        f"{NOT_RUN}\n```console\n$ nor this\n```\n```python\nprint(1)\n```\n\n```text\n1\n```\n"
    )

    assert list(examples(page)) == [
        Example("bash", "one \\\ntwo", "out\n"),
        Example("bash", "three", None),
        Example("python", "print(1)\n", "1\n"),
    ]


@pytest.mark.parametrize(
    ("shown", "printed", "is_same"),
    [
        ("a\n", "a\n", True),
        ("a\n", "b\n", False),
        ("a\n", "a\nb\n", False),
        ("a … c\n", "a b c\n", True),
        ("a … c\n", "a b\n", False),
        ("a…c\n", "a\nc\n", False),
        ("a\n…\nc\n", "a\nb\nb\nc\n", True),
        ("a\n…\nc\n", "a\nc\n", True),
        ("a\n…\n", "b\nc\n", False),
        ("1 by hardlink\n", "1 by reflink\n", True),
        ("1 by hardlink\n", "1 by copy\n", False),
        ("(a.b)\n", "(a.b)  \n", True),
        ("(a.b)\n", "(axb)\n", False),
    ],
)
def test_output_is_compared_with_what_is_shown(shown: str, printed: str, is_same: bool) -> None:
    assert is_as_shown(shown, printed) is is_same
