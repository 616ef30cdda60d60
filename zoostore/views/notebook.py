"""What a notebook shows of a model or a directory."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING

from zoostore.errors import ZooError
from zoostore.units import human_size

if TYPE_CHECKING:
    from zoostore.views.directory import Directory
    from zoostore.views.file import File
    from zoostore.views.model import Model

_MOST_ROWS = 60


def directory_html(directory: Directory, title: str = "", facts: Iterable[str] = ()) -> str:
    """A table of what a directory holds: names, sizes, and whether each is here.

    What cannot be found out is said in the table: looking at an object must not fail.
    """
    try:
        rows, more = _rows(directory)
    except ZooError as error:
        rows, more = [f'<tr><td colspan="3">{escape(error.message)}</td></tr>'], 0
    about = " · ".join(escape(fact) for fact in facts)
    return (
        f"<div><b>{escape(title or repr(directory))}</b>"
        f"{f'<br><small>{about}</small>' if about else ''}"
        '<table><thead><tr><th style="text-align:left">file</th>'
        '<th style="text-align:right">size</th><th>here</th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
        f"{f'<small>and {more} more</small>' if more else ''}</div>"
    )


def model_html(model: Model) -> str:
    """A table of a model's files, with what its snapshot is."""
    facts = []
    try:
        snapshot = model.snapshot
        if snapshot is not None:
            files = f"{snapshot.files} files, {human_size(snapshot.size)}"
            facts = [f"snapshot {snapshot.id.short}", f"{snapshot.date:%Y-%m-%d}", files]
            facts += [snapshot.message] if snapshot.message else []
    except ZooError:
        pass  # the table says so
    return directory_html(model, repr(model), facts)


def _rows(directory: Directory) -> tuple[list[str], int]:
    files = directory.files if directory.is_folder else [directory]
    shown = [_row(file) for file in files[:_MOST_ROWS]]
    return shown, len(files) - len(shown)


def _row(file: File) -> str:
    mark = "/" if file.is_folder else ""
    try:
        size, here = human_size(file.size), "✓" if file.is_here else "–"
    except ZooError:  # a link that leads nowhere
        size, here = "?", "–"
    return (
        f'<tr><td style="text-align:left">{escape(file.name)}{mark}</td>'
        f'<td style="text-align:right">{size}</td>'
        f'<td style="text-align:center">{here}</td></tr>'
    )
