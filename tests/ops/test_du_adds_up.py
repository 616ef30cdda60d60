"""du: what is shared and what is not, such that the sums are right."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from zoostore import Store
from zoostore.errors import UnknownStub
from zoostore.ops.du import ModelUsage

if TYPE_CHECKING:
    from tests.conftest import Content, LayOut

BIG = bytes(range(256))
BASE = "zoo:cv/classification/mlp-9/numpy/zoostore/digits/base-none"
PRUNED = "zoo:cv/classification/mlp-9/numpy/zoostore/digits/pruned80-none"
QUANT = "zoo:cv/classification/mlp-9/numpy/zoostore/digits/pruned80_quant-none"


def tuned(name: str) -> dict[str, Content]:
    """A model that shares its starting checkpoint and its recipe with its family."""
    return {
        "model.onnx": name.encode() * 40,
        "training/start.bin": BIG * 4,
        "recipe.md": b"the recipe",
        "README.md": name.encode(),
    }


@pytest.fixture
def family(store: Store, lay: LayOut) -> Store:
    """Three models of a family, and one that shares nothing."""
    for stub in (BASE, PRUNED, QUANT):
        name = stub.rpartition("/")[2]
        store.add(lay(name, tuned(name)), stub, time=1)
    store.add(lay("alone", {"a": b"alone", "b": b"alone " * 20}), "zoo:alone", time=1)
    return store


def usage(store: Store, stub: str) -> ModelUsage:
    (found,) = store.du([stub]).models
    return found


def test_a_family_shares_what_it_started_from(family: Store) -> None:
    start = len(BIG) * 4 + len(b"the recipe")

    for stub in (BASE, PRUNED, QUANT):
        assert usage(family, stub).shared_bytes >= start
        assert usage(family, stub).exclusive_bytes > 0
    assert usage(family, "zoo:alone").shared_bytes == 0


def test_logical_is_what_full_copies_would_take(family: Store) -> None:
    total = family.du()

    assert total.logical_bytes == sum(model.size for model in family.snapshots())
    assert total.logical_bytes == sum(model.logical_bytes for model in total.models)
    assert total.logical_bytes >= total.stored_bytes - 2000  # trees and snapshots count, too


def test_shared_and_exclusive_add_up(family: Store) -> None:
    total = family.du()
    start = next(file for file in family.files(BASE) if file.path.endswith("start.bin"))
    recipe = next(file for file in family.files(BASE) if file.path == "recipe.md")
    training = family.snapshot(BASE)

    exclusive = sum(model.exclusive_bytes for model in total.models)
    shared = {model.shared_bytes for model in total.models if model.shared_bytes}

    assert len(shared) == 1, "the three share the same"
    assert exclusive + shared.pop() == total.stored_bytes
    assert start.size + recipe.size < total.stored_bytes
    assert training.snapshot.files == 4


def test_what_is_stored_is_what_the_objects_take(
    family: Store, loose: Callable[[Path], list[Path]], packs: Callable[[Path], list[Path]]
) -> None:
    total = family.du()

    on_disk = sum(path.stat().st_size for path in [*loose(family.path), *packs(family.path)])
    overhead = on_disk - total.stored_bytes
    assert 0 < overhead < 150 * total.objects
    assert total.objects == family.verify().objects
    assert total.stored_bytes == family.verify().bytes


def test_a_model_is_reported_the_same_alone_and_among_all(family: Store) -> None:
    by_stub = {model.stub: model for model in family.du().models}

    assert list(by_stub) == sorted(by_stub)
    for stub, model in by_stub.items():
        assert usage(family, stub) == model
    assert family.du([QUANT, BASE]).models == (by_stub[BASE], by_stub[QUANT])


def test_removing_a_model_makes_its_exclusive_bytes_unreachable(family: Store) -> None:
    before = family.du()
    exclusive = usage(family, BASE).exclusive_bytes

    family.remove(BASE)

    after = family.du()
    reached = sum(model.exclusive_bytes for model in after.models)
    reached += next(model.shared_bytes for model in after.models if model.shared_bytes)
    assert after.stored_bytes == before.stored_bytes, "objects stay until gc"
    assert reached + exclusive == before.stored_bytes


def test_history_and_tags_count(family: Store, lay: LayOut) -> None:
    before = usage(family, "zoo:alone")
    family.tag("zoo:alone", "v1")
    assert usage(family, "zoo:alone") == before

    family.add(lay("alone2", {"a": b"other"}), "zoo:alone")

    after = usage(family, "zoo:alone")
    assert after.logical_bytes == before.logical_bytes + len(b"other")
    assert after.exclusive_bytes > before.exclusive_bytes


def test_an_object_at_many_paths_counts_once_in_what_is_stored(store: Store, lay: LayOut) -> None:
    store.add(lay("same", {f"{number}/file": BIG for number in range(10)}), "zoo:same")

    total = store.du()

    assert total.logical_bytes == 10 * 256
    assert total.stored_bytes < 2 * 256 + 1000


def test_a_checkout_takes_no_objects(family: Store, tmp_path: Path) -> None:
    before = family.du()

    family.checkout(BASE, tmp_path / "work")

    after = family.du()
    assert (after.stored_bytes, after.objects) == (before.stored_bytes, before.objects)
    assert [model.exclusive_bytes for model in after.models] == [
        model.exclusive_bytes for model in before.models
    ]


def test_what_a_checkout_needs_is_not_freed(family: Store, tmp_path: Path) -> None:
    work = tmp_path / "work"
    family.checkout(BASE, work)

    assert usage(family, BASE).frees_bytes == 0
    assert usage(family, BASE).checkouts == (work,)
    assert usage(family, PRUNED).frees_bytes == usage(family, PRUNED).exclusive_bytes
    assert usage(family, PRUNED).checkouts == ()


def test_an_empty_store_takes_nothing(store: Store, lay: LayOut) -> None:
    store.add_remote("x", os.devnull)

    total = store.du()

    assert (total.logical_bytes, total.stored_bytes, total.objects, total.models) == (0, 0, 0, ())


def test_a_model_that_is_not_here_is_not_reported(family: Store) -> None:
    with pytest.raises(UnknownStub):
        family.du(["zoo:none"])
