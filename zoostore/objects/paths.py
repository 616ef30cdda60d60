"""Path safety: the one place that says which names a snapshot may hold.

A name that passes here can be joined to a directory without leaving it, on any
system, and no two names of one directory can stand for the same file on a
system that folds case or normalises Unicode.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from zoostore.errors import UnsafePath

MAX_NAME_BYTES = 1020
"""255 code points of four bytes each: the longest name any common file system takes."""

MAX_PATH_BYTES = 4096
MAX_DEPTH = 512
MAX_LINK_BYTES = 4095

CHECKOUT_FOLDER = ".zoostore"
"""Where a checkout keeps what it knows; never part of a snapshot."""

_WINDOWS_FORBIDDEN = frozenset('\\:*?"<>|') | {chr(code) for code in range(32)}
_NEVER_PLAIN = frozenset(["", ".", "..", CHECKOUT_FOLDER])

_WINDOWS_DEVICES = frozenset(
    ["con", "prn", "aux", "nul", "conin$", "conout$"]
    + [f"{port}{digit}" for port in ("com", "lpt") for digit in "123456789¹²³"]
)


def folded(name: str) -> str:
    """What a case-folding, Unicode-normalising file system would make of a name.

    Source: the Unicode Standard, definition D145 (canonical caseless matching).
    """
    if name.isascii():
        return name.lower()
    # Imported here: most names are plain ASCII.
    import unicodedata

    decomposed = unicodedata.normalize("NFD", name)
    return unicodedata.normalize("NFD", decomposed.casefold())


def check_name(name: str) -> None:
    """Refuse a name that is not one plain component of a path.

    Raises:
        UnsafePath: the name is empty, `.`, `..`, too long, not valid Unicode, the
            checkout's own folder, or holds a slash or a NUL.
    """
    _checked(name)


def _checked(name: str) -> str:
    """What a name folds to, once it is found to be safe."""
    if name in ("", ".", ".."):
        raise UnsafePath(f"The name {name!r} cannot stand in a tree.", name=name)
    if "/" in name or "\0" in name:
        raise UnsafePath(f"The name {name!r} holds a slash or a NUL.", name=name)
    try:
        length = len(name) if name.isascii() else len(name.encode("utf-8"))
    except UnicodeEncodeError:
        raise UnsafePath(f"The name {name!r} is not valid Unicode.", name=name) from None
    if length > MAX_NAME_BYTES:
        raise UnsafePath(
            f"A name is {length} bytes long, and at most {MAX_NAME_BYTES} are possible.", name=name
        )
    key = folded(name)
    if key == CHECKOUT_FOLDER:
        raise UnsafePath(f"The name {name!r} is kept for a checkout's own folder.", name=name)
    return key


def check_names(names: Iterable[str]) -> None:
    """Refuse what `check_name` and `check_siblings` refuse of the names of one directory."""
    names = list(names)
    if not _are_plain(names):
        _check_twins((_checked(name), name) for name in names)


def _are_plain(names: Sequence[str]) -> bool:
    """Whether names are in ASCII and nothing is wrong with any. They are looked at together."""
    text = "/".join(names)
    keys = set(text.lower().split("/"))
    return (
        text.isascii()
        and "\0" not in text
        and len(keys) == len(names)  # neither twins nor a slash, which would make more of them
        and text.count("/") == len(names) - 1
        and keys.isdisjoint(_NEVER_PLAIN)
        and max(map(len, names)) <= MAX_NAME_BYTES
    )


def check_siblings(names: Iterable[str]) -> None:
    """Refuse names of one directory that some file system would take for one.

    Raises:
        UnsafePath: two names are the same after case folding or normalisation.
    """
    _check_twins((folded(name), name) for name in names)


def _check_twins(names: Iterable[tuple[str, str]]) -> None:
    seen: dict[str, str] = {}
    for key, name in names:
        twin = seen.setdefault(key, name)
        if twin is not name:
            raise UnsafePath(
                f"The names {twin!r} and {name!r} stand in one directory, and are the same file "
                "where case or Unicode form does not count.",
                name=name,
                twin=twin,
            )


def check_path(path: str) -> None:
    """Refuse a path of more components or bytes than a file system takes.

    Raises:
        UnsafePath: the path is too deep or too long. Its names were checked before.
    """
    if len(path) < MAX_DEPTH:  # so it has fewer slashes, and at most four bytes for each of these
        return
    length = len(path) if path.isascii() else len(path.encode("utf-8", errors="surrogatepass"))
    if path.count("/") >= MAX_DEPTH or length > MAX_PATH_BYTES:
        raise UnsafePath(
            f"A path is deeper than {MAX_DEPTH} folders or longer than {MAX_PATH_BYTES} bytes: "
            f"{path[:80]!r}…",
            path=path,
        )


def check_link(path: str, target: str) -> None:
    """Refuse a symbolic link that leads, or could be made to lead, out of the snapshot.

    `..` may only open the target: the folder a link stands in is a real folder, so
    going up from it is what it seems. After a name, `..` could go up from wherever
    another link led.

    Raises:
        UnsafePath: the target is empty, absolute, too long, or may lead outside.
    """
    reason = _why_unsafe(path.count("/"), target)
    if reason:
        raise UnsafePath(
            f"The link {path!r} points to {target!r}, which {reason}.", path=path, target=target
        )


def _why_unsafe(depth: int, target: str) -> str | None:
    if not target or "\0" in target:
        return "is not a path"
    try:
        length = len(target.encode("utf-8"))
    except UnicodeEncodeError:
        return "is not valid Unicode"
    if length > MAX_LINK_BYTES:
        return f"is longer than {MAX_LINK_BYTES} bytes"
    if target.startswith("/") or "\\" in target or target[1:2] == ":":
        return "is absolute, or would be on another system"
    named = False
    for component in target.split("/"):
        if component == "..":
            depth -= 1
            if named:
                return "goes up again after going down"
            if depth < 0:
                return "leads outside"
        elif component not in ("", "."):
            named = True
    return None


def parted(path: str) -> tuple[str, str]:
    """What the paths in its folder begin with, empty or with a slash at the end; and its name."""
    begin = path.rfind("/") + 1
    return path[:begin], path[begin:]


def why_not_on_windows(name: str) -> str | None:
    """Why Windows cannot hold a file of this name, or None.

    Source: Microsoft, "Naming Files, Paths, and Namespaces".
    """
    if _WINDOWS_FORBIDDEN.intersection(name):
        return "holds a character that Windows does not allow"
    if name.endswith((" ", ".")):
        return "ends in a space or a full stop"
    if name.split(".")[0].rstrip(" ").lower() in _WINDOWS_DEVICES:
        return "names a Windows device"
    return None
