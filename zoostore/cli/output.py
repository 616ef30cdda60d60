"""What is printed: data to stdout, talk to stderr, as JSON or for a person."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click

from zoostore.cli.settings import settings
from zoostore.groups import batched

_TOGETHER = 1024


def print_json(value: object) -> None:
    """One JSON document on stdout."""
    import json

    click.echo(json.dumps(value, indent=2, ensure_ascii=True, default=str))


def print_json_list(values: Iterable[object]) -> None:
    """The same as `print_json` of a list, of which not all need be there at a time."""
    import json

    begin = "["
    for some in batched(values, _TOGETHER):
        each = (json.dumps(value, indent=2, ensure_ascii=True, default=str) for value in some)
        text = ",\n".join(each).replace("\n", "\n  ")
        click.echo(f"{begin}\n  {text}", nl=False)
        begin = ","
    click.echo("[]" if begin == "[" else "\n]")


def say(text: str = "") -> None:
    """Talk: not data, so on stderr, and not with `--quiet` or `--json`."""
    if not (settings().quiet or settings().json):
        click.echo(text, err=True, color=_colour(sys.stderr))


def warn(text: str) -> None:
    """What is missing from the data: on stderr, and said whatever the options are."""
    click.echo(text, err=True, color=_colour(sys.stderr))


def line(text: str = "") -> None:
    """A line of data."""
    click.echo(text, color=_colour(sys.stdout))


def emphasised(text: str, colour: str) -> str:
    """Text in a colour, where colours are shown."""
    return click.style(text, fg=colour)


def table(rows: Iterable[Sequence[str]], right: Sequence[int] = ()) -> None:
    """Rows in columns as wide as they need; of very many rows, as the first of them need.

    Args:
        right: the columns that are aligned to the right.
    """
    widths: list[int] = []
    for some in batched(rows, _TOGETHER):
        columns = zip(*some, strict=True)
        needed = [max(map(len, column)) for column in columns]
        widths = [max(pair) for pair in zip(widths or needed, needed, strict=True)]
        line("\n".join(_joined(row, widths, right) for row in some))


def _joined(row: Sequence[str], widths: Sequence[int], right: Sequence[int]) -> str:
    last = len(widths) - 1
    cells = (
        cell.rjust(width) if index in right else cell if index == last else cell.ljust(width)
        for index, (cell, width) in enumerate(zip(row, widths, strict=True))
    )
    return "  ".join(cells).rstrip()


def moment(seconds: int) -> str:
    """A time for a person, in their own zone."""
    from datetime import UTC, datetime

    try:
        return datetime.fromtimestamp(seconds, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S %z")
    except (ValueError, OverflowError, OSError):  # a snapshot may say any time it likes
        return f"{seconds} seconds after 1970"


def plural(count: int, one: str, many: str | None = None) -> str:
    """`1 file`, `2 files`."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def printable(text: str) -> str:
    """A name as it can be shown: what could move a cursor or break a line is escaped."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def _colour(stream: Any) -> bool | None:
    if os.environ.get("NO_COLOR"):
        return False
    return None if stream.isatty() else False
