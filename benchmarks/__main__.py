"""zoostore beside its peers.

    python -m benchmarks [--scale 0.1] [--directory DIR] [--rounds 3]

Workloads are made from seeds below the directory (5 GB at scale 1, and as much again for
the stores). Each row names a peer and gives the ratio of the two medians. After each
workload the result is checked: verified by zoostore, and compared byte for byte.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import workloads
from benchmarks.measuring import Compared, compare, disk_bytes, run, zoostore
from benchmarks.serving import served

_IMPORTS = [sys.executable, "-c", "import click, lmdb, blake3"]
_START_ROUNDS = 20


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--scale", type=float, default=0.1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--directory", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.directory) as scratch:
        root = Path(scratch)
        _print_head(options.scale)
        for measure in (_start_up, _big, _pull, _family, _many):
            for row in measure(root, options.scale, options.rounds):
                _print_row(row)
            for path in root.iterdir():
                shutil.rmtree(path)


def _start_up(root: Path, scale: float, rounds: int) -> Iterator[Compared]:
    home = root / "home"
    run(zoostore("pull", "mlp-512-digits-base"), home)
    for verb in ("--version", "ls"):
        yield compare(
            f"start-up: {verb}",
            lambda _, verb=verb: zoostore(verb),  # type: ignore[misc]
            "python -c 'import click, lmdb, blake3'",
            lambda _: _IMPORTS,
            home,
            _START_ROUNDS,
        )


def _big(root: Path, scale: float, rounds: int) -> Iterator[Compared]:
    home, folder, copies = root / "home", workloads.big(root, scale), root / "copies"
    copies.mkdir()
    yield compare(
        "add big (durable)",
        lambda number: zoostore("--store", str(root / f"s{number}"), "add", str(folder), "zoo:big"),
        "cp, sync",
        lambda number: _cp_and_sync(folder, copies / str(number)),
        home,
        rounds,
    )
    run(zoostore("add", str(folder), "zoo:big"), home)
    if shutil.which("b3sum"):
        yield compare(
            "verify big",
            lambda _: zoostore("verify"),
            "b3sum",
            lambda _: ["b3sum", str(folder / "model.bin")],
            home,
            rounds,
        )
    else:
        print("| verify big | b3sum: not installed | | | | |")
    _check(home, "zoo:big", folder, root / "out")


def _pull(root: Path, scale: float, rounds: int) -> Iterator[Compared]:
    """All peers download the same file from the same server, and have it on the disk at the end."""
    publisher, folder = root / "publisher", workloads.big(root, scale)
    run(zoostore("add", str(folder), "zoo:big"), publisher)
    run(zoostore("publish", "zoo:big", "--to", str(root / "zoo")), publisher)
    (large,) = (path for path in (root / "zoo/objects").rglob("*") if path.is_file())
    path, copies = large.relative_to(root / "zoo").as_posix(), root / "copies"
    copies.mkdir()
    (root / "server").mkdir()
    with served(root / "zoo", root / "server") as url:
        for number in range(rounds):
            run(zoostore("--store", str(root / f"s{number}"), "remote", "add", "zoo", url), root)
        for name, peer in _downloaders(f"{url}/{path}", copies).items():
            if shutil.which(name) is None:
                print(f"| pull big | {name}: not installed | | | | |")
                continue
            yield compare(
                "pull big (durable, verified)",
                lambda number: _fresh_pull(root / f"s{number}"),
                f"{name}, sync",
                peer,
                root / "home",
                rounds,
            )
        _check(root / "s0", "zoo:big", folder, root / "out")


def _downloaders(url: str, copies: Path) -> dict[str, Callable[[int], list[str]]]:
    def synced(command: str, number: int) -> list[str]:
        target = copies / f"{command.split()[0]}{number}"
        program = f'{command} "$2" && sync -f "$1/$2"'
        return ["sh", "-c", program, "sh", str(copies), target.name]

    return {
        "curl": lambda number: synced(f'curl -s "{url}" --output-dir "$1" -o', number),
        "aria2c": lambda number: synced(f'aria2c -q -x4 -s4 -k1M "{url}" -d "$1" -o', number),
    }


def _fresh_pull(store: Path) -> list[str]:
    """A pull into a store that has its settings, and nothing else."""
    program = 'rm -rf "$1"/objects "$1"/packs "$1"/reflog "$1"/index && "$2" --store "$1" pull big'
    return ["sh", "-c", program, "sh", str(store), zoostore()[0]]


def _family(root: Path, scale: float, rounds: int) -> Iterator[Compared]:
    home, folders, copies = root / "home", workloads.family(root, scale), root / "copies"
    for number, folder in enumerate(folders):
        run(zoostore("add", str(folder), f"zoo:m{number}"), home)
    unique = sum(
        path.stat().st_size
        for number, folder in enumerate(folders)
        for path in folder.rglob("*")
        if path.is_file() and (number in (0, *range(workloads.SHARING, 8)) or path.suffix != ".bin")
    )
    overhead = disk_bytes(home) - unique
    print(f"| family on disk | unique bytes | {unique / 1e6:.1f} MB + {overhead / 1e6:.2f} MB | |")
    copies.mkdir()
    yield compare(
        "checkout family m0 (links)",
        lambda number: zoostore("checkout", "m0", str(root / f"out{number}")),
        "cp -al",
        lambda number: ["cp", "-al", str(folders[0]), str(copies / str(number))],
        home,
        rounds,
    )
    before = disk_bytes(root)
    run(zoostore("checkout", "m1", str(root / "linked")), home)
    added = disk_bytes(root) - before
    print(f"| checkout of 290 MB by links adds | | {added / 1e3:.0f} kB | |")
    _check(home, "zoo:m7", folders[7], root / "check")


def _many(root: Path, scale: float, rounds: int) -> Iterator[Compared]:
    home, folder, copies = root / "home", workloads.many(root, scale), root / "copies"
    copies.mkdir()
    yield compare(
        "add many (durable)",
        lambda number: zoostore("--store", str(root / f"s{number}"), "add", str(folder), "zoo:x"),
        "cp -a, sync",
        lambda number: _cp_and_sync(folder, copies / f"a{number}"),
        home,
        rounds,
    )
    run(zoostore("add", str(folder), "zoo:many"), home)
    yield compare(
        "checkout many (copies)",
        lambda number: zoostore("checkout", "many", str(root / f"out{number}")),
        "cp -a",
        lambda number: ["cp", "-a", str(folder), str(copies / f"c{number}")],
        home,
        rounds,
    )
    yield compare(
        "status many (unchanged)",
        lambda _: zoostore("status", str(root / "out0")),
        "find -newer",
        lambda _: ["find", str(root / "out0"), "-newer", str(folder)],
        home,
        rounds,
    )
    _check(home, "zoo:many", folder, root / "check")


def _cp_and_sync(source: Path, target: Path) -> list[str]:
    return ["sh", "-c", 'cp -a "$1" "$2" && sync -f "$2"', "sh", str(source), str(target)]


def _check(home: Path, stub: str, folder: Path, out: Path) -> None:
    """Nothing is measured that is not right: verified, and the same byte for byte."""
    run(zoostore("verify"), home)
    run(zoostore("checkout", stub, str(out)), home)
    subprocess.run(["diff", "-r", "-x", ".zoostore", str(folder), str(out)], check=True)


def _print_head(scale: float) -> None:
    print(f"scale {scale}; medians of the wall clock\n")
    print("| what | beside | zoostore | peer | ratio | peak memory |")
    print("|---|---|---|---|---|---|")


def _print_row(row: Compared) -> None:
    print(
        f"| {row.what} | {row.peer} | {row.seconds:.3f} s | {row.peer_seconds:.3f} s "
        f"| {row.ratio:.2f} | {row.peak_bytes / 1e6:.0f} MB |",
        flush=True,
    )


if __name__ == "__main__":
    main()
