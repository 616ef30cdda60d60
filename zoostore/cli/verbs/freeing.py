"""gc: to free what nobody needs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from zoostore.cli.output import line, moment, plural, print_json, printable, say, table
from zoostore.cli.settings import common_options, settings
from zoostore.units import human_size, parse_size

if TYPE_CHECKING:
    from zoostore.ops.fates import Garbage, Why
    from zoostore.ops.gc import Collected

_DONE_IN_PART = 3
_REASONS = {
    "removed": "the name was removed",
    "moved on": "the name leads elsewhere",
    "unfinished": "left by a command that did not end",
    "in work": "a process is at work that may need it",
}


@click.command()
@click.option("--yes", is_flag=True, help="Remove it. Without, only say what would go.")
@click.option(
    "--grace",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="How long to keep what nobody asked to have removed (default: 1209600, two weeks).",
)
@click.option(
    "--max-size",
    metavar="SIZE",
    help="Let go of pulled models, the longest unused first, until what is kept fits (20GB).",
)
@click.option(
    "--keep-recent",
    type=click.IntRange(min=1),
    metavar="N",
    help="Keep the N newest snapshots of each model's history, and those with a tag.",
)
@common_options
def gc(yes: bool, grace: float | None, max_size: str | None, keep_recent: int | None) -> int:
    """Free what no model, no tag, no checkout and no work in progress needs."""
    size = parse_size(max_size) if max_size is not None else None
    store = settings().open_store()
    done = store.gc(yes=yes, grace=grace, max_size=size, keep_recent=keep_recent)
    if settings().json:
        _print_json(done)
    else:
        _print(done)
    return _DONE_IN_PART if done.over or done.left_damaged else 0


def _print(done: Collected) -> None:
    rows = [
        *(_row("", garbage) for garbage in done.removed),
        *(_row("not yet: ", garbage) for garbage in done.waiting),
    ]
    for leftover in done.leftovers:
        name = printable(str(leftover.path))
        rows.append((human_size(leftover.bytes), "", f"{leftover.reason}: {name}"))
    if rows:
        table([("SIZE", "OBJECTS", ""), *rows], right=[0, 1])
    for model in done.evicted:
        freed = human_size(model.bytes)
        used = moment(int(model.used))
        line(f"let go of {model.stub}, last used {used}, which frees {freed}")
    what = f"{plural(done.removed_objects, 'object')} ({human_size(done.removed_bytes)})"
    kept = f"{plural(done.kept_objects, 'object')} ({human_size(done.kept_bytes)})"
    if done.dry_run:
        say(f"would remove {what} and keep {kept}; --yes does it")
    else:
        say(f"removed {what}; kept {kept}")
    if done.over:
        say(
            f"What is kept is {human_size(done.over)} more than --max-size: it was made here, or "
            "is checked out. `zoostore du` shows what takes most, `zoostore rm` lets go of it."
        )
    if done.left_damaged:
        say(f"Packs were left as they are. {done.left_damaged} `zoostore repair` first.")


def _row(prefix: str, garbage: Garbage) -> tuple[str, str, str]:
    size, objects = human_size(garbage.bytes), str(garbage.objects)
    return size, objects, prefix + _explained(garbage.why)


def _explained(why: Why) -> str:
    since = f" since {moment(why.since)}" if why.since else ""
    name = f"{why.stub}@{why.snapshot.short}: " if why.snapshot else ""
    return f"{name}{_REASONS[why.reason]}{since}"


def _print_json(done: Collected) -> None:
    print_json(
        {
            "dry_run": done.dry_run,
            "removed_objects": done.removed_objects,
            "removed_bytes": done.removed_bytes,
            "kept_objects": done.kept_objects,
            "kept_bytes": done.kept_bytes,
            "removed": _garbage(done.removed),
            "waiting": _garbage(done.waiting),
            "evicted": [
                {"stub": model.stub, "used": int(model.used), "bytes": model.bytes}
                for model in done.evicted
            ],
            "over_bytes": done.over,
            "leftovers": [
                {"path": str(left.path), "bytes": left.bytes, "reason": left.reason}
                for left in done.leftovers
            ],
            "left_damaged": done.left_damaged,
        }
    )


def _garbage(found: Iterable[Garbage]) -> list[dict[str, object]]:
    return [
        {
            "reason": garbage.why.reason,
            "stub": garbage.why.stub,
            "snapshot": str(garbage.why.snapshot) if garbage.why.snapshot else None,
            "since": garbage.why.since or None,
            "objects": garbage.objects,
            "bytes": garbage.bytes,
        }
        for garbage in found
    ]
