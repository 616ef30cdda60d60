"""A crowd of processes on one store, and what must be true when they are gone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from tests.crowd.worker import PULLED, content, files_of
from zoostore import Store

ROOT = Path(__file__).parents[2]


class Result(NamedTuple):
    """What a crowd did; `wrong` must be empty."""

    done: Counter[str]
    said: Counter[str]
    wrong: list[str]


def prepare(root: Path) -> None:
    """A store with a low threshold, and a zoo of three models."""
    import random

    for name in ("store", "maker"):
        (root / name).mkdir()
        (root / name / "config.toml").write_text('large_object = 1000\nlink = "hardlink"\n')
    maker = Store(root / "maker", offline=True)
    for number, stub in enumerate(PULLED):
        directory = root / f"model-{number}"
        directory.mkdir()
        for name, data in files_of(50 + number, random.Random(number)).items():
            (directory / name).write_bytes(data)
        maker.add(directory, stub, time=number)
    maker.publish(PULLED, root / "zoo")
    Store(root / "store").add_remote("zoo", str(root / "zoo"))


def run(root: Path, processes: int, seconds: float, seed: int) -> Result:
    """Let processes of mixed verbs loose on a store, and look at what they leave."""
    prepare(root)
    command = [sys.executable, "-m", "tests.crowd.worker", str(root)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    running = [
        subprocess.Popen(
            [*command, str(number), str(seconds), str(seed)],
            env=environment,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(processes)
    ]
    reports, wrong = [], []
    for process in running:
        out, err = process.communicate(timeout=seconds + 120)
        if process.returncode:
            wrong.append(f"exit {process.returncode}: {err}")
        else:
            reports.append(json.loads(out))
            wrong += [err] if reports[-1]["wrong"] else []
    for report in reports:
        wrong += report["wrong"]
    wrong += check(Store(root / "store", offline=True), reports)
    done = sum((Counter(report["done"]) for report in reports), Counter[str]())
    said = sum((Counter(report["said"]) for report in reports), Counter[str]())
    return Result(done, said, wrong)


def check(store: Store, reports: list[dict[str, Any]]) -> list[str]:
    """What is not as it should be in the store that a crowd has left."""
    wrong = []
    found = store.verify()
    wrong += [f"verify: {finding}" for finding in (*found.damaged, *found.missing)]
    refs = {model.stub: str(model.snapshot) for model in store.snapshots()}
    for report in reports:
        for stub, snapshot in report["own"].items():
            if refs.get(stub) != snapshot:
                wrong.append(f"{stub} was left at {snapshot}, and is at {refs.get(stub)}")
        for stub, tags in report["tags"].items():
            kept = {name: str(oid) for name, oid in store.snapshot(stub).tags.items()}
            if tags != kept:
                wrong.append(f"the tags of {stub} were left as {tags}, and are {kept}")
    for stub in refs:
        for entry in store.log(stub):
            for file in store.files(f"{stub}@{entry.id}"):
                with store.open(file.oid) as opened:
                    if opened.read() != content(file.path):
                        wrong.append(f"{stub}@{entry.id}: {file.path} holds other bytes")
    store.gc(yes=True, grace=0)
    found = store.verify()
    wrong += [f"verify after gc: {finding}" for finding in (*found.damaged, *found.missing)]
    return wrong
