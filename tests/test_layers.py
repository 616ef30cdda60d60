"""The layers of docs/ and DESIGN.md: imports go downward only."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import zoostore

PACKAGE = Path(zoostore.__file__).parent

LAYERS: tuple[tuple[str, ...], ...] = (
    ("errors", "progress", "environment", "units", "groups", "streamed", "reread", "worker"),
    ("digest",),
    ("stubs", "roles", "objects", "onnx_data"),
    ("files", "transport"),
    ("store",),
    ("config", "alternates"),
    ("sources", "remotes", "caches"),
    ("ops",),
    ("opened", "source_book", "getting"),
    ("api",),
    ("views",),
    ("compat",),
    ("__init__",),  # the public names, each taken from its layer when it is asked for
    ("zoo", "cli", "server", "__main__"),
)
"""From the bottom up. A module imports from its own layer and from those below it."""

ONLY_IMPORTERS = {
    "blake3": ("zoostore.digest",),
    "hashlib": ("zoostore.digest",),
    "lmdb": ("zoostore.store.index",),
    "requests": ("zoostore.transport.http",),
    "click": ("zoostore.cli",),
    "rich": ("zoostore.cli",),
    "numpy": ("zoostore.views", "zoostore.zoo.training"),
    "onnx": ("zoostore.views", "zoostore.zoo.training"),
    "onnxruntime": ("zoostore.views", "zoostore.zoo.training"),
}
"""Where a library may be imported: in this module, or in this package and below it."""

ALONE = "zoostore.zoo.training"
"""Trains and writes the built-in models; knows nothing of stores."""

_RANKS = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}


class Import(NamedTuple):
    """One imported name: by which module, in which line, and what."""

    importer: str
    line: int
    target: str

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.target}"


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 2 else parts)


def is_module(name: str) -> bool:
    path = PACKAGE.parent.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or path.is_dir()


def absolute(importer: str, node: ast.ImportFrom) -> str:
    """The module that a `from` names, its dots resolved."""
    if node.level == 0:
        return node.module or ""
    is_package = PACKAGE.parent.joinpath(*importer.split(".")).is_dir()
    parts = importer.split(".")
    parents = parts[: len(parts) - node.level + is_package]
    return ".".join([*parents, *filter(None, [node.module])])


def imports_of(name: str, source: str) -> Iterator[Import]:
    """Every import in a module, wherever in it: functions and TYPE_CHECKING included."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(name, node.lineno, alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = absolute(name, node)
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                is_submodule = base.startswith("zoostore") and is_module(whole)
                yield Import(name, node.lineno, whole if is_submodule else base)


def all_imports() -> list[Import]:
    return [
        found
        for path in sorted(PACKAGE.rglob("*.py"))
        for found in imports_of(module_name(path), path.read_text("utf-8"))
    ]


def is_in(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def layer_of(module: str) -> str:
    """The name in `LAYERS` that a module of zoostore stands under."""
    _, name, *_ = *module.split("."), "__init__"
    return name


def why_forbidden(found: Import) -> str | None:
    """The rule that an import breaks, or None."""
    library = found.target.split(".")[0]
    if library in ONLY_IMPORTERS:
        if not any(is_in(found.importer, place) for place in ONLY_IMPORTERS[library]):
            return f"{library} is imported by {' and '.join(ONLY_IMPORTERS[library])} only"
        return None
    if library != "zoostore":
        return None
    if is_in(found.importer, ALONE):
        return None if is_in(found.target, ALONE) else f"{ALONE} imports nothing else of zoostore"
    upper, lower = layer_of(found.importer), layer_of(found.target)
    if _RANKS[upper] < _RANKS[lower]:
        return f"imports go downward only, and {lower} is above {upper}"
    return None


def test_every_module_stands_in_a_layer() -> None:
    names = {module_name(path) for path in PACKAGE.rglob("*.py")}
    homeless = sorted(name for name in names if layer_of(name) not in _RANKS)

    assert not homeless, f"give these modules a place in LAYERS: {', '.join(homeless)}"


def test_no_import_breaks_a_rule() -> None:
    broken = [(found, why_forbidden(found)) for found in all_imports()]

    assert not [f"{found}; {why}" for found, why in broken if why]


def test_the_library_never_prints() -> None:
    printing = [
        f"{module_name(path)}:{node.lineno} prints; only cli talks to the terminal"
        for path in sorted(PACKAGE.rglob("*.py"))
        if layer_of(module_name(path)) not in ("cli", "zoo")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "print"
    ]

    assert not printing


@pytest.mark.parametrize(
    ("importer", "source", "rule"),
    [
        ("zoostore.digest", "import zoostore.store.index", "store is above digest"),
        ("zoostore.store.packs", "from zoostore.ops.add import add", "ops is above store"),
        ("zoostore.files.scan", "def f():\n  from zoostore import api", "api is above files"),
        (
            "zoostore.store.refs",
            "if TYPE_CHECKING:\n  from zoostore.config import Config",
            "config is above store",
        ),
        ("zoostore.api", "from zoostore import Store", "__init__ is above api"),
        ("zoostore.store.packs", "from blake3 import blake3", "zoostore.digest only"),
        ("zoostore.store.index_stamp", "import lmdb", "zoostore.store.index only"),
        ("zoostore.transport.base", "import requests.adapters", "zoostore.transport.http only"),
        ("zoostore.ops.add", "import click", "zoostore.cli only"),
        ("zoostore.api", "from rich.progress import Progress", "zoostore.cli only"),
        ("zoostore.zoo.training.data", "from zoostore.errors import ZooError", "nothing else"),
        ("zoostore.zoo.training.data", "from ...errors import ZooError", "nothing else"),
        ("zoostore.store", "from ..api import Store", "api is above store"),
    ],
)
def test_an_import_that_breaks_a_rule_is_noticed(importer: str, source: str, rule: str) -> None:
    (found,) = imports_of(importer, source)

    assert rule in str(why_forbidden(found))


@pytest.mark.parametrize(
    ("importer", "source"),
    [
        ("zoostore.files.scan", "from zoostore.objects.paths import check_name"),
        ("zoostore.store.batch", "from zoostore.store.index import Writer"),
        ("zoostore.cli.main", "import click"),
        ("zoostore.cli.main", "from zoostore import __version__"),
        ("zoostore.zoo.training.data", "from zoostore.zoo.training.fixed import Fixed"),
        ("zoostore.zoo.training.data", "from .fixed import Fixed"),
        ("zoostore.zoo.training", "from .models import BuiltModel"),
        ("zoostore.zoo.publish", "from zoostore.api import Store"),
        ("zoostore.digest", "import blake3"),
    ],
)
def test_an_import_that_follows_the_rules_is_allowed(importer: str, source: str) -> None:
    (found,) = imports_of(importer, source)

    assert why_forbidden(found) is None
