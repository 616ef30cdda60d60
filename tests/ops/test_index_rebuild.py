"""The index is derived: without it, or with a damaged or wrong one, every answer is the same."""

from __future__ import annotations

import gc
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from zoostore import Store

if TYPE_CHECKING:
    from tests.conftest import Cli, Files, LayOut

BIG = bytes(range(256))
FAMILY = "zoo:cv/classification/mlp-9/numpy/zoostore/digits/"
VERBS: tuple[tuple[str, ...], ...] = (
    ("ls",),
    ("ls", "zoo:one"),
    ("show", "zoo:one"),
    ("show", "zoo:one@v1"),
    ("show", "mlp-9-digits-base"),
    ("show", "zoo:gone"),
    ("log", "zoo:one"),
    ("log", "zoo:part"),
    ("cat", "zoo:one", "text"),
    ("cat", "zoo:one@~1", "big"),
    ("diff", "zoo:one@v1", "zoo:one"),
    ("du",),
    ("du", "zoo:one"),
    ("verify",),
    ("remote", "ls"),
)
PROGRAM = """
import contextlib, io, json, sys
from zoostore.cli.main import run
answers = {}
for verb in json.loads(sys.argv[1]):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = run([*verb, "--json"])
    answers[" ".join(verb)] = [code, json.loads(out.getvalue())]
print(json.dumps(answers))
"""


