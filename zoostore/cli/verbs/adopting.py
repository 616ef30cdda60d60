"""adopt: what other tools keep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from zoostore.cli.output import plural, print_json, printable, say, table, warn
from zoostore.cli.settings import common_options, settings
from zoostore.units import human_size

if TYPE_CHECKING:
    from zoostore.ops.adopt import Adopted, AdoptedModel

_IN_PART = 3


@click.command()
@click.argument("directory", type=click.Path())
@click.option("--as", "stub", metavar="STUB", help="The model's name, where a folder is one model.")
@click.option("--relink", is_flag=True, help="Make the cache's files links to the store's objects.")
@common_options
def adopt(directory: str, stub: str | None, relink: bool) -> int:
    """Import what another tool keeps, without copying where links allow.

    DIRECTORY is the cache of the Hugging Face Hub, of SparseZoo or of Ollama, or any folder of
    weights. It stays as it is, unless --relink is given.
    """
    done = settings().open_store().adopt(directory, stub=stub, relink=relink)
    if settings().json:
        print_json(_as_json(done))
    else:
        table(map(_as_row, done.models), right=[1, 2])
        _tell(done)
    for path, why in done.damaged.items():
        warn(printable(f"not adopted: {path}: {why}"))
    return _IN_PART if done.damaged else 0


def _tell(done: Adopted) -> None:
    for path, why in done.passed_over.items():
        say(printable(f"passed over: {path}: {why}"))
    new = sum(model.is_new for model in done.models)
    linked = ", ".join(f"{count} by {how}" for how, count in done.linked.items() if count)
    parts = [f"{plural(len(done.models), 'model')} ({new} new)", linked or "nothing to take in"]
    if done.reused_files:
        reused = f"{plural(done.reused_files, 'file')} ({human_size(done.reused_bytes)})"
        parts.append(f"{reused} were here already")
    say(f"{done.kind}: {'; '.join(parts)}")
    say(f"saved {human_size(done.saved_bytes)} of {human_size(done.size)}")
    if done.relinked_files:
        freed = human_size(done.relinked_bytes)
        say(f"relinked {plural(done.relinked_files, 'file')}; that gave back {freed}")


def _as_row(model: AdoptedModel) -> tuple[str, ...]:
    files, size = str(model.files), human_size(model.size)
    revision = f"@{model.revision[:12]}" if model.revision else ""
    return (model.snapshot.short, files, size, f"{model.stub}{revision}")


def _as_json(done: Adopted) -> dict[str, object]:
    return {
        "kind": done.kind,
        "directory": str(done.directory),
        "models": [
            {
                "stub": model.stub,
                "revision": model.revision,
                "snapshot": str(model.snapshot),
                "files": model.files,
                "size": model.size,
                "left_out": model.left_out,
                "new": model.is_new,
            }
            for model in done.models
        ],
        "files": done.files,
        "size": done.size,
        "linked": dict(done.linked),
        "reused_files": done.reused_files,
        "reused_bytes": done.reused_bytes,
        "saved_bytes": done.saved_bytes,
        "relinked_files": done.relinked_files,
        "relinked_bytes": done.relinked_bytes,
        "damaged": _by_path(done.damaged),
        "passed_over": _by_path(done.passed_over),
    }


def _by_path(reasons: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"path": path, "reason": why} for path, why in reasons.items()]
