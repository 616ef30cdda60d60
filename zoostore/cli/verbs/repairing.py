"""repair: get back what is damaged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from zoostore.cli.arguments import complete_stub
from zoostore.cli.output import emphasised, line, plural, print_json, printable, say
from zoostore.cli.settings import common_options, settings
from zoostore.cli.verbs.comparing import findings_as_json, print_findings
from zoostore.errors import DamagedContent

if TYPE_CHECKING:
    from zoostore.ops.repair import Dropped, Repaired

_IN_PART = 3


@click.command()
@click.argument("stubs", metavar="[STUB]...", nargs=-1, shell_complete=complete_stub)
@click.option("--drop", is_flag=True, help="Give up what nobody has.")
@click.option("--dry-run", is_flag=True, help="Only say what is damaged.")
@common_options
def repair(stubs: tuple[str, ...], drop: bool, dry_run: bool) -> int:
    """Set aside what is damaged, and get it back from whoever has it."""
    done = settings().open_store().repair(stubs, drop=drop, dry_run=dry_run)
    if settings().json:
        print_json(
            {
                "dry_run": done.dry_run,
                "damaged": findings_as_json(done.damaged),
                "repaired": findings_as_json(done.repaired),
                "missing": findings_as_json(done.missing),
                "dropped": [_as_json(item) for item in done.dropped],
                "restored": list(done.restored),
            }
        )
    else:
        _print(done)
    if done.dry_run:
        return DamagedContent.exit_code if done.damaged else 0
    return 0 if done.is_done else _IN_PART


def _print(done: Repaired) -> None:
    if done.dry_run:
        print_findings("damaged", done.damaged)
    print_findings("repaired", done.repaired, "green")
    print_findings("missing", done.missing)
    for stub in done.restored:
        line(f"{emphasised('restored', 'green')}  {stub}")
    for item in done.dropped:
        name = f"{item.stub}@{item.tag}" if item.tag else item.stub
        line(f"{emphasised('dropped', 'yellow')}  {printable(name)}: {_what_became(item)}")
    if not done.damaged:
        say("nothing is damaged")
    elif done.dry_run:
        say(f"{plural(len(done.damaged), 'thing')} to repair; nothing was changed")
    else:
        _say_the_end(done)


def _say_the_end(done: Repaired) -> None:
    lost = f", {len(done.missing)} that nobody has" if done.missing else ""
    say(f"{plural(len(done.repaired), 'thing')} repaired{lost}")
    if done.missing and not done.dropped:
        say(
            "Make a remote reachable that has it, or add its directory again, and repair once "
            "more; or give it up with --drop."
        )


def _what_became(item: Dropped) -> str:
    if item.snapshot is None:
        return "it is gone, for its snapshot is lost"
    if item.snapshot == item.lost:
        return f"{item.snapshot.short} is in part from now on"
    lost = item.lost.short if item.lost else "what it led to"
    return f"it leads to {item.snapshot.short} now, for {lost} is lost"


def _as_json(item: Dropped) -> dict[str, object]:
    return {
        "stub": item.stub,
        "tag": item.tag,
        "snapshot": str(item.snapshot) if item.snapshot else None,
        "lost": str(item.lost) if item.lost else None,
    }
