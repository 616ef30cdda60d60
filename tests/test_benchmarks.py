"""The benchmarks run, at a scale that says nothing of speed, with whatever is installed here."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import contests, growth, reporting, seats, workloads
from benchmarks.contests import Contest, Target
from benchmarks.measuring import Command, CommandFailed, Step, measure
from benchmarks.reserve import Reserve
from benchmarks.tools.base import Tool
from benchmarks.workloads import million
from zoostore import Store

ROOT = Path(__file__).parents[1]
SCALE = 0.0005


def test_the_suite_runs_and_reports(tmp_path: Path) -> None:
    """One run for all that is to be said of it: it takes some seconds."""
    arguments = ["--scale", str(SCALE), "--rounds", "1", "--caches", "warm"]
    arguments += ["--only", "many", "big"]
    arguments += ["--json", str(tmp_path / "report.json")]
    arguments += ["--markdown", str(tmp_path / "report.md")]
    arguments += ["--directory", str(tmp_path / "scratch")]
    peers = ["--peers", "cp", "find", "curl"]
    (tmp_path / "scratch").mkdir()

    subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments, *peers],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        timeout=120,
        check=True,
    )

    report = json.loads((tmp_path / "report.json").read_text())
    check_keys(report)
    check_rows({row["what"]: row for row in report["rows"]})
    (memory,) = (fact for fact in report["facts"] if fact["unit"] == "bytes")
    assert memory["met"] is True
    assert memory["value"] > 1_000_000
    tables = (tmp_path / "report.md").read_text().splitlines()
    assert tables == list(reporting.markdown(report))
    assert not list((tmp_path / "scratch").iterdir())


def check_keys(report: dict[str, Any]) -> None:
    assert report.keys() == reporting.ReportDoc.__annotations__.keys()
    assert report["version"] == reporting.VERSION
    assert report["caches"] == "warm"
    assert {"cpu", "cores", "kernel", "file_system", "python"} <= report["machine"].keys()
    for row in report["rows"]:
        assert row.keys() == reporting.RowDoc.__annotations__.keys()
        for result in row["results"]:
            assert result.keys() == reporting.ResultDoc.__annotations__.keys()
        for target in row["targets"]:
            assert target.keys() == reporting.TargetDoc.__annotations__.keys()


def check_rows(by_name: dict[str, dict[str, Any]]) -> None:
    """zoostore did everything, and cp what it can do."""
    expected = {"add many, durable", "checkout many", "pull big over loopback HTTP, durable"}
    assert expected <= by_name.keys()
    for row in by_name.values():
        assert row["ours"] in [result["name"] for result in row["results"]], row["failed"]
    checkout = by_name["checkout many"]
    assert "cp -a" in [result["name"] for result in checkout["results"]]
    assert checkout["targets"][0]["beside"] == "cp -a"


def test_a_tool_that_is_not_installed_is_named_and_why(tmp_path: Path) -> None:
    class Missing(Tool):
        name, program, durability = "missing", "no-such-program-anywhere", ""

    assert Missing().version() is None


def outcome_of(
    ours: list[float],
    theirs: list[float],
    *targets: Target,
    fails: bool = False,
    caches: str = contests.WARM,
) -> reporting.RowDoc:
    """The row of a contest with these times, without running anything."""

    def measured(times: list[float]) -> contests.Measured:
        from benchmarks.measuring import Run

        return contests.Measured([Run(seconds, 1, 1) for seconds in times])

    contest = Contest("what", "ours", {}, targets)
    there = {"ours": measured(ours), "peer": measured(theirs)}
    if fails:
        del there["peer"]
    failed = {"peer": "no /scratch/file"} if fails else {}
    return reporting.row_of(contests.Outcome(contest, caches, there, failed), Path("/scratch"))


@pytest.mark.parametrize(("limit", "met"), [(0.51, True), (0.5, True), (0.49, False)])
def test_a_target_is_a_ratio_of_medians(limit: float, met: bool) -> None:
    row = outcome_of([1, 1, 9], [2, 2, 2], Target(limit, ("peer", "absent")))

    assert row["targets"][0]["met"] is met
    assert row["targets"][0]["reached"] == 0.5
    peer = row["results"][1]
    assert (peer["ratio"], peer["lowest_ratio"], peer["highest_ratio"]) == (0.5, 0.5, 4.5)


def test_a_target_without_a_peer_is_neither_met_nor_missed() -> None:
    row = outcome_of([1], [1], Target(0.5, ("peer",)), Target(0.5), fails=True)

    assert [target["met"] for target in row["targets"]] == [None, False]
    assert row["failed"] == {"peer": "no file"}


def test_with_cold_caches_nothing_must_be_reached() -> None:
    row = outcome_of([1], [2], Target(0.1, ("peer",)), caches=contests.COLD)

    (target,) = row["targets"]
    assert (target["reached"], target["limit"], target["met"]) == (0.5, None, None)
    lines = reporting.verdict_lines({"rows": [row], "facts": []})  # type: ignore[typeddict-item]
    assert [*lines][-1] == "| what | cold | 1.00 s | 0.50 (0.50..0.50) of peer | | |"


_READ_FROM_MEMORY = """
import os, sys
with open(sys.argv[1], "rb") as file:
    os.preadv(file.fileno(), [bytearray(1)], 0, os.RWF_NOWAIT)
