"""The command `zoostore`: its verbs, and what they end with."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

import click

from zoostore import __version__
from zoostore.cli.settings import Settings, common_options
from zoostore.cli.verbs import VERBS
from zoostore.errors import ZooError

_INTERRUPTED = 130
_BROKEN_PIPE = 141


class _Verbs(click.Group):
    """Imports a verb when it is used, and lists all in their order."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"zoostore.cli.verbs.{VERBS[cmd_name]}")
        command: click.Command = getattr(module, cmd_name)
        return command


@click.group(
    cls=_Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="zoostore", message="%(prog)s %(version)s")
@common_options
def cli() -> None:
    """Git for model files: every file is kept once, by its hash."""


def run(arguments: Sequence[str]) -> int:
    """Run one command; its exit code. No exception leaves it."""
    # Known before anything is parsed, for an error of the arguments is said so too.
    is_verbose = "-v" in arguments or "--verbose" in arguments
    settings = Settings(json="--json" in arguments, verbose=is_verbose)
    try:
        result = cli.main(
            list(arguments), prog_name="zoostore", standalone_mode=False, obj=settings
        )
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit):
        # Whoever read has had enough (which click, when it notices first, ends with an exit).
        _give_up_stdout()
        return _BROKEN_PIPE
    except (KeyboardInterrupt, click.Abort):
        message = "Interrupted. Nothing is half done, and what had fully arrived is kept."
        return _fail(settings, "interrupted", message, "Run the command again.", _INTERRUPTED)
    except click.ClickException as error:
        return _fail_usage(settings, error)
    except ZooError as error:
        from zoostore.cli.hints import hint

        _show_traceback(settings)
        verb = next((word for word in arguments if word in VERBS), "VERB")
        advice = hint(error).replace("VERB", verb)
        return _fail(settings, error.kind, error.message, advice, error.exit_code)
    except OSError as error:  # of a file, the library says so itself: this is of stdout
        _show_traceback(settings)
        _give_up_stdout()
        message = f"What there is to say cannot be written: {error.strerror}."
        return _fail(settings, "file_system", message, "Look where stdout leads.", 1)
    except Exception as error:
        _show_traceback(settings)
        message = f"zoostore itself failed: {type(error).__name__}: {error}."
        return _fail(settings, "internal", message, "Please report it, with what -v shows.", 1)
    return result if isinstance(result, int) else 0


def _fail_usage(settings: Settings, error: click.ClickException) -> int:
    if isinstance(error, click.exceptions.NoArgsIsHelpError) and not settings.json:
        click.echo(error.format_message(), err=True)
        return 2
    context = getattr(error, "ctx", None)
    hint = f"`{context.command_path} --help` shows what it takes." if context else ""
    return _fail(settings, "usage", error.format_message(), hint, 2)


def _fail(settings: Settings, kind: str, message: str, hint: str, exit_code: int) -> int:
    if settings.json:
        from zoostore.cli.output import print_json

        facts = {"kind": kind, "message": message, "hint": hint, "exit_code": exit_code}
        print_json({"error": facts})
    else:
        from zoostore.cli.output import printable

        text = f"error: {message} {hint}".rstrip()
        click.echo("\n".join(map(printable, text.split("\n"))), err=True)
    return exit_code


def _give_up_stdout() -> None:
    """Write to nowhere from now on: what is still buffered would fail once more at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _show_traceback(settings: Settings) -> None:
    if settings.verbose:
        import traceback

        traceback.print_exc()
