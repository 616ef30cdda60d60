"""The cache of SparseZoo: a folder for each model, by the model's id or its name.

    neuralmagic/NAME/…   what releases from 1.5 on make
    UUID/…               what earlier ones made

Nothing in it says what a file must be. The model's card says, at best, what the model is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from zoostore.caches.base import Cache, CachedModel
from zoostore.caches.places import folders_in, read_small
from zoostore.caches.plain_folder import name_after, read_model
from zoostore.errors import CannotAdd, InvalidStub
from zoostore.stubs import SPARSE_PARTS, parse_stub

KIND = "sparsezoo"

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_CARD = "model.md"
_SIGNS = (_CARD, "model.onnx", "model.onnx.tar.gz", "deployment", "deployment.tar.gz")
"""What stands in the folder of a model; one of these is enough."""

_CREDENTIALS = "credentials.yaml"
_CHUNKS = "chunks"
"""Where SparseZoo keeps the parts of downloads."""

_MAX_CARD_BYTES = 1 << 20


def is_sparsezoo_cache(folder: Path) -> bool:
    """Whether a folder is called as the cache is, or holds what the cache holds."""
    if folder.name == KIND and (folder / _CREDENTIALS).exists():
        return True  # even if it is empty: these are nothing to adopt
    children = folders_in(folder)
    if folder.name == KIND or "neuralmagic" in {child.name for child in children}:
        return any(_is_model(model) for model in _models_in(folder))
    return any(_UUID.fullmatch(child.name) and _is_model(child) for child in children)


def read_sparsezoo_cache(root: Path) -> Cache:
    """What a cache holds.

    Args:
        root: the folder, without links in its path.
    """
    problems: dict[str, str] = {}
    models: dict[str, CachedModel] = {}
    for folder in filter(_is_model, _models_in(root)):
        stub = _stub_on_card(folder)
        if stub is None:
            stub = name_after(folder)
            problems[str(folder)] = f"It does not say which model it is; it is called {stub}."
        if stub in models:
            problems[str(folder)] = f"Another folder is called {stub} too; adopt it by itself."
            continue
        model = read_model(folder, stub, problems, left_out=None)
        if model.files:
            models[stub] = model
    return Cache(KIND, root, tuple(models[stub] for stub in sorted(models)), problems)


def _models_in(root: Path) -> Iterator[Path]:
    """The folders that may be models: in the cache, or in the folder of a publisher in it."""
    for child in folders_in(root):
        if _is_model(child):
            yield child
        else:
            yield from (below for below in folders_in(child) if below.name != _CHUNKS)


def _is_model(folder: Path) -> bool:
    return any((folder / name).exists() for name in _SIGNS)


def _stub_on_card(folder: Path) -> str | None:
    """The full stub that the front matter of a model's card says; None if it says none."""
    try:
        card = read_small(folder / _CARD, (folder,), _MAX_CARD_BYTES)
        lines = card.decode("utf-8").splitlines()
    except (CannotAdd, UnicodeDecodeError):
        return None
    fields = dict(_front_matter(lines))
    for said in (fields.get("stub", ""), fields.get("name", ""), _composed(fields)):
        try:
            stub = parse_stub(said)
        except InvalidStub:
            continue
        if stub.facets and not stub.revision and not stub.selectors:
            return stub.name
    return None


def _front_matter(lines: list[str]) -> Iterator[tuple[str, str]]:
    if not lines or lines[0].strip() != "---":
        return
    for line in lines[1:]:
        if line.strip() == "---":
            return
        name, colon, value = line.partition(":")
        if colon:
            yield name.strip(), value.strip().strip("'\"")


def _composed(fields: Mapping[str, str]) -> str:
    """The stub that its parts make, as far as they are there."""
    tag = fields.get("sparse_tag") or "-".join(
        fields[part] for part in SPARSE_PARTS if fields.get(part)
    )
    architecture = _with(fields, "architecture", "sub_architecture")
    dataset = _with(fields, "dataset", "training_scheme")
    first = (fields.get("domain", ""), fields.get("sub_domain", ""), architecture)
    return "/".join([*first, fields.get("framework", ""), fields.get("repo", ""), dataset, tag])


def _with(fields: Mapping[str, str], part: str, more: str) -> str:
    return "-".join(fields[name] for name in (part, more) if fields.get(name))
