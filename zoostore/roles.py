"""Roles: what the files of a model are for, told by their paths.

Knows how SparseZoo laid models out, at first and in its later releases, and what the
selectors of a stub leave of one. Sees paths only, never content.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Final

from zoostore.errors import Ambiguous, UnknownChoice
from zoostore.stubs import CHECKPOINTS

ROLES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "training": ("training/",),
        "deployment": ("deployment/",),
        "onnx_folder": ("onnx/",),
        "logs": ("logs/",),
        "sample_originals": ("sample[-_]originals/",),
        "sample_inputs": ("sample[-_]inputs/",),
        "sample_outputs": ("sample[-_]outputs/", "sample[-_]outputs[-_]*/"),
        "sample_labels": ("sample[-_]labels/",),
        "model_card": ("model.md", "README.md"),
        "recipes": ("recipe/*.md", "recipe/*.yaml", "recipe*.md", "recipe*.yaml"),
        "onnx_model": (
            "model.onnx.tar.gz",
            "model.onnx",
            "deployment/model.onnx",
            "onnx/model.onnx",
        ),
        "analysis": ("analysis.yaml",),
        "benchmarks": ("benchmarks.yaml",),
        "benchmark": ("benchmark.yaml",),
        "eval_results": ("eval.yaml",),
        "metrics": ("metrics.yaml",),
    }
)
"""Each role and the paths that may play it, the first that is there first.

A path that ends in a slash is a folder, which may also be kept as an archive of its name.
"""

ARCHIVE: Final = ".tar.gz"
FRAMEWORK: Final = "framework"
"""The engine of sample outputs that do not name one: what the model was trained with."""

ORIGINAL: Final = "original"
TRAINING: Final = "training"
PREFERRED_CHECKPOINTS: Final = ("preqat", "postpruning", "prepruning", "postqat")
"""What a training defaults to: to go on from, the last state before quantization."""

_RECIPE = re.compile(r"recipe(?:[-_](?P<name>.+))?")
_ENDINGS = (".md", ".yaml")
"""How names end that were made different by the file's ending; the beginning means the other."""

_CHECKPOINT = re.compile(rf"(?:checkpoint[-_])?(?P<name>{'|'.join(CHECKPOINTS)})(?:\..*)?")


def playing(role: str, paths: Collection[str]) -> str | None:
    """The path that plays a role.

    Args:
        paths: those of all files of a model; of folders that hold nothing, with a slash behind.
    """
    return next(_playing(role, paths), None)


def _playing(role: str, paths: Collection[str]) -> Iterator[str]:
    full = {path.partition("/")[0] for path in paths if "/" in path.rstrip("/")}
    empty = {path.rstrip("/") for path in paths if path.endswith("/")}
    for pattern in ROLES[role]:
        if not pattern.endswith("/"):
            yield from sorted(path for path in paths if _fits(path, pattern))
            continue
        folder = pattern.rstrip("/")
        yield from sorted(name for name in full if fnmatchcase(name, folder))
        yield from sorted(path for path in paths if _fits(path, folder + ARCHIVE))
        yield from sorted(name for name in empty if fnmatchcase(name, folder))


def _fits(path: str, pattern: str) -> bool:
    return path.count("/") == pattern.count("/") and fnmatchcase(path, pattern)


def sample_outputs(paths: Collection[str]) -> dict[str, str]:
    """The sample outputs by the engine that made them."""
    found: dict[str, str] = {}
    for path in _playing("sample_outputs", paths):
        _, _, engine = path.removesuffix(ARCHIVE).partition("outputs")
        found.setdefault(engine[1:] or FRAMEWORK, path)
    return found


def recipes(paths: Collection[str]) -> dict[str, str]:
    """The recipes by name: `recipe_original.md` is called `original`, and so is `recipe.md`."""
    plain: list[str] = []
    named: dict[str, str] = {}
    for path in _playing("recipes", paths):
        file = path.rpartition("/")[2]
        match = _RECIPE.fullmatch(file.rpartition(".")[0])
        if match and not match["name"]:
            plain.append(path)
        else:
            name = match["name"] if match else file.rpartition(".")[0]
            named[_free(named, name, file, path, f"./{path}")] = path
    found: dict[str, str] = {}
    for path in plain:
        found[_free({**found, **named}, ORIGINAL, "recipe", path)] = path
    return {**found, **named}


def _free(taken: Collection[str], *names: str) -> str:
    """The first of some names that is not taken; the last if all are."""
    return next((name for name in names if name not in taken), names[-1])


def checkpoints(paths: Iterable[str]) -> dict[str, list[str]]:
    """The checkpoints that a training keeps by name, each with the paths that are only its own.

    A folder, or files, named for a state. Empty if nothing is: then the folder as a whole is
    one checkpoint that does not say which.
    """
    found: dict[str, list[str]] = {}
    for path in paths:
        folder, _, rest = path.partition("/")
        match = _CHECKPOINT.fullmatch(rest.partition("/")[0]) if folder == TRAINING else None
        if match:
            found.setdefault(match["name"], []).append(path)
    return {name: found[name] for name in CHECKPOINTS if name in found}


def choose(kind: str, value: str, names: Iterable[str]) -> str:
    """The one of some names that is, or begins with, a value.

    Args:
        kind: what they are names of, for the message.

    Raises:
        UnknownChoice: none does.
        Ambiguous: more than one does, and none is the value itself.
    """
    names = list(names)
    if value in names:
        return value
    wanted = value.lower()
    found = [name for name in names if name.lower() == wanted] or [
        name for name in names if name.lower().startswith(wanted) and not name.endswith(_ENDINGS)
    ]
    if len(found) == 1:
        return found[0]
    there = ", ".join(names) or "none"
    if not found:
        raise UnknownChoice(
            f"The model has no {kind} {value!r}; there are: {there}.", value=value, names=names
        )
    raise Ambiguous(f"{value!r} fits {len(found)} {kind}s: {', '.join(found)}.", candidates=found)


def left_out(paths: Collection[str], selectors: Mapping[str, str]) -> set[str]:
    """The paths that a stub's selectors do not choose: other recipes, other checkpoints.

    Raises:
        UnknownChoice: a value fits nothing.
        Ambiguous: it fits more than one.
    """
    out: set[str] = set()
    recipe = selectors.get("recipe") or selectors.get("recipe_type")
    if recipe:
        named = recipes(paths)
        chosen = choose("recipe", recipe, named)
        out.update(path for name, path in named.items() if name != chosen)
    checkpoint = selectors.get("checkpoint")
    named_checkpoints = checkpoints(paths)
    if checkpoint and named_checkpoints:
        choose("checkpoint", checkpoint, named_checkpoints)
        for name, own in named_checkpoints.items():
            if name != checkpoint:
                out.update(own)
    return out