"""


@pytest.mark.skipif(not hasattr(os, "RWF_NOWAIT"), reason="nobody says what is in memory")
def test_what_is_read_is_in_memory_before_a_command_begins(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    file = tmp_path / "folder/file"
    file.write_bytes(bytes(1 << 20))
    command = Command([sys.executable, "-c", _READ_FROM_MEMORY, str(file)])

    def forget() -> None:
        with open(file, "rb") as opened:
            os.fsync(opened.fileno())
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def is_in_memory(step: Step) -> bool:
        with contextlib.suppress(CommandFailed):
            measure(step)
            return True
        return False

    if not is_in_memory(Step(command)) or is_in_memory(Step(command, forget)):
        pytest.skip("this file system does not say, or keeps all in memory")
    assert is_in_memory(Step(command, forget, reads=[tmp_path / "folder"]))


def test_what_comes_out_must_be_what_went_in(tmp_path: Path) -> None:
    for name, content in (("a", b"1"), ("b", b"2")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_bytes(content)

    (tmp_path / "link").symlink_to(tmp_path / "a")

    seats.same(tmp_path / "a", tmp_path / "a")
    for other in ("b", "link"):
        with pytest.raises(CommandFailed, match="not what went in"):
            seats.same(tmp_path / "a", tmp_path / other)


def test_nobody_always_runs_after_the_same_other(tmp_path: Path) -> None:
    names, log = ["one", "two", "three", "four"], tmp_path / "log"
    steps = {
        name: lambda _, name=name: Step(Command(["sh", "-c", f"echo {name} >> {log}"]))
        for name in names
    }

    with Reserve(SCALE) as reserve:
        contests.hold(Contest("what", "one", steps), 8, reserve)

    turns = log.read_text().split()
    rounds = [turns[at : at + len(names)] for at in range(0, len(turns), len(names))]
    assert [sorted(each) for each in rounds] == [sorted(names)] * 8
    for name in names:
        before = {turns[at - 1] for at, turn in enumerate(turns) if at and turn == name}
        assert len(before) > 1, f"{name} always follows {before}"


def test_who_fails_is_out_and_is_named() -> None:
    steps = {
        "ours": lambda _: Step(Command(["true"])),
        "peer": lambda _: Step(Command(["sh", "-c", "echo no >&2; exit 3"])),
    }

    with Reserve(SCALE) as reserve:
        outcome = contests.hold(Contest("what", "ours", steps), 2, reserve)

    assert len(outcome.measured["ours"].runs) == 2
    assert outcome.measured.keys() == {"ours"}
    assert "exit code 3: no" in outcome.failed["peer"]


def test_memory_of_children_is_seen() -> None:
    program = "import time; data = bytearray(60_000_000); time.sleep(0.3)"

    step = Step(Command(["sh", "-c", f"{sys.executable} -c '{program}'; true"]))
    run = measure(step)

    assert run.anonymous_bytes > 60_000_000
    assert run.peak_bytes >= run.anonymous_bytes


def digest(folder: Path) -> str:
    state = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        state.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return state.hexdigest()


@pytest.mark.parametrize("workload", workloads.FOLDERS)
def test_a_workload_follows_from_its_seed(workload: str, tmp_path: Path) -> None:
    for name in ("one", "two"):
        workloads.FOLDERS[workload](tmp_path / name, SCALE / 5)

    assert digest(tmp_path / "one") == digest(tmp_path / "two")


def test_tunes_are_safetensors_and_share_most_tensors(tmp_path: Path) -> None:
    workloads.FOLDERS["tunes"](tmp_path, SCALE)

    tensors = {}
    for path in tmp_path.rglob("*.safetensors"):
        data = path.read_bytes()
        (length,) = struct.unpack("<Q", data[:8])
        header = json.loads(data[8 : 8 + length])
        del header["__metadata__"]
        starts, ends = zip(*(entry["data_offsets"] for entry in header.values()), strict=True)
        assert (starts, ends[-1]) == ((0, *ends[:-1]), len(data) - 8 - length)
        body = data[8 + length :]
        tensors[path.parent.name] = {
            body[start:end] for start, end in zip(starts, ends, strict=True)
        }
    assert len(tensors) == 4
    base = tensors.pop("base")
    for tune in tensors.values():
        assert 0.4 < len(tune & base) / len(base) < 1


def test_the_store_of_a_million_is_sound(tmp_path: Path) -> None:
    million.write_store(tmp_path / "one", 0.001)
    million.write_store(tmp_path / "two", 0.001)

    store = Store(tmp_path / "one")
    verified = store.verify()
    assert (verified.objects, list(verified.damaged), list(verified.missing)) == (1000, [], [])
    assert store.du().snapshots == 100
    assert [log.snapshot for log in store.log("zoo:model-0000")] == [
        log.snapshot for log in Store(tmp_path / "two").log("zoo:model-0000")
    ]


def test_every_verb_is_measured_at_every_size(tmp_path: Path) -> None:
    with Reserve(SCALE) as reserve:
        verbs = dict(growth.measured(tmp_path, growth.FILES, SCALE, 1, reserve))

    assert {"add", "checkout", "status", "verify", "du", "gc", "ls"} <= verbs.keys()
    assert all(seconds > 0 for seconds in verbs.values())


@pytest.mark.parametrize(
    ("seconds", "slope", "is_good"),
    [([1, 1, 1], 0, True), ([1, 10, 100], 1, True), ([0.1, 1, 100], 2, False)],
    ids=["flat", "straight", "square"],
)
def test_growth_is_the_slope_on_logarithmic_axes(
    seconds: list[float], slope: float, is_good: bool
) -> None:
    verb = growth.verb_of("add", seconds)

    assert verb["slope"] == pytest.approx(slope)
    assert verb["straight_or_flat"] is is_good