def answers(home: Path) -> dict[str, Any]:
    """What every verb that only looks says of a store, asked in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(VERBS)],
        env={**os.environ, "ZOOSTORE_HOME": str(home)},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    found: dict[str, Any] = json.loads(done.stdout.decode().replace(str(home), "HOME"))
    return found


@pytest.fixture(scope="module")
def original(
    tmp_path_factory: pytest.TempPathFactory, lay_at: Callable[[Path, Files], Path]
) -> Path:
    """A store with models in every state, closed, and only to be copied.

    Beside it are its own index as it once was, and the index of another store.
    """
    root = tmp_path_factory.mktemp("index")
    lay_at(root / "store", {"config.toml": b'large_object = 16\nlink = "copy"\n'})
    publisher, store = Store(root / "publisher"), Store(root / "store")
    part = lay_at(root / "part", {"in/a": b"in" * 30, "out/b": b"out" * 30})
    publisher.add(part, "zoo:part", time=1)
    publisher.publish(["zoo:part"], root / "zoo")
    shutil.copytree(root / "publisher/index", root / "other index")
    store.add(lay_at(root / "zero", {"a": b"a"}), "zoo:zero", time=1_700_000_000)
    shutil.copytree(root / "store/index", root / "young index")
    fill(store, root, lay_at)
    del publisher, store
    gc.collect()
    return root


def fill(store: Store, root: Path, lay_at: Callable[[Path, Files], Path]) -> None:
    """Add models with history, tags, a shared file, pulled in part, removed."""
    first = {"text": b"one", "big": BIG, "sub/tool*": b"#!", "link": "text", "void/": None}
    store.add(lay_at(root / "one", first), "zoo:one", message="first", time=1_700_000_000)
    store.tag("zoo:one", "v1")
    work = store.checkout("zoo:one", root / "work").directory
    (work / "text").write_bytes(b"two")
    store.commit(work, message="second", time=1_700_000_100)
    base = lay_at(root / "base", {"model": BIG, "own": b"b"})
    store.add(base, f"{FAMILY}base-none", time=1_700_000_000)
    store.add(lay_at(root / "gone", {"a": b"only here"}), "zoo:gone", time=1_700_000_000)
    store.tag("zoo:gone", "tagged")
    store.remove("zoo:gone")
    store.add_remote("zoo", str(root / "zoo"))
    store.pull("zoo:part", include=["in/"])


@pytest.fixture(scope="module")
def expected(original: Path) -> dict[str, Any]:
    return answers(original / "store")


@pytest.fixture
def copied(original: Path, tmp_path: Path) -> Path:
    """A copy of the store that a test may damage; beside it, indexes that are not its own."""
    shutil.copytree(original, tmp_path / "copy", symlinks=True)
    return tmp_path / "copy/store"


def data(home: Path) -> Path:
    return home / "index/data.mdb"


def write_at(path: Path, offset: int, content: bytes) -> None:
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(content)


def fill_with(path: Path, pattern: bytes) -> None:
    size = path.stat().st_size
    path.write_bytes((pattern * (size // len(pattern) + 1))[:size])


def swap_for(name: str) -> Callable[[Path], None]:
    def swap(home: Path) -> None:
        shutil.rmtree(home / "index")
        shutil.copytree(home.parent / name, home / "index")

    return swap


DAMAGE: dict[str, Callable[[Path], object]] = {
    "none": lambda home: None,
    "the index deleted": lambda home: shutil.rmtree(home / "index"),
    "the data deleted": lambda home: data(home).unlink(),
    "the data emptied": lambda home: os.truncate(data(home), 0),
    "the data cut to a byte": lambda home: os.truncate(data(home), 1),
    "the data cut to a page": lambda home: os.truncate(data(home), 4096),
    "the data cut to two pages": lambda home: os.truncate(data(home), 8192),
    "the data cut to half": lambda home: os.truncate(data(home), data(home).stat().st_size // 2),
    "the data one page short": lambda home: os.truncate(
        data(home), data(home).stat().st_size - 4096
    ),
    "zeros": lambda home: fill_with(data(home), b"\0"),
    "ones": lambda home: fill_with(data(home), b"\xff"),
    "text": lambda home: fill_with(data(home), b"not a database\n"),
    "the heads overwritten": lambda home: write_at(data(home), 0, b"\xa5" * 8192),
    "one head overwritten": lambda home: write_at(data(home), 0, b"\xa5" * 4096),
    "a page overwritten": lambda home: write_at(data(home), 3 * 4096, b"\xa5" * 4096),
    "all pages but the heads zeros": lambda home: write_at(
        data(home), 8192, bytes(data(home).stat().st_size - 8192)
    ),
    "the note of its stamp deleted": lambda home: (home / "index/stamp").unlink(),
    "the lock overwritten": lambda home: (home / "index/lock.mdb").write_bytes(b"\xff" * 8192),
    "an index as it once was": swap_for("young index"),
    "the index of another store": swap_for("other index"),
    "a line cut off in the reflog": lambda home: write_at(
        home / "reflog", (home / "reflog").stat().st_size, b'{"check":"12'
    ),
}


def test_the_store_under_test_has_something_to_say(expected: dict[str, Any]) -> None:
    codes = {verb: code for verb, (code, _) in expected.items()}

    assert [verb for verb, code in codes.items() if code] == ["show zoo:gone"]
    assert len(expected["ls"][1]) == 4
    assert expected["show zoo:one"][1]["tags"].keys() == {"v1"}
    assert len(expected["log zoo:one"][1]) == 2
    assert [model["partial"] for model in expected["ls"][1] if model["stub"] == "zoo:part"] == [
        True
    ]


@pytest.mark.parametrize("damage", DAMAGE)
def test_answers_do_not_depend_on_the_index(
    copied: Path, expected: dict[str, Any], damage: str
) -> None:
    DAMAGE[damage](copied)

    assert answers(copied) == expected


def test_an_index_elsewhere_gives_the_same_answers(
    copied: Path, expected: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOOSTORE_INDEX", str(tmp_path / "elsewhere"))
    shutil.rmtree(copied / "index")

    assert answers(copied) == expected
    assert not (copied / "index").exists()
    assert (tmp_path / "elsewhere").is_dir()


def test_a_store_that_was_copied_without_its_index_takes_new_models(
    copied: Path, lay: LayOut
) -> None:
    shutil.rmtree(copied / "index")
    store = Store(copied)

    store.add(lay("new", {"text": b"one", "more": b"more"}), "zoo:one")

    assert len(store.log("zoo:one")) == 3
    assert store.verify().is_clean


def test_an_index_that_goes_while_the_store_is_open_is_made_anew(store: Store, lay: LayOut) -> None:
    store.add(lay("one", {"text": b"one", "big": BIG}), "zoo:one")
    before = (store.snapshots(), store.log("zoo:one"), store.files("zoo:one"), store.du())

    shutil.rmtree(store.path / "index")

    after = (store.snapshots(), store.log("zoo:one"), store.files("zoo:one"), store.du())
    assert after == before
    shutil.rmtree(store.path / "index")
    store.add(lay("two", {"text": b"two"}), "zoo:one")
    assert len(store.log("zoo:one")) == 2
    assert store.verify().is_clean


def test_a_damaged_line_of_the_reflog_is_reported_and_the_rest_still_counts(
    store: Store, lay: LayOut, cli: Cli
) -> None:
    for name in ("one", "two", "three"):
        store.add(lay(name, {"name": name.encode()}), f"zoo:{name}")
    lines = (store.path / "reflog").read_bytes().splitlines(keepends=True)
    lines[1] = lines[1].replace(b"zoo:two", b"zoo:six")
    (store.path / "reflog").write_bytes(b"".join(lines))
    shutil.rmtree(store.path / "index")

    listed = cli("--store", store.path, "ls", "--json")
    verified = cli("--store", store.path, "verify", "--json")

    assert [model["stub"] for model in listed.json] == ["zoo:one", "zoo:three"]
    assert verified.code == 5
    assert [finding["what"] for finding in verified.json["damaged"]] == [str(store.path / "reflog")]
