"""completion: what a shell needs to complete zoostore's words."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from zoostore.cli.output import line, print_json
from zoostore.cli.settings import common_options, settings


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@common_options
def completion(shell: str) -> None:
    """Print a script that completes zoostore's words in a shell.

    For bash: eval "$(zoostore completion bash)"
    """
    complete = get_completion_class(shell)
    assert complete is not None
    root = click.get_current_context().find_root().command
    script = complete(root, {}, "zoostore", "_ZOOSTORE_COMPLETE").source()
    if settings().json:
        print_json({"shell": shell, "script": script})
        return
    line(script)
