"""Arguments that several verbs take."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from zoostore.cli.settings import Settings
from zoostore.errors import ZooError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


def complete_stub(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """The models here whose names begin so."""
    from click.shell_completion import CompletionItem

    # A colon ends a word in some shells, so names are completed without their `zoo:`.
    try:
        models = context.ensure_object(Settings).open_store(watched=False).snapshots()
    except ZooError:
        return []
    names = (model.stub.removeprefix("zoo:") for model in models)
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


_INCLUDE = click.option(
    "--include", multiple=True, metavar="GLOB", help="Only paths that fit (as in .gitignore)."
)
_EXCLUDE = click.option(
    "--exclude", multiple=True, metavar="GLOB", help="No paths that fit (as in .gitignore)."
)


def globs(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a verb `--include` and `--exclude`."""
    return _INCLUDE(_EXCLUDE(command))


def key_values(texts: tuple[str, ...]) -> dict[str, str]:
    """`KEY=VALUE` options as a mapping."""
    values = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise click.BadParameter(f"{text!r} is not KEY=VALUE.")
        values[key] = value
    return values
