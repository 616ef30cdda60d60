"""What INTERFACE.md promises to scripts: keys, exit codes, and one JSON document on stdout."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from tests.sockets import make_socket
from zoostore import Store

if TYPE_CHECKING:
    from tests.conftest import Cli, LayOut, Ran, Scene

Arguments: TypeAlias = tuple[str, ...]
STUB_KEYS = {"stub", "snapshot", "files", "size"}
PULL_KEYS = STUB_KEYS | {"downloaded_files", "downloaded_bytes", "reused_files", "reused_bytes"}
CHECKOUT_KEYS = PULL_KEYS | {"directory", "linked"}
ADD_KEYS = STUB_KEYS | {"parent", "new_objects", "new_bytes"}
LINK_MODES = {"reflink", "hardlink", "symlink", "copy"}

# Every verb, and the keys of its answer; `{work}` and the like are paths of the scene.
ANSWERS: dict[str, tuple[Arguments, type, set[str]]] = {
    "ls": (("ls",), list, STUB_KEYS),
    "ls of a model": (("ls", "zoo:one"), list, {"path", "size", "oid", "mode"}),
    "pull": (("pull", "zoo:far"), dict, PULL_KEYS),
    "pull without a change": (("pull", "--dry-run", "zoo:far"), dict, PULL_KEYS),
    "pull of several": (("pull", "zoo:far", "mlp-512-digits-base"), list, PULL_KEYS),
    "pull of what is here": (("pull", "zoo:one@v1"), dict, PULL_KEYS),
    "checkout": (("checkout", "zoo:one", "{new}"), dict, CHECKOUT_KEYS),
    "checkout of what is not here": (("checkout", "zoo:far", "{new}"), dict, CHECKOUT_KEYS),
    "add": (("add", "{source}", "zoo:new", "-m", "m", "--meta", "k=v"), dict, ADD_KEYS),
    "add again": (("add", "{first}", "zoo:one"), dict, ADD_KEYS),
    "commit": (("commit", "{work}", "-m", "third"), dict, ADD_KEYS),
    "commit as": (("commit", "{work}", "-m", "m", "--as", "zoo:mine"), dict, ADD_KEYS),
    "status": (
        ("status", "{work}"),
        dict,
        {"stub", "snapshot", "modified", "deleted", "untracked"},
    ),
    "diff": (("diff", "zoo:one@v1", "zoo:one"), dict, {"added", "removed", "changed"}),
    "diff with a directory": (("diff", "zoo:one", "{work}"), dict, {"added", "removed", "changed"}),
    "show": (("show", "zoo:one"), dict, {"stub", "snapshot", "files", "size", "metadata", "tags"}),
    "log": (("log", "zoo:one"), list, {"snapshot", "parents", "time", "message", "tags"}),
    "cat": (("cat", "zoo:one", "text"), dict, {"path", "size", "content"}),
    "tag": (("tag", "zoo:one", "v2"), dict, {"stub", "snapshot", "tag"}),
    "rm": (("rm", "zoo:two"), dict, {"stub", "snapshot"}),
    "du": (
        ("du",),
        dict,
        {"logical_bytes", "stored_bytes", "objects", "snapshots", "models"},
    ),
    "du of a model": (("du", "zoo:one"), dict, {"models"}),
    "verify": (("verify",), dict, {"objects", "bytes", "damaged", "missing"}),
    "verify of a model": (("verify", "zoo:one"), dict, {"objects", "bytes", "damaged", "missing"}),
    "publish": (("publish", "zoo:one", "--to", "{new}"), dict, {"directory", "models"}),
    "remote add": (("remote", "add", "x", "{zoo}"), dict, {"name", "url"}),
    "remote ls": (("remote", "ls"), list, {"name", "url"}),
    "remote show": (("remote", "show", "builtin"), list, STUB_KEYS),
    "remote rm": (("remote", "rm", "zoo"), dict, {"name"}),
    "completion": (("completion", "bash"), dict, {"script"}),
}


@pytest.fixture
def ask(scene: Scene, cli: Cli, lay: LayOut, tmp_path: Path) -> Callable[..., Ran]:
    """Runs a verb with the paths of the scene filled in, and a remote."""
    scene.store.add_remote("zoo", str(scene.zoo))
    lay("source", {"a": b"a"})
    places = {"work": scene.work, "zoo": scene.zoo, "new": tmp_path / "made"}
    places |= {name: tmp_path / name for name in ("source", "first", "two")}

    def call(*arguments: str) -> Ran:
        return cli(*(argument.format(**places) for argument in arguments))

    return call


@pytest.mark.parametrize("where", ["before", "last"])
@pytest.mark.parametrize("name", ANSWERS)
def test_json_has_the_promised_keys_and_types_wherever_it_is_asked_for(
    ask: Callable[..., Ran], name: str, where: str
) -> None:
    arguments, kind, keys = ANSWERS[name]
    orders = {"before": ("--json", *arguments), "last": (*arguments, "--json")}

    ran = ask(*orders[where])

    assert (ran.code, ran.err) == (0, "")
    answer: Any = ran.json
    assert type(answer).__name__ == kind.__name__
    assert answer
    for document in answer if kind is list else [answer]:
        assert keys <= document.keys()
        check_types(document)


def check_types(document: dict[str, Any]) -> None:
    for key, value in document.items():
        if key in ("files", "size", "bytes", "objects", "snapshots", "time") or key.endswith(
            ("_bytes", "_files", "_objects")
        ):
            assert type(value) is int, key
            assert value >= 0, key
        if key in ("snapshot", "oid"):
            assert len(value) == 64, key


def test_status_names_the_paths(ask: Callable[..., Ran]) -> None:
    status = ask("status", "{work}", "--json").json

    assert (status["modified"], status["deleted"], status["untracked"]) == (
        ["text"],
        ["link"],
        ["new"],
    )
    assert status["stub"] == "zoo:one"


def test_checkout_counts_the_files_by_link_mode(ask: Callable[..., Ran]) -> None:
    done = ask("checkout", "zoo:one", "{new}", "--json").json

    assert done["linked"].keys() == LINK_MODES
    assert done["linked"] == {"reflink": 0, "hardlink": 1, "symlink": 0, "copy": 2}


def test_pull_counts_what_moved_and_what_did_not(ask: Callable[..., Ran]) -> None:
    first = ask("pull", "zoo:far", "--json").json
    again = ask("pull", "zoo:far", "--json").json

    moved = ("downloaded_files", "downloaded_bytes", "reused_files", "reused_bytes")
    assert [first[key] for key in moved] == [2, 260, 0, 0]
    assert [again[key] for key in moved] == [0, 0, 2, 260]
    assert first["size"] == again["size"] == 260


def test_du_has_the_promised_keys_for_each_model(ask: Callable[..., Ran]) -> None:
    models = ask("du", "--json").json["models"]

    assert [model["stub"] for model in models] == ["zoo:one", "zoo:two"]
    for model in models:
        assert {"logical_bytes", "exclusive_bytes", "shared_bytes"} <= model.keys()
        check_types(model)


def test_modes_are_written_as_git_does(ask: Callable[..., Ran]) -> None:
    files = ask("ls", "zoo:one", "--json").json

    assert {file["path"]: file["mode"] for file in files} == {
        "big.bin": "100644",
        "link": "120000",
        "sub/run": "100755",
        "text": "100644",
    }


def test_the_parent_of_a_first_snapshot_is_null(ask: Callable[..., Ran]) -> None:
    assert ask("add", "{source}", "zoo:new", "--json").json["parent"] is None


# Errors


def spoil_objects(scene: Scene) -> None:
    for path in (scene.store.path / "objects").rglob("*"):
        if path.is_file():
            path.chmod(0o644)
            path.write_bytes(path.read_bytes()[::-1])


def add_web_remote(scene: Scene) -> None:
    scene.store.add_remote("web", "http://127.0.0.1:1/zoo")


def no_store(scene: Scene) -> None:
    os.environ["ZOOSTORE_HOME"] = str(scene.store.path) + "-not"


def store_is_file(scene: Scene) -> None:
    Path(str(scene.store.path) + "-file").write_text("a file")
    os.environ["ZOOSTORE_HOME"] = str(scene.store.path) + "-file"


def store_is_thesis(scene: Scene) -> None:
    os.environ["ZOOSTORE_HOME"] = str(scene.work)


def newer_store(scene: Scene) -> None:
    (scene.store.path / "format").write_text("zoostore 2\n")


def strange_store(scene: Scene) -> None:
    (scene.store.path / "format").write_text("something else\n")


def bad_config(scene: Scene) -> None:
    (scene.store.path / "config.toml").write_text('link = "magic"\n')


def lock_zoo(scene: Scene) -> None:
    (scene.zoo / "zoo.lock").write_text(f"{os.uname().nodename} {os.getpid()}\n")


def behind(scene: Scene) -> None:
    other = scene.store.checkout("zoo:one", scene.work.with_name("other")).directory
    (other / "text").write_bytes(b"other")
    scene.store.commit(other, message="other")


def two_of_a_name(scene: Scene) -> None:
    for domain in ("cv", "nlp"):
        stub = f"zoo:{domain}/x/net/pytorch/repo/data/base-none"
        scene.store.add(scene.work.with_name("first"), stub)


def a_socket(scene: Scene) -> None:
    make_socket(scene.work / "s")


def fresh_work(scene: Scene) -> None:
    scene.store.checkout("zoo:one", scene.work, force=True)
    (scene.work / "new").unlink()


def nothing(scene: Scene) -> None:
    pass


def remove_link_from_remote(scene: Scene) -> None:
    scene.store.add_remote("gone", str(scene.zoo) + "-gone")


ERRORS: dict[str, tuple[Callable[[Scene], None], Arguments, int, str]] = {
    "a file in the way": (nothing, ("checkout", "zoo:one", "{first}"), 1, "directory_not_empty"),
    "an edited file in the way": (
        nothing,
        ("checkout", "zoo:one@v1", "{work}"),
        1,
        "local_changes",
    ),
    "nothing changed": (
        fresh_work,
        ("commit", "{work}", "-m", "m"),
        1,
        "nothing_to_commit",
    ),
    "somebody was faster": (behind, ("commit", "{work}", "-m", "m"), 1, "diverged"),
    "a tag that is taken": (nothing, ("tag", "zoo:one", "v1"), 1, "tag_exists"),
    "globs that choose nothing": (
        nothing,
        ("checkout", "zoo:one", "{new}", "--include", "*.txt"),
        1,
        "nothing_left",
    ),
    "a socket": (a_socket, ("commit", "{work}", "-m", "m"), 1, "special_file"),
    "a store from the future": (newer_store, ("ls",), 1, "newer_format"),
    "a remote that does not answer": (add_web_remote, ("pull", "zoo:none"), 1, "transfer_failed"),
    "a remote that is not there": (remove_link_from_remote, ("pull", "zoo:none"), 1, "not_there"),
    "a zoo among other things": (
        nothing,
        ("publish", "zoo:one", "--to", "{work}"),
        1,
        "directory_not_empty",
    ),
    "no such verb": (nothing, ("frobnicate",), 2, "usage"),
    "no such option": (nothing, ("ls", "--frobnicate"), 2, "usage"),
    "no such common option": (nothing, ("--frobnicate", "ls"), 2, "usage"),
    "no argument": (nothing, ("checkout",), 2, "usage"),
    "one argument too many": (nothing, ("ls", "zoo:one", "zoo:two"), 2, "usage"),
    "no message": (nothing, ("commit", "{work}"), 2, "usage"),
    "an empty message": (nothing, ("commit", "{work}", "-m", ""), 2, "usage"),
    "no such link mode": (nothing, ("checkout", "zoo:one", "--link", "magic"), 2, "usage"),
    "metadata without a value": (nothing, ("add", "{first}", "zoo:x", "--meta", "k"), 2, "usage"),
    "a directory that does not exist": (nothing, ("add", "{new}", "zoo:x"), 2, "usage"),
    "no such shell": (nothing, ("completion", "tcsh"), 2, "usage"),
    "a stub that is none": (nothing, ("show", "no stub"), 2, "invalid_stub"),
    "a revision that is none": (nothing, ("show", "zoo:one@ "), 2, "invalid_stub"),
    "a revision to be added": (nothing, ("add", "{first}", "zoo:x@v1"), 2, "usage"),
    "a tag that is none": (nothing, ("tag", "zoo:one", "a/b"), 2, "invalid_name"),
    "a setting that makes no sense": (bad_config, ("du",), 2, "invalid_config"),
    "the name of the built-in zoo": (
        nothing,
        ("remote", "add", "builtin", "x"),
        2,
        "invalid_name",
    ),
    "a glob that is none": (
        nothing,
        ("checkout", "zoo:one", "{new}", "--include", "!"),
        2,
        "usage",
    ),
    "offline": (add_web_remote, ("--offline", "pull", "zoo:none"), 4, "offline"),
    "offline, checking out": (
        add_web_remote,
        ("checkout", "zoo:none", "{new}", "--offline"),
        4,
        "offline",
    ),
    "offline, asking for a catalog": (
        add_web_remote,
        ("--offline", "remote", "show", "web"),
        4,
        "offline",
    ),
    "damaged content": (spoil_objects, ("cat", "zoo:one", "big.bin"), 5, "missing_object"),
    "damaged content, checking out": (
        spoil_objects,
        ("checkout", "zoo:one", "{new}"),
        5,
        "missing_object",
    ),
    "no such model": (nothing, ("show", "zoo:none"), 6, "unknown_stub"),
    "no such model to pull": (nothing, ("pull", "zoo:none"), 6, "unknown_stub"),
    "no such model to remove": (nothing, ("rm", "zoo:none"), 6, "unknown_stub"),
    "no such tag": (nothing, ("show", "zoo:one@v9"), 6, "unknown_revision"),
    "no such tag to pull": (nothing, ("pull", "zoo:one@v9"), 6, "unknown_revision"),
    "no such path": (nothing, ("cat", "zoo:one", "none"), 6, "unknown_path"),
    "a folder as a file": (nothing, ("cat", "zoo:one", "sub"), 6, "unknown_path"),
    "a name of two models": (two_of_a_name, ("show", "net-data-base"), 6, "ambiguous"),
    "no such remote": (nothing, ("remote", "show", "none"), 6, "unknown_remote"),
    "no such remote to remove": (nothing, ("remote", "rm", "none"), 6, "unknown_remote"),
    "no checkout": (nothing, ("status", "{first}"), 6, "not_a_checkout"),
    "no checkout to commit": (nothing, ("commit", "{first}", "-m", "m"), 6, "not_a_checkout"),
    "no store": (no_store, ("ls",), 10, "no_store"),
    "no store to verify": (no_store, ("verify",), 10, "no_store"),
    "a file for a store": (store_is_file, ("add", "{first}", "zoo:x"), 10, "no_store"),
    "other things for a store": (store_is_thesis, ("add", "{first}", "zoo:x"), 10, "no_store"),
    "a strange store": (strange_store, ("ls",), 10, "no_store"),
    "somebody else publishes": (lock_zoo, ("publish", "zoo:one", "--to", "{zoo}"), 11, "busy"),
}


@pytest.fixture
def failing(
    scene: Scene,
    ask: Callable[..., Ran],
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    impatient: None,
) -> tuple[Callable[..., Ran], Arguments, int, str]:
    """A command that will fail, ready to be run."""
    spoil, arguments, code, kind = ERRORS[request.param]
    monkeypatch.setenv("ZOOSTORE_HOME", os.environ["ZOOSTORE_HOME"])
    spoil(scene)
    return ask, arguments, code, kind


@pytest.mark.parametrize("failing", ERRORS, indirect=True)
def test_an_error_is_a_paragraph_on_stderr_or_a_json_document_with_its_exit_code(
    failing: tuple[Callable[..., Ran], Arguments, int, str],
) -> None:
    ask, arguments, code, kind = failing

    told = ask(*arguments)
    ran = ask(*arguments, "--json")

    assert (told.code, told.out) == (code, "")
    assert told.err.startswith("error: ")
    assert told.err.count("\n") == 1
    assert "Traceback" not in told.err
    assert ran.json.keys() == {"error"}
    error = ran.json["error"]
    assert error.keys() == {"kind", "message", "hint", "exit_code"}
    assert (ran.code, error["exit_code"], error["kind"]) == (code, code, kind)
    assert error["message"]
    assert ran.err == ""


def test_a_pull_that_is_done_in_part_says_what_is_missing(ask: Callable[..., Ran]) -> None:
    ran = ask("pull", "zoo:far", "zoo:none", "--json")

    assert ran.code == 3
    done, failed = ran.json
    assert done["stub"] == "zoo:far"
    assert failed["stub"] == "zoo:none"
    assert failed["error"]["kind"] == "unknown_stub"


def test_a_pull_of_which_nothing_is_done_failed(ask: Callable[..., Ran]) -> None:
    assert ask("pull", "zoo:none", "zoo:nothing", "--json").code == 6


@pytest.mark.parametrize(
    ("arguments", "codes"),
    [
        (("status", "{work}"), (0, 1)),
        (("diff", "zoo:one@v1", "zoo:one"), (0, 1)),
        (("diff", "zoo:one", "zoo:one"), (0, 0)),
        (("status", "{fresh}"), (0, 0)),
    ],
)
def test_what_differs_is_an_exit_code_only_on_request(
    ask: Callable[..., Ran], scene: Scene, arguments: Arguments, codes: tuple[int, int]
) -> None:
    fresh = scene.store.checkout("zoo:one", scene.work.with_name("fresh")).directory
    filled = [argument.replace("{fresh}", str(fresh)) for argument in arguments]

    assert (ask(*filled).code, ask(*filled, "--exit-code").code) == codes
    assert ask(*filled, "--exit-code", "--json").code == codes[1]


def test_a_damaged_store_is_reported_by_verify(ask: Callable[..., Ran], scene: Scene) -> None:
    spoil_objects(scene)

    ran = ask("verify", "--json")

    assert ran.code == 5
    (finding,) = ran.json["damaged"]
    assert len(finding["what"]) == 64
    assert sorted(finding["models"]) == ["zoo:one", "zoo:two"]


def test_the_store_can_be_named_on_the_command_line(
    cli: Cli, scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOOSTORE_HOME", str(tmp_path / "none"))

    before = cli("--store", scene.store.path, "ls", "--json")
    after = cli("ls", "--json", "--store", scene.store.path)

    assert before.json == after.json
    assert len(before.json) == 2


@pytest.mark.parametrize("variable", ["ZOOSTORE_OFFLINE", "HF_HUB_OFFLINE"])
@pytest.mark.parametrize(("value", "code"), [("1", 4), ("true", 4), ("YES", 4), ("0", 1), ("", 1)])
def test_the_environment_can_say_offline(
    ask: Callable[..., Ran],
    scene: Scene,
    variable: str,
    value: str,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    impatient: None,
) -> None:
    add_web_remote(scene)
    monkeypatch.setenv(variable, value)

    assert ask("pull", "zoo:none").code == code


def test_a_remote_of_the_environment_is_asked_first(
    ask: Callable[..., Ran], scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    Store(scene.store.path).remove_remote("zoo")
    monkeypatch.setenv("ZOOSTORE_REMOTE", str(scene.zoo))

    remotes = ask("remote", "ls", "--json").json

    assert [remote["name"] for remote in remotes] == ["environment", "builtin"]
    assert ask("pull", "zoo:far", "--json").json["source"] == "environment"
