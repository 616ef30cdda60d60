"""status, diff, du and verify: how things stand."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoostore.cli.arguments import complete_stub
from zoostore.cli.output import emphasised, line, plural, print_json, printable, say, table
from zoostore.cli.settings import common_options, settings
from zoostore.errors import DamagedContent
from zoostore.objects.paths import CHECKOUT_FOLDER
from zoostore.units import human_size

if TYPE_CHECKING:
    from zoostore.api import Store
    from zoostore.ops.findings import Finding

_EXIT_CODE = click.option("--exit-code", is_flag=True, help="Exit with 1 if anything differs.")
THREADS = click.option(
    "--threads",
    metavar="N",
    type=click.IntRange(1),
    help="Read N files at a time (default: one for each core, 8 at most; 1 if the disk spins).",
)


@click.command()
@click.argument("directory", default=".", type=click.Path())
@_EXIT_CODE
@common_options
def status(directory: str, exit_code: bool) -> int:
    """Show what in a checkout differs from its snapshot."""
    found = settings().open_store_of(directory).status(directory)
    if settings().json:
        print_json(
            {
                "stub": found.stub,
                "snapshot": str(found.snapshot),
                "modified": list(found.modified),
                "deleted": list(found.deleted),
                "untracked": list(found.untracked),
            }
        )
    else:
        say(f"{found.stub} at {found.snapshot.short}{': unchanged' if found.is_clean else ''}")
        _print_paths("modified", found.modified, "yellow")
        _print_paths("deleted", found.deleted, "red")
        _print_paths("untracked", found.untracked, "green")
    return int(exit_code and not found.is_clean)


@click.command()
@click.argument("before", metavar="[A]", default=".")
@click.argument("after", metavar="[B]", required=False)
@_EXIT_CODE
@common_options
def diff(before: str, after: str | None, exit_code: bool) -> int:
    """Show what differs between two models, or a model and a directory.

    A and B are stubs or directories. Without B, a stub is compared with the checkout you are
    in, and a checkout with its own snapshot; without A, the checkout you are in.
    """
    first, second = _side(before), _side(after) if after is not None else None
    store = _store_for(first, second)
    found = store.diff(first, second)
    if settings().json:
        print_json(
            {
                "added": list(found.added),
                "removed": list(found.removed),
                "changed": list(found.changed),
            }
        )
    else:
        _print_paths("added", found.added, "green")
        _print_paths("removed", found.removed, "red")
        _print_paths("changed", found.changed, "yellow")
    return int(exit_code and not found.is_empty)


@click.command()
@click.argument("stubs", metavar="[STUB]...", nargs=-1, shell_complete=complete_stub)
@common_options
def du(stubs: tuple[str, ...]) -> None:
    """Show what models take, and what removing one would free."""
    usage = settings().open_store().du(stubs)
    if settings().json:
        print_json(
            {
                "logical_bytes": usage.logical_bytes,
                "stored_bytes": usage.stored_bytes,
                "objects": usage.objects,
                "snapshots": usage.snapshots,
                "models": [
                    {
                        "stub": model.stub,
                        "logical_bytes": model.logical_bytes,
                        "exclusive_bytes": model.exclusive_bytes,
                        "shared_bytes": model.shared_bytes,
                        "frees_bytes": model.frees_bytes,
                        "checkouts": [str(directory) for directory in model.checkouts],
                    }
                    for model in usage.models
                ],
            }
        )
        return
    head = ("LOGICAL", "SHARED", "EXCLUSIVE", "")
    rows = [
        (
            human_size(model.logical_bytes),
            human_size(model.shared_bytes),
            human_size(model.exclusive_bytes),
            model.stub,
        )
        for model in usage.models
    ]
    table([head, *rows], right=[0, 1, 2])
    say(
        f"{plural(usage.objects, 'object')} and {plural(usage.snapshots, 'snapshot')} among them "
        f"take {human_size(usage.stored_bytes)}; as full copies they would take "
        f"{human_size(usage.logical_bytes)}."
    )
    for model in usage.models if stubs else ():
        held = ", ".join(printable(str(directory)) for directory in model.checkouts)
        kept = f" The rest of what is its own is needed by the checkout {held}." if held else ""
        say(f"Removing {model.stub} frees exactly {model.frees_bytes} bytes.{kept}")


@click.command()
@click.argument("stubs", metavar="[STUB]...", nargs=-1, shell_complete=complete_stub)
@THREADS
@common_options
def verify(stubs: tuple[str, ...], threads: int | None) -> int:
    """Read everything again, and report what is damaged or missing."""
    found = settings().open_store().verify(stubs, threads=threads)
    if settings().json:
        print_json(
            {
                "objects": found.objects,
                "bytes": found.bytes,
                "damaged": findings_as_json(found.damaged),
                "missing": findings_as_json(found.missing),
            }
        )
    else:
        print_findings("damaged", found.damaged)
        print_findings("missing", found.missing)
        verdict = "all is as it should be" if found.is_clean else "not all is as it should be"
        say(f"{plural(found.objects, 'object')} ({human_size(found.bytes)}) read: {verdict}")
        if not found.is_clean:
            say("`zoostore repair` gets back what any source has, and names what none has.")
    return 0 if found.is_clean else DamagedContent.exit_code


def _store_for(first: str | Path, second: str | Path | None) -> Store:
    """The store of the checkout that is compared, if one is."""
    if isinstance(first, Path) and second is None:
        return settings().open_store_of(str(first))
    for side in (first, second):
        if isinstance(side, Path) and (side / CHECKOUT_FOLDER).is_dir():
            return settings().open_store_of(str(side))
    return settings().open_store() if second else settings().open_store_of(".")


def _side(text: str) -> str | Path:
    return Path(text) if Path(text).is_dir() else text


def _print_paths(what: str, paths: Iterable[str], colour: str) -> None:
    for path in paths:
        line(f"{emphasised(what.ljust(9), colour)}  {printable(path)}")


def print_findings(what: str, findings: Iterable[Finding], colour: str = "red") -> None:
    """A line for each thing that is not as it should be."""
    for finding in findings:
        as_paths = f" as {', '.join(finding.paths)}" if finding.paths else ""
        needed = f" (needed by {', '.join(finding.models)}{as_paths})" if finding.models else ""
        as_files = f" (is {', '.join(finding.files)})" if finding.files else ""
        said = printable(f"{finding.what}: {finding.reason}{needed}{as_files}")
        line(f"{emphasised(what, colour)}  {said}")


def findings_as_json(findings: Iterable[Finding]) -> list[dict[str, object]]:
    return [
        {
            "what": finding.what,
            "reason": finding.reason,
            "cause": finding.cause,
            "models": list(finding.models),
            "paths": list(finding.paths),
            "files": list(finding.files),
        }
        for finding in findings
    ]
