"""The options that every verb takes, before or after its name, and the store they lead to."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from zoostore.api import Store
    from zoostore.cli.progress.watch import Watch

AUTO, BAR, PLAIN, JSON, NONE = PROGRESS_MODES = ("auto", "bar", "plain", "json", "none")


class Settings:
    """What the common options say."""

    def __init__(self, *, json: bool = False, verbose: bool = False) -> None:
        self.json = json
        self.verbose = verbose
        self.store: str | None = None
        self.offline = False
        self.quiet = False
        self.progress = AUTO
        self.no_progress = False
        self._watch: Watch | None = None

    def open_store(self, *, watched: bool = True) -> Store:
        """The store that is meant. Nothing is read yet.

        Args:
            watched: whether what is done may take long enough to be shown.
        """
        from zoostore.api import Store

        path = os.path.expanduser(self.store) if self.store else None
        progress = self.watch() if watched else None
        return _followed(Store(path, offline=self.offline or None, progress=progress))

    def open_store_of(self, directory: str) -> Store:
        """The store that a checkout was made from, unless another is named."""
        from zoostore.api import Store

        if self.store:
            return self.open_store()
        offline = self.offline or None
        return _followed(Store.of_checkout(directory, offline=offline, progress=self.watch()))

    def watch(self) -> Watch:
        """What is told how far work is. It falls silent when the command ends, however it does."""
        if self._watch is None:
            from zoostore.cli.progress.choosing import watch

            self._watch = watch(self)
            context = click.get_current_context(silent=True)
            if context is not None:
                context.call_on_close(self._watch.end)
        return self._watch


def _followed(store: Store) -> Store:
    """The store, of which is said, when the command ends, where it could not look."""
    context = click.get_current_context(silent=True)
    if context is not None:
        context.call_on_close(lambda: _warn_of_absent(store))
    return store


def _warn_of_absent(store: Store) -> None:
    for problem in store.absent_alternates:
        from zoostore.cli.output import printable, warn

        warn(printable(problem))


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
    _common(
        "--progress", type=click.Choice(PROGRESS_MODES), help="How to show the progress of work."
    ),
    _common("--no-progress", is_flag=True, help="The same as --progress none."),
)


def common_options(command: Any) -> Any:
    """Give a command the options that every verb takes."""
    for option in reversed(_COMMON):
        command = option(command)
    return command
