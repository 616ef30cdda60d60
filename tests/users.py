"""Running commands as other users than the one who runs the tests."""

from __future__ import annotations

import ast
import functools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import zoostore

# Permissions do not bind root, so root becomes somebody else, who may be unable to read what is
# imported late. So all that is, is imported before: once, in a process that forks for each user.
PROGRAM = """
import contextlib, difflib, importlib, io, json, os, sys, tempfile
for name in json.loads(sys.argv[1]):
    with contextlib.suppress(ImportError):
        importlib.import_module(name)
from zoostore import Store
from zoostore.cli.main import run
with tempfile.TemporaryDirectory(dir="/tmp") as scratch:
    run(["--store", scratch, "pull", "--include", "*.txt", "zoo:none"])
def materialize(store, stub):
    files = Store(store).files(stub)
    Store(store).materialize(stub, [file.path for file in files])
    return 0

def become(uid, gid, groups, umask):
    if os.geteuid() == 0:
        os.setgroups(groups)
        os.setgid(gid)
        os.setuid(uid)
    os.umask(umask)

def answer(command):
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = materialize(*command[1:]) if command[0] == "materialize" else run(command)
    return [code, *(text.buffer.getvalue().decode() for text in (out, err))]

for line in sys.stdin:
    user, environment, commands = json.loads(line)
    if (child := os.fork()) == 0:
        os.environ.clear()
        os.environ.update(environment)
        tempfile.tempdir = None  # where temporary files go is for the environment to say
        become(*user)
        print(json.dumps([answer(command) for command in commands]), flush=True)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        print("null", flush=True)
"""


class User(NamedTuple):
    """Somebody to run commands as; whoever runs the tests, unless that is root."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    umask: int = 0o022


class Answer(NamedTuple):
    """How a command of a user's ended."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        kind: str = json.loads(self.out)["error"]["kind"]
        return kind


@functools.cache
def imported() -> list[str]:
    """What any module of zoostore that is of use here imports, wherever in it."""
    package = Path(zoostore.__file__).parent
    names: set[str] = set()
    for path in package.rglob("*.py"):
        if path.is_relative_to(package / "zoo") or path.name == "__main__.py":
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                names.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module)
    return sorted(name for name in names if name.split(".")[0] not in ("rich", "requests"))


@functools.cache
def _forking() -> subprocess.Popen[str]:
    """The process that forks. It ends with the one that runs the tests."""
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, json.dumps(imported())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd="/",
    )


def as_user(user: User, *commands: tuple[Any, ...]) -> list[Answer]:
    """Run commands, one after the other, in one process of a user's.

    `materialize STORE STUB` is none of the command line's: it is what `Model.path` does.
    """
    lines = [[str(argument) for argument in command] for command in commands]
    process = _forking()
    assert process.stdin
    assert process.stdout
    process.stdin.write(json.dumps([user, dict(os.environ), lines]) + "\n")
    process.stdin.flush()
    answers = [Answer(*answer) for answer in json.loads(process.stdout.readline())]
    assert not [answer for answer in answers if "Traceback" in answer.err]
    assert not [answer for answer in answers if "itself failed" in answer.out + answer.err]
    return answers
