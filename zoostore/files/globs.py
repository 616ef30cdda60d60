"""Globs: which paths of a snapshot are meant, in the language of .gitignore."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from zoostore.errors import UsageError
from zoostore.objects.tree import Kind

Selector = Callable[[str, Kind], bool]
"""Whether a path of a kind is chosen."""


def everything(path: str, kind: Kind) -> bool:
    """Choose all there is."""
    return True


_SPECIAL = re.compile(r"([\\*?\[\]!#])")


def exact(path: str) -> str:
    """The glob that fits one path only, and what is below it."""
    # In brackets, for white space at the end of a pattern is taken away.
    return "/" + re.sub(r"\s", r"[\g<0>]", _SPECIAL.sub(r"\\\1", path))


def selector(include: Sequence[str], exclude: Sequence[str]) -> Selector:
    """Choose what fits any of `include` (all if there is none), and none of `exclude`.

    A pattern without a slash fits a name in any folder; one with a slash is anchored
    at the top; `**` crosses folders; a folder's pattern takes all it holds.

    Raises:
        UsageError: a pattern cannot be read.
    """
    if not include and not exclude:
        return everything
    import pathspec

    try:
        included = pathspec.GitIgnoreSpec.from_lines(include)
        excluded = pathspec.GitIgnoreSpec.from_lines(exclude)
    except ValueError as error:
        raise UsageError(f"A glob cannot be read: {error}.") from error

    def is_chosen(path: str, kind: Kind) -> bool:
        name = path + "/" if kind is Kind.DIRECTORY else path
        return (not include or included.match_file(name)) and not excluded.match_file(name)

    return is_chosen
