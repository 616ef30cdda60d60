"""The models folder of Ollama: a manifest for each tag, and the blobs that they share.

manifests/HOST/NAMESPACE/MODEL/TAG   JSON, an image manifest of Docker (version 2, schema 2)
blobs/sha256-HEX                     a content; once `sha256:HEX`
"""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

from zoostore.caches.base import Cache, CachedFile, CachedModel
from zoostore.caches.places import files_below, find_file, read_small
from zoostore.digest import SHA256, Digest, digest_bytes
from zoostore.errors import CannotAdd, InvalidStub, UsageError
from zoostore.stubs import OLLAMA_HOST, OLLAMA_NAMESPACE, parse_stub

KIND = "ollama"

_NAMES: Final = MappingProxyType(
    {
        "model": "model.gguf",
        "adapter": "adapter.gguf",
        "projector": "projector.gguf",
        "params": "params.json",
        "messages": "messages.json",
    }
)
"""What files are called by the last part of their media type, where it is not that part."""

_NOT_IN_NAMES = re.compile(r"[^a-z0-9_-]+")
_MAX_MANIFEST_BYTES = 16 << 20
_MAX_LAYERS = 50_000
_MAX_SIZE = (1 << 53) - 1


class _Layer(NamedTuple):
    """A content that a manifest names; `size` in bytes."""

    name: str
    digest: Digest
    size: int


def is_ollama_cache(folder: Path) -> bool:
    """Whether a folder holds manifests and blobs."""
    return (folder / "manifests").is_dir() and (folder / "blobs").is_dir()


def read_ollama_cache(root: Path) -> Cache:
    """What a models folder holds.

    Args:
        root: the folder, without links in its path.
    """
    problems: dict[str, str] = {}
    models = []
    for name in (found.path for found in files_below(root / "manifests", problems)):
        path = root / "manifests" / name
        stub = _stub_of(name)
        if stub is None:
            problems[str(path)] = "It is not called as the manifest of a model is."
            continue
        try:
            models.append(_read_model(root, path, stub, problems))
        except (CannotAdd, ValueError) as error:
            problems[str(path)] = f"It is no manifest of a model: {error}"
    for name in (found.path for found in files_below(root / "blobs", problems)):
        if "-partial" in name:
            problems[str(root / "blobs" / name)] = "It is a download that did not end."
    return Cache(KIND, root, tuple(sorted(models, key=lambda model: model.stub)), problems)


def _stub_of(path: str) -> str | None:
    parts = path.split("/")
    if len(parts) != len(("host", "namespace", "model", "tag")):
        return None
    host, namespace, model, tag = parts
    above = [host, namespace]
    if host == OLLAMA_HOST:
        above = [] if namespace == OLLAMA_NAMESPACE else [namespace]
    try:
        stub = parse_stub(f"ollama:{'/'.join([*above, model])}:{tag}")
    except InvalidStub:
        return None
    return None if stub.revision or stub.selectors else stub.name


def _read_model(root: Path, path: Path, stub: str, problems: dict[str, str]) -> CachedModel:
    """A tag's model.

    Raises:
        CannotAdd, ValueError: what should be its manifest is none.
    """
    data = read_small(path, (root,), _MAX_MANIFEST_BYTES)
    layers = list(_layers(_decoded(data)))
    digest = digest_bytes(SHA256, data)
    place, stamp = find_file(path, (root,))
    files = {"manifest.json": CachedFile(str(place), stamp, (digest,))}
    for layer in layers:
        try:
            files[layer.name] = _blob(root, layer)
        except CannotAdd as error:
            problems[str(root / "blobs" / _blob_name(layer))] = error.message
    left_out = 1 + len(layers) - len(files)
    return CachedModel(stub, f"sha256-{digest.value.hex()}", files, left_out)


def _decoded(data: bytes) -> object:
    try:
        value: object = json.loads(data)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return value


def _blob(root: Path, layer: _Layer) -> CachedFile:
    name = _blob_name(layer)
    older = root / "blobs" / name.replace("-", ":")
    place, stamp = find_file(older if os.path.lexists(older) else root / "blobs" / name, (root,))
    if stamp.size != layer.size:
        raise CannotAdd(f"It has {stamp.size} bytes, and {layer.size} in its manifest.")
    return CachedFile(str(place), stamp, (layer.digest,))


def _blob_name(layer: _Layer) -> str:
    return f"sha256-{layer.digest.value.hex()}"


def _layers(manifest: object) -> Iterator[_Layer]:
    """The contents that a manifest names, each with a name of its own.

    Raises:
        ValueError: it is no manifest.
    """
    if not isinstance(manifest, dict) or not isinstance(manifest.get("layers"), list):
        raise ValueError("it has no layers")
    if len(manifest["layers"]) > _MAX_LAYERS:
        raise ValueError(f"it has more than {_MAX_LAYERS} layers")
    taken: dict[str, int] = {}
    config = manifest.get("config")
    if config is not None:
        yield _layer(config, "config.json")
    for line in manifest["layers"]:
        yield _layer(line, _free_name(_name_of(line), taken))


def _free_name(name: str, taken: dict[str, int]) -> str:
    """A name that no other layer has: `license`, then `license-2`.

    Args:
        taken: the names that were given so far, each with the number that was reached by it.
    """
    stem, dot, ending = name.partition(".")
    free = name
    while free in taken:
        taken[name] += 1
        free = f"{stem}-{taken[name]}{dot}{ending}"
    taken[free] = 1
    return free


def _name_of(line: object) -> str:
    media_type = line.get("mediaType") if isinstance(line, dict) else None
    if not isinstance(media_type, str):
        raise ValueError("a layer has no media type")
    last = media_type.lower().rpartition(".")[2]
    name = _NOT_IN_NAMES.sub("-", last)[:100].strip("-") or "layer"
    return _NAMES.get(name, name if name not in ("manifest", "config") else f"{name}-layer")


def _layer(line: object, name: str) -> _Layer:
    if not isinstance(line, dict):
        raise ValueError("a layer is no object")
    text, size = line.get("digest"), line.get("size")
    if not isinstance(text, str) or type(size) is not int or not 0 <= size <= _MAX_SIZE:
        raise ValueError("a layer has no digest or no size")
    algorithm, _, digits = text.partition(":")
    try:
        return _Layer(name, Digest.parse(SHA256, digits if algorithm == SHA256 else ""), size)
    except UsageError as error:
        raise ValueError("a layer's digest is no sha256") from error
