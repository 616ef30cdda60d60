"""publish and remote: zoos for others, and zoos of others."""

from __future__ import annotations

import click

from zoostore.cli.arguments import complete_stub
from zoostore.cli.output import line, plural, print_json, printable, say, table
from zoostore.cli.settings import common_options, settings
from zoostore.units import human_size


@click.command()
@click.argument("stubs", metavar="STUB...", nargs=-1, required=True, shell_complete=complete_stub)
@click.option("--to", "directory", required=True, type=click.Path(), help="The zoo's directory.")
@click.option("--name", default="", help="What the zoo is called.")
@common_options
def publish(stubs: tuple[str, ...], directory: str, name: str) -> None:
    """Write models as a zoo that any static web server can hold."""
    done = settings().open_store().publish(stubs, directory, name=name)
    if settings().json:
        print_json(
            {
                "directory": str(done.directory),
                "models": list(done.models),
                "new_objects": done.new_objects,
                "new_bytes": done.new_bytes,
                "total_models": done.total_models,
            }
        )
        return
    say(
        f"wrote {plural(done.new_objects, 'new object')} ({human_size(done.new_bytes)}); the zoo "
        f"now lists {plural(done.total_models, 'model')}"
    )
    line(printable(str(done.directory)))


@click.group()
@common_options
def remote() -> None:
    """Name the zoos that models are pulled from."""


@remote.command("add")
@click.argument("name")
@click.argument("url")
@common_options
def add_remote(name: str, url: str) -> None:
    """Name a published zoo: a URL, or the path of a directory."""
    settings().open_store().add_remote(name, url)
    if settings().json:
        print_json({"name": name, "url": url})


@remote.command("ls")
@common_options
def list_remotes() -> None:
    """List the remotes in the order in which they are asked."""
    remotes = settings().open_store().remotes()
    if settings().json:
        print_json([{"name": name, "url": url} for name, url in remotes.items()])
        return
    table([(name, printable(url)) for name, url in remotes.items()])


@remote.command("show")
@click.argument("name")
@common_options
def show_remote(name: str) -> None:
    """List the models that a remote has."""
    listed = settings().open_store().catalog(name)
    if settings().json:
        print_json(
            [
                {
                    "stub": model.stub,
                    "snapshot": str(model.snapshot),
                    "files": model.files,
                    "size": model.size,
                    "tags": {tag: str(oid) for tag, oid in model.tags.items()},
                }
                for model in listed
            ]
        )
        return
    table(
        (
            (model.snapshot.short, str(model.files), human_size(model.size), model.stub)
            for model in listed
        ),
        right=[1, 2],
    )


@remote.command("rm")
@click.argument("name")
@common_options
def remove_remote(name: str) -> None:
    """Forget a remote."""
    settings().open_store().remove_remote(name)
    if settings().json:
        print_json({"name": name})
