"""The command reference: one page of Markdown, made from the commands themselves.

    python -m zoostore.cli.reference > docs/commands.md

It is the same on every terminal and in every locale. Click's own help pages are not
used for it: they are wrapped, and another release of Click may wrap them otherwise.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence

import click

from zoostore.cli.main import cli
from zoostore.cli.verbs import VERBS

_ABOUT = """\
<!-- Made from the commands: `python -m zoostore.cli.reference > docs/commands.md`. -->

# Commands

    zoostore [OPTIONS] VERB [OPTIONS] …

Data goes to stdout, talk and progress to stderr. With `--json` a command prints one JSON
document, which [json.md](json.md) describes. `zoostore --version` prints the version, and
`--help` (or `-h`) behind any verb what it takes.

The progress of work that takes a moment is shown on stderr. `--progress` says how: `bar` is a
line for each file in work and one for the whole, `plain` a line every five seconds, `json` one
JSON object a line ([json.md](json.md#progress)), `none` nothing. `auto`, the default, is `bar` on
a terminal and `plain` elsewhere; with `-q`, and with `--json` where stderr is no terminal, it is
`none`.

Where a command takes a `STUB`, it is the name of a model in one of three forms:

    [zoo:]domain/sub_domain/architecture[-sub_architecture]/framework/repo/
          dataset[-training_scheme]/sparse_tag
    [zoo:]short_name
    hf:[org/]name

A short name, such as `mlp-512-digits-pruned80`, stands for the one full name that it fits:
architecture, dataset and sparse tag, with or without a final `-none`. Where a model is looked
for, `@REVISION` may follow: a tag, the first four or more digits of a snapshot's id, or `~N`
for the N-th parent, alone (`@~1`) or behind one of the others (`@v1~2`). With `checkout` and
`pull`, `?recipe=NAME`, `?checkpoint=NAME`, or both with a `&` between them, may follow (in
quotes, for shells read `?` and `&` themselves): other recipes, or other checkpoints, are left
out. [python.md](python.md) says how they are told apart."""

_WIDTH = 110

ARGUMENTS: Mapping[str, str] = {
    "stub": "The model, perhaps with `@REVISION`.",
    "checkout directory": "Where to (default: the model's short name, in the current directory).",
    "pull stubs": "The models, each perhaps with `@REVISION`; or, with `--as`, one URL.",
    "adopt directory": "A cache, what holds it, a part of it, or any folder of weights.",
    "add directory": "What to import. A `.zoostore` folder in it is left out.",
    "add stub": "The model's name, without a revision.",
    "commit directory": "The checkout, or a folder in it (default: the current directory).",
    "status directory": "The checkout, or a folder in it (default: the current directory).",
    "diff before": "A directory if there is one of this name, else a stub (default: the checkout).",
    "diff after": "The same. What is printed is what must be done to A to get B.",
    "search text": "Words that stand anywhere in the stub, whatever their case.",
    "ls stub": "List this model's files. Without it, the models are listed.",
    "cat path": "A path in the model; links are followed within it.",
    "tag name": "Letters, digits and `_ . + -`, 100 at most. A tag never moves.",
    "rm stub": "The model's name, without a revision.",
    "du stubs": "Report on these models only (default: all).",
    "verify stubs": "Read only what these models need (default: everything).",
    "repair stubs": "Repair only what these models need (default: everything).",
    "publish stubs": "The models. Each takes its tags along.",
    "remote add name": "What to call it. A name that is taken gets the new URL.",
    "remote add url": "`http://…`, `https://…`, `file://…`, or a directory.",
    "remote show name": "The remote; `builtin` is the zoo that comes with zoostore.",
    "remote rm name": "The remote.",
    "completion shell": "The shell.",
}
"""What an argument stands for: by its command and name, or by its name alone."""

EXIT_CODES: Mapping[int, str] = {
    0: "Done. (`status` and `diff` end so whatever differs, unless `--exit-code` is given.)",
    1: "Failed; or, with `--exit-code`, something differs.",
    2: "The arguments, a stub or config.toml cannot be understood.",
    3: "Done in part: models could not be pulled, or remotes not searched. They are named.",
    4: "It would have needed the network, and zoostore is offline.",
    5: "Content is damaged or missing. It is named.",
    6: "There is no such model, revision, path, remote or checkout.",
    10: "There is no store at this place.",
    11: "Another process holds what is needed. It is named.",
    130: "Interrupted (Ctrl-C). Nothing is half done, and what had fully arrived is kept.",
    141: "Whoever read the output closed it (as `head` does).",
}

ENVIRONMENT: Mapping[str, str] = {
    "ZOOSTORE_HOME": "The store's folder (default: `zoostore` in the user's cache folder).",
    "ZOOSTORE_INDEX": "Where the index is, if not in the store: a folder on a local disk.",
    "ZOOSTORE_OFFLINE": "`1`, `on`, `yes` or `true`: send nothing over the network.",
    "HF_HUB_OFFLINE": "The same.",
    "ZOOSTORE_REMOTE": "A zoo to ask before all remotes: a URL or a directory.",
    "HF_ENDPOINT": "The Hugging Face Hub, or a mirror (default: `https://huggingface.co`).",
    "HF_TOKEN": "Who asks the Hub ([hugging-face.md](hugging-face.md) says where else is looked).",
    "HUGGING_FACE_HUB_TOKEN": "The same, where `HF_TOKEN` is not set.",
    "HF_TOKEN_PATH": "The file that a login keeps its token in (default: `token` in `HF_HOME`).",
    "HF_HOME": "Where huggingface_hub keeps what it has (default: `~/.cache/huggingface`).",
    "HF_HUB_DISABLE_IMPLICIT_TOKEN": "`1`, `on`, `yes` or `true`: send the Hub no token.",
    "XDG_CACHE_HOME": "The user's cache folder, where it is not `~/.cache`.",
    "ZOOSTORE_NO_PROGRESS": "Anything: no progress, unless `--progress` says how.",
    "TERM": "`dumb` or `unknown`: lines instead of bars.",
    "NO_COLOR": "Anything: no colours.",
}


def page() -> str:
    """The whole page."""
    context = click.Context(cli, info_name="zoostore")
    sections = [
        _ABOUT,
        _section("## Options of every verb", _options(_common()), "Before or after the verb."),
        *(
            section
            for verb in VERBS
            for section in _command_sections(_get(cli, context, verb), [verb])
        ),
        _section(
            "## Exit codes",
            [(str(code), text) for code, text in EXIT_CODES.items()],
            "[trouble.md](trouble.md) has the errors behind them.",
        ),
        _section("## Environment", [(f"`{name}`", text) for name, text in ENVIRONMENT.items()]),
    ]
    return "\n\n".join(sections) + "\n"


def described(command: click.Command, words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The arguments of a command with what they stand for; empty where nobody said."""
    for argument in _arguments(command):
        name = argument.name or ""
        text = ARGUMENTS.get(" ".join([*words, name]), ARGUMENTS.get(name, ""))
        yield f"`{_metavar(argument)}`", _with_choices(text, argument)


def commands() -> Iterator[tuple[list[str], click.Command]]:
    """Every command with the words that call it, in the order of the page."""
    context = click.Context(cli, info_name="zoostore")
    for verb in VERBS:
        yield from _with_subcommands(_get(cli, context, verb), [verb])


def _with_subcommands(
    command: click.Command, words: list[str]
) -> Iterator[tuple[list[str], click.Command]]:
    yield words, command
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from _with_subcommands(below, [*words, name])


def _command_sections(command: click.Command, words: list[str]) -> Iterator[str]:
    for spoken, found in _with_subcommands(command, words):
        heading = f"{'#' * (len(spoken) + 1)} {' '.join(spoken)}"
        rows = [*described(found, spoken), *_options(_own_options(found))]
        yield _section(heading, rows, f"    {_usage(found, spoken)}", *_paragraphs(found))


def _get(group: click.Group, context: click.Context, name: str) -> click.Command:
    command = group.get_command(context, name)
    assert command is not None, f"{name} is no command"
    return command


def _usage(command: click.Command, words: Sequence[str]) -> str:
    pieces = ["zoostore", *words]
    if _own_options(command):
        pieces.append("[OPTIONS]")
    pieces += [_metavar(argument) for argument in _arguments(command)]
    if isinstance(command, click.Group):
        pieces.append(f"{'|'.join(command.commands)} …")
    return " ".join(pieces)


def _paragraphs(command: click.Command) -> list[str]:
    text = command.help or ""
    paragraphs = text.split("\n\n")
    return [_wrapped(paragraph) for paragraph in paragraphs]


def _wrapped(paragraph: str) -> str:
    words = " ".join(paragraph.split())
    return textwrap.fill(words, _WIDTH, break_long_words=False, break_on_hyphens=False)


def _arguments(command: click.Command) -> list[click.Argument]:
    return [item for item in command.params if isinstance(item, click.Argument)]


def _common() -> list[click.Option]:
    return [
        item for item in cli.params if isinstance(item, click.Option) and item.name != "version"
    ]


def _own_options(command: click.Command) -> list[click.Option]:
    common = {option.name for option in _common()}
    options = [item for item in command.params if isinstance(item, click.Option)]
    return [option for option in options if option.name not in common]


def _metavar(argument: click.Argument) -> str:
    if argument.metavar:
        return argument.metavar
    name = (argument.name or "").upper()
    return name if argument.required else f"[{name}]"


def _options(options: Iterable[click.Option]) -> Iterator[tuple[str, str]]:
    for option in options:
        text = _with_choices(option.help or "", option)
        if option.required:
            text += " Must be given."
        if option.multiple:
            text += " May be given more than once."
        yield f"`{', '.join(option.opts)}{_value(option)}`", text


def _value(option: click.Option) -> str:
    if option.is_flag:
        return ""
    return " " + (option.metavar or _type_name(option))


def _type_name(option: click.Option) -> str:
    return "MODE" if _choices(option) else option.type.name.upper()


def _with_choices(text: str, parameter: click.Parameter) -> str:
    choices = ", ".join(f"`{choice}`" for choice in _choices(parameter))
    return f"{text.removesuffix('.')}: {choices}." if choices else text


def _choices(parameter: click.Parameter) -> list[str]:
    kind = parameter.type
    return [str(choice) for choice in kind.choices] if isinstance(kind, click.Choice) else []


def _section(heading: str, rows: Iterable[tuple[str, str]], *paragraphs: str) -> str:
    return "\n\n".join(filter(None, [heading, *paragraphs, _table(list(rows))]))


def _table(rows: Sequence[tuple[str, str]]) -> str:
    lines = [f"| {name} | {text} |" for name, text in rows]
    return "\n".join(["| | |", "|---|---|", *lines]) if lines else ""


if __name__ == "__main__":
    sys.stdout.buffer.write(page().encode("utf-8"))
