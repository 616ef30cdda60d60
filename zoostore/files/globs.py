"""Globs: which paths of a snapshot are meant, in the language of .gitignore."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from zoostore.errors import UsageError


def selector(include: Sequence[str], exclude: Sequence[str]) -> Callable[[str], bool]:
    """Whether a path is chosen: by any of `include` (all if there is none), by none of `exclude`.

    A pattern without a slash fits a name in any folder; one with a slash is anchored
    at the top; `**` crosses folders; a folder's pattern takes all it holds.

    Raises:
        UsageError: a pattern cannot be read.
    """
    if not include and not exclude:
        return lambda _: True
    import pathspec

    try:
        included = pathspec.GitIgnoreSpec.from_lines(include)
        excluded = pathspec.GitIgnoreSpec.from_lines(exclude)
    except ValueError as error:
        raise UsageError(f"A glob cannot be read: {error}.") from error
    return lambda path: (not include or included.match_file(path)) and not excluded.match_file(path)
