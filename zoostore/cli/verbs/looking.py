"""ls, show, log and cat: what is here."""

from __future__ import annotations

import sys

import click

from zoostore.cli.arguments import complete_stub
from zoostore.cli.output import (
    emphasised,
    line,
    moment,
    print_json,
    print_json_list,
    printable,
    table,
)
from zoostore.cli.settings import common_options, settings
from zoostore.errors import UsageError
from zoostore.units import human_size

_MOST_AS_JSON = 64 << 20


@click.command()
@click.argument("stub", required=False, shell_complete=complete_stub)
@common_options
def ls(stub: str | None) -> None:
    """List the models here, or the files of one."""
    if stub is None:
        _list_models()
    else:
        _list_files(stub)


def _list_models() -> None:
    models = settings().open_store(watched=False).snapshots()
    if settings().json:
        keys = ("stub", "snapshot", "files", "size", "partial")
        print_json([{key: _plain(getattr(model, key)) for key in keys} for model in models])
        return
    rows = [
        (
            model.snapshot.short,
            str(model.files),
            human_size(model.size),
            model.stub + (" (in part)" if model.partial else ""),
        )
        for model in models
    ]
    table(rows, right=[1, 2])


def _list_files(stub: str) -> None:
    files = settings().open_store(watched=False).each_file(stub)
    if settings().json:
        keys = ("path", "size", "oid", "mode")
        print_json_list({key: _plain(getattr(file, key)) for key in keys} for file in files)
        return
    rows = (
        (file.mode, file.oid.short, human_size(file.size), _path_and_target(file.path, file.target))
        for file in files
    )
    table(rows, right=[2])


@click.command()
@click.argument("stub", shell_complete=complete_stub)
@common_options
def show(stub: str) -> None:
    """Show what is known of a model."""
    shown = settings().open_store(watched=False).snapshot(stub)
    snapshot = shown.snapshot
    if settings().json:
        print_json(
            {
                "stub": shown.stub,
                "snapshot": str(shown.id),
                "tree": str(snapshot.tree),
                "parents": [str(parent) for parent in snapshot.parents],
                "files": snapshot.files,
                "size": snapshot.size,
                "time": snapshot.time,
                "message": snapshot.message,
                "source": snapshot.source,
                "revision": snapshot.revision,
                "metadata": dict(snapshot.metadata),
                "tags": {tag: str(oid) for tag, oid in shown.tags.items()},
                "facets": dict(shown.facets),
            }
        )
        return
    rows = [
        ("stub", shown.stub),
        ("snapshot", str(shown.id)),
        *(("parent", str(parent)) for parent in snapshot.parents),
        ("time", moment(snapshot.time)),
        ("content", f"{snapshot.files} files, {human_size(snapshot.size)}"),
        ("message", printable(snapshot.message)),
        ("source", printable(snapshot.source)),
        ("revision", printable(snapshot.revision)),
        *(("tag", f"{tag} -> {oid.short}") for tag, oid in shown.tags.items()),
        *((key.replace("_", " "), value) for key, value in shown.facets.items()),
        *((printable(key), printable(value)) for key, value in snapshot.metadata.items()),
    ]
    table([(name, value) for name, value in rows if value])


@click.command()
@click.argument("stub", shell_complete=complete_stub)
@common_options
def log(stub: str) -> None:
    """Show the history of a model, the newest first."""
    entries = settings().open_store(watched=False).log(stub)
    if settings().json:
        print_json(
            [
                {
                    "snapshot": str(entry.id),
                    "parents": [str(parent) for parent in entry.snapshot.parents],
                    "stub": entry.snapshot.stub,
                    "time": entry.snapshot.time,
                    "message": entry.snapshot.message,
                    "files": entry.snapshot.files,
                    "size": entry.snapshot.size,
                    "tags": list(entry.tags),
                }
                for entry in entries
            ]
        )
        return
    for entry in entries:
        tags = f" ({', '.join(entry.tags)})" if entry.tags else ""
        line(f"{emphasised(entry.id.short, 'yellow')}{tags}  {moment(entry.snapshot.time)}")
        for text in entry.snapshot.message.splitlines() or ["(no message)"]:
            line(f"    {printable(text)}")


@click.command()
@click.argument("stub", shell_complete=complete_stub)
@click.argument("path")
@common_options
def cat(stub: str, path: str) -> None:
    """Write a file of a model to stdout."""
    with settings().open_store().open_file(stub, path) as file:
        if not settings().json:
            import shutil

            shutil.copyfileobj(file, sys.stdout.buffer)
            return
        data = file.read(_MOST_AS_JSON + 1)
    if len(data) > _MOST_AS_JSON:
        raise UsageError(f"{path} is over {human_size(_MOST_AS_JSON)}, too large for JSON.")
    print_json({"stub": stub, "path": path, "size": len(data), **_content(data)})


def _content(data: bytes) -> dict[str, str]:
    try:
        return {"encoding": "utf-8", "content": data.decode("utf-8")}
    except UnicodeDecodeError:
        import base64

        return {"encoding": "base64", "content": base64.b64encode(data).decode("ascii")}


def _plain(value: object) -> object:
    return value if isinstance(value, int | str) else str(value)


def _path_and_target(path: str, target: str) -> str:
    return printable(path) + (f" -> {printable(target)}" if target else "")
