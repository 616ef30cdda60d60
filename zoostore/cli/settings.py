"""The options that every verb takes, before or after its name, and the store they lead to."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from zoostore.api import Store
    from zoostore.progress import Progress


class Settings:
    """What the common options say."""

    def __init__(self, *, json: bool = False, verbose: bool = False) -> None:
        self.json = json
        self.verbose = verbose
        self.store: str | None = None
        self.offline = False
        self.quiet = False
        self.no_progress = False

    def open_store(self) -> Store:
        """The store that is meant. Nothing is read yet."""
        from zoostore.api import Store

        path = os.path.expanduser(self.store) if self.store else None
        return Store(path, offline=self.offline or None, progress=self._progress())

    def open_store_of(self, directory: str) -> Store:
        """The store that a checkout was made from, unless another is named."""
        from zoostore.api import Store

        if self.store:
            return self.open_store()
        return Store.of_checkout(directory, offline=self.offline or None, progress=self._progress())

    def _progress(self) -> Progress | None:
        unwanted = self.quiet or self.no_progress or os.environ.get("ZOOSTORE_NO_PROGRESS")
        if unwanted or not sys.stderr.isatty():
            return None
        from zoostore.cli.progress import Bar

        return Bar()


def settings() -> Settings:
    """The settings of the command that is running."""
    return click.get_current_context().ensure_object(Settings)


def _store_in_settings(context: click.Context, option: click.Parameter, value: Any) -> None:
    if value and option.name:
        setattr(context.ensure_object(Settings), option.name, value)


def _common(*names: str, **attributes: Any) -> Callable[[Any], Any]:
    return click.option(*names, expose_value=False, callback=_store_in_settings, **attributes)


_COMMON = (
    _common("--store", metavar="DIR", help="The store to use (default: ZOOSTORE_HOME)."),
    _common("--offline", is_flag=True, help="Send nothing over the network."),
    _common("-q", "--quiet", is_flag=True, help="Only data and errors."),
    _common("-v", "--verbose", is_flag=True, help="Say more; show where an error came from."),
    _common("--json", is_flag=True, help="Print one JSON document."),
    _common("--no-progress", is_flag=True, help="No progress bar."),
)


def common_options(command: Any) -> Any:
    """Give a command the options that every verb takes."""
    for option in reversed(_COMMON):
        command = option(command)
    return command
