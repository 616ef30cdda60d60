"""The store's config.toml: remotes, and the thresholds and habits of a store.

large_object = 65536      # objects of at least this many bytes are files of their own
link = "auto"             # the link mode of checkouts
threads = 4               # files are read so many at a time; as suits the disk if it is not said
alternates = ["/srv/zoo"] # stores that are looked in too; paths count from this store's folder

[remotes.NAME]
url = "https://…"         # or the path of a directory
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from zoostore.errors import InvalidConfig, InvalidName, UnknownRemote
from zoostore.files.links import AUTO, LINK_MODES
from zoostore.files.staging import replace_durably
from zoostore.store.objectstore import LARGE_OBJECT

RESERVED_NAMES = ("builtin", "environment")


class Config(NamedTuple):
    """What config.toml says; its keys are explained above."""

    large_object: int = LARGE_OBJECT
    link: str = AUTO
    threads: int | None = None
    alternates: Sequence[str] = ()
    remotes: Mapping[str, str] = MappingProxyType({})


def read_config(path: Path) -> Config:
    """The configuration; where there is no file, that of a new store.

    Raises:
        InvalidConfig: the file cannot be read, or a value makes no sense.
    """
    if not path.exists():
        return Config()
    import tomllib

    try:
        value = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidConfig(f"{path} cannot be read: {error}.", path=str(path)) from error
    try:
        config = Config(
            large_object=value.pop("large_object", LARGE_OBJECT),
            link=value.pop("link", AUTO),
            threads=value.pop("threads", None),
            alternates=value.pop("alternates", ()),
            remotes={name: remote["url"] for name, remote in value.pop("remotes", {}).items()},
        )
    except (AttributeError, KeyError, TypeError) as error:
        raise InvalidConfig(f"{path}: a remote has no url.", path=str(path)) from error
    _check(path, config, value.keys())
    return config


def _check(path: Path, config: Config, unknown: object) -> None:
    from zoostore.store.packs import MAX_PACKED_BYTES

    problem = ""
    if unknown:
        problem = f"{', '.join(map(str, unknown))!r} is no setting"  # type: ignore[call-overload]
    elif type(config.large_object) is not int:
        problem = f"large_object = {config.large_object!r} is not a number of bytes"
    elif not 1 <= config.large_object <= MAX_PACKED_BYTES:
        problem = f"large_object = {config.large_object} is not from 1 to {MAX_PACKED_BYTES}"
    elif config.link not in (AUTO, *LINK_MODES):
        problem = f"link = {config.link!r} is none of {', '.join((AUTO, *LINK_MODES))}"
    elif config.threads is not None and not _is_count(config.threads):
        problem = f"threads = {config.threads!r} is not a number of threads"
    elif not _are_paths(config.alternates):
        problem = f"alternates = {config.alternates!r} is no list of paths"
    elif not all(isinstance(url, str) and url for url in config.remotes.values()):
        problem = "a remote's url is not a text"
    if problem:
        raise InvalidConfig(f"{path}: {problem}.", path=str(path))


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 1


def _are_paths(value: object) -> bool:
    if not isinstance(value, list | tuple):
        return False
    return all(isinstance(path, str) and path and "\0" not in path for path in value)


def add_remote(path: Path, name: str, url: str) -> None:
    """Name a remote, or give a name another URL. What else is in the file stays as it is.

    Raises:
        InvalidName: the name or the URL cannot be used.
        InvalidConfig: the file cannot be read.
    """
    import re

    import tomlkit

    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name) or name in RESERVED_NAMES:
        raise InvalidName(f"{name!r} cannot be the name of a remote; nothing was changed.")
    is_text = url.encode("utf-8", errors="replace").decode("utf-8") == url
    if not url or "\0" in url or not is_text:
        raise InvalidName(f"{url!r} cannot be the address of a remote; nothing was changed.")
    scheme, has_scheme, _ = url.partition("://")
    if has_scheme and scheme not in ("http", "https", "file"):
        raise InvalidName(
            f"{url!r} cannot be a remote: http, https, file and plain paths are possible. "
            "Nothing was changed."
        )
    read_config(path)
    document = tomlkit.parse(path.read_text("utf-8") if path.exists() else "")
    remotes = document.setdefault("remotes", tomlkit.table(is_super_table=True))
    remotes[name] = {"url": url}
    replace_durably(path, tomlkit.dumps(document).encode("utf-8"))


def remove_remote(path: Path, name: str) -> None:
    """Forget a remote. Raises `UnknownRemote` if there is none of this name."""
    import tomlkit

    if name not in read_config(path).remotes:
        raise UnknownRemote(f"There is no remote {name!r}; nothing was changed.", name=name)
    document = tomlkit.parse(path.read_text("utf-8"))
    del document["remotes"][name]
    replace_durably(path, tomlkit.dumps(document).encode("utf-8"))
