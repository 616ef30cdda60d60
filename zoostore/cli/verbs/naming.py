"""tag and rm: names for snapshots."""

from __future__ import annotations

import click

from zoostore.cli.arguments import complete_stub
from zoostore.cli.output import line, print_json, say
from zoostore.cli.settings import common_options, settings


@click.command()
@click.argument("stub", shell_complete=complete_stub)
@click.argument("name")
@common_options
def tag(stub: str, name: str) -> None:
    """Give a snapshot a name that does not move."""
    snapshot = settings().open_store().tag(stub, name)
    if settings().json:
        print_json({"stub": stub, "tag": name, "snapshot": str(snapshot)})
        return
    line(f"{snapshot}  {name}")


@click.command()
@click.argument("stub", shell_complete=complete_stub)
@common_options
def rm(stub: str) -> None:
    """Forget a model and its tags; its objects stay until gc."""
    snapshot = settings().open_store().remove(stub)
    if settings().json:
        print_json({"stub": stub, "snapshot": str(snapshot)})
        return
    say(f"forgot {stub}, which pointed to")
    line(str(snapshot))
