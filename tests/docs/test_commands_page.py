"""docs/commands.md is what the commands themselves say, whatever the terminal."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import zoostore
from zoostore import errors
from zoostore.cli.reference import ENVIRONMENT, EXIT_CODES, commands, described, page

ROOT = Path(__file__).parents[2]
PACKAGE = Path(zoostore.__file__).parent


def test_the_page_is_what_the_commands_say() -> None:
    written = (ROOT / "docs" / "commands.md").read_text("utf-8")

    assert written == page(), "run: python -m zoostore.cli.reference > docs/commands.md"


def test_the_terminal_and_the_locale_do_not_matter() -> None:
    narrow = {"COLUMNS": "20", "LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "zoostore.cli.reference"],
        cwd=ROOT,
        env={**os.environ, **narrow},
        capture_output=True,
        check=True,
        timeout=60,
    )

    assert done.stdout.decode("utf-8") == page()


def test_every_argument_is_explained() -> None:
    silent = [
        f"{' '.join(words)} {name}"
        for words, command in commands()
        for name, text in described(command, words)
        if not text
    ]

    assert not silent, "say in zoostore.cli.reference.ARGUMENTS what these stand for"


def test_every_exit_code_of_an_error_is_listed() -> None:
    classes = [item for item in vars(errors).values() if isinstance(item, type)]
    codes = {item.exit_code for item in classes if issubclass(item, errors.ZooError)}

    assert codes <= EXIT_CODES.keys()


def test_every_variable_that_is_read_is_listed() -> None:
    sources = [PACKAGE / "environment.py", *(PACKAGE / "cli").rglob("*.py")]
    text = "\n".join(path.read_text("utf-8") for path in sources)
    read = set(re.findall(r'environ\S*\W+"([A-Z_]+)"', text))

    assert read - {"COMPUTERNAME"} <= ENVIRONMENT.keys()
    assert {"ZOOSTORE_HOME", "NO_COLOR"} <= read
