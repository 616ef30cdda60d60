"""docs/json.md names every key of every JSON document, and no other."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from zoostore.cli.reference import commands

ROOT = Path(__file__).parents[2]
NO_DOCUMENT = "Progress"
"""What the page says of lines on stderr; tests of progress read it."""
FREE = ("metadata", "tags", "facets")
"""Objects whose keys are what somebody chose."""

Ask = Callable[..., Any]
"""Runs a command, and gives the JSON document that it printed."""


def documented() -> dict[str, set[str]]:
    """The keys that the page names, by the heading they stand under."""
    sections = re.split(
        r"^## (.+)$", (ROOT / "docs" / "json.md").read_text("utf-8"), flags=re.MULTILINE
    )[1:]
    return {
        heading: set(re.findall(r"^\| `(.+?)` \|", body, re.MULTILINE))
        for heading, body in zip(sections[::2], sections[1::2], strict=True)
        if heading != NO_DOCUMENT
    }


def keys(value: Any, path: str = "") -> Iterator[str]:
    """The keys of a document, in the way in which the page writes them."""
    if isinstance(value, list):
        for item in value:
            yield from keys(item, f"{path}[]") if isinstance(item, dict | list) else [path]
        if not value and path:
            yield path
    elif isinstance(value, dict):
        is_free = path.rpartition(".")[2] in FREE
        for key, item in value.items():
            name = "*" if is_free else key
            yield from keys(item, f"{path}.{name}" if path else name)
    else:
        yield path


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    environment = {name: value for name, value in os.environ.items() if "ZOOSTORE" not in name}
    environment |= {"ZOOSTORE_HOME": str(tmp_path / "store"), "ZOOSTORE_OFFLINE": "1"}

    def asked(*arguments: str, code: int = 0) -> Any:
        done = subprocess.run(
            [sys.executable, "-m", "zoostore", *arguments, "--json"],
            cwd=tmp_path,
            env={**environment, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert not done.stderr
        return json.loads(done.stdout)

    return asked


def documents(ask: Ask, directory: Path) -> Iterator[tuple[str, Any]]:
    """A document of each kind, under the heading that it belongs to."""
    (directory / "m").mkdir()
    (directory / "m" / "a").write_bytes(b"a")
    model = "zoo:cv/classification/mlp-1/numpy/none/none/base-none"
    yield "add", ask("add", "m", model, "--meta", "k=v")
    yield "tag", ask("tag", model, "v1")
    yield "checkout", ask("checkout", model, "out")
    (directory / "out" / "b").write_bytes(b"b")
    yield "status", ask("status", "out")
    yield "diff", ask("diff", model, "out")
    yield "commit", ask("commit", "out", "-m", "more")
    yield "ls", ask("ls")
    yield "ls STUB", ask("ls", model)
    yield "search", ask("search", "mlp-1")
    yield "show", ask("show", f"{model}@v1")
    yield "log", ask("log", model)
    yield "cat", ask("cat", model, "a")
    yield "du", ask("du")
    yield "publish", ask("publish", model, "--to", "zoo")
    yield "remote add", ask("remote", "add", "lab", "zoo")
    yield "remote ls", ask("remote", "ls")
    yield "remote show", ask("remote", "show", "lab")
    yield "pull", ask("pull", model)
    yield "remote rm", ask("remote", "rm", "lab")
    yield "completion", ask("completion", "bash")
    yield "Errors", ask("show", "nothing", code=6)
    (directory / "m" / "half.part").write_bytes(b"half")
    yield "adopt", ask("adopt", "m")
    yield "verify", ask("verify")
    yield "repair", ask("repair")
    yield "rm", ask("rm", model)
    ask("pull", "mlp-32-breast_cancer-base")
    shutil.rmtree(directory / "out")
    (directory / "store" / "quarantine").mkdir()
    (directory / "store" / "quarantine" / "old").write_bytes(b"x")
    yield "gc", ask("gc", "--grace", "0", "--max-size", "0", code=3)


def test_the_page_has_a_heading_for_every_command() -> None:
    verbs = {" ".join(words) for words, command in commands() if command.params}

    assert {*verbs, "Errors", "ls STUB"} - {"remote"} == set(documented())


def test_the_page_names_the_keys_of_every_document(ask: Ask, tmp_path: Path) -> None:
    named = documented()
    found = dict(documents(ask, tmp_path))

    assert found.keys() == named.keys()
    for heading, document in found.items():
        # Where all is whole, there is nothing to say of what is damaged or missing.
        lists = {key: key.partition("[].")[0] for key in named[heading]}
        empty = {"damaged", "missing", "dropped"}
        expected = {name if name in empty else key for key, name in lists.items()}
        assert set(keys(document)) == expected, heading


def test_the_page_names_the_keys_of_what_is_damaged_or_missing(ask: Ask, tmp_path: Path) -> None:
    for name in ("damaged", "missing"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "large").write_bytes(name.encode() * 20_000)
        ask("add", name, name)
    oids = [ask("ls", name)[0]["oid"] for name in ("damaged", "missing")]
    damaged, missing = (tmp_path / "store" / "objects" / oid[:2] / oid[2:] for oid in oids)
    damaged.chmod(0o644)
    damaged.write_bytes(b"something else")
    missing.unlink()

    document = ask("verify", code=5)

    assert set(keys(document)) == documented()["verify"]
    assert [document[name][0]["what"] for name in ("damaged", "missing")] == oids

    repaired = ask("repair", "--drop")

    of_findings = {key.rpartition(".")[2] for key in documented()["verify"] if "[]" in key}
    lists = ("damaged", "repaired", "missing")
    found = {
        key for key in keys(repaired) if not key.startswith(tuple(f"{name}[" for name in lists))
    }
    assert found | set(lists) == documented()["repair"]
    assert all(finding.keys() == of_findings for name in lists for finding in repaired[name])
    assert [finding["what"] for finding in repaired["missing"]] == oids


def test_one_of_several_pulls_may_be_an_error(ask: Ask) -> None:
    first, second = ask("pull", "mlp-32-breast_cancer-base", "nothing", code=3)

    assert set(keys(first)) == documented()["pull"]
    assert second["stub"] == "nothing"
    assert set(keys({"error": second["error"]})) == documented()["Errors"]
