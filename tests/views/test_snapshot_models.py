"""Models of stubs: what is fetched and when, what is laid out where, and what never changes."""

from __future__ import annotations

import ast
import hashlib
import inspect
import pydoc
import random
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

import zoostore
from zoostore import Directory, File, Model, Store, ZooError
from zoostore.digest import Oid, hash_bytes
from zoostore.errors import (
    Ambiguous,
    InvalidStub,
    LocalChanges,
    NeededNetwork,
    TransferFailed,
    UnknownChoice,
    UnknownPath,
    UnknownRevision,
    UsageError,
)
from zoostore.objects.tree import Entry
from zoostore.roles import ROLES
from zoostore.views.facts import ModelSnapshot
from zoostore.views.samples import NumpyDirectory
from zoostore.views.select import Recipes, SelectDirectory
from zoostore.views.trees import SnapshotTree

if TYPE_CHECKING:
    from tests.conftest import Cli, Content, Files, InStore, LayOut, Serve, Web
    from tests.views.conftest import RunPython, RunTogether

Look: TypeAlias = "Callable[[Path], dict[str, Content]]"
Stamps: TypeAlias = "Callable[[Path], dict[str, tuple[int, int]]]"

STUB = "zoo:cv/classification/resnet_v1-50/pytorch/sparseml/imagenet/pruned95_quant-none"
OTHER_STUB = "zoo:other"
BIG = bytes(range(256))
ORIGINAL = b"# how it was made, from the start"
TRANSFER = b"# how to train it on other classes"
FILES: dict[str, Content] = {
    "model.md": b"a card",
    "model.onnx": BIG,
    "recipe/recipe_original.md": ORIGINAL,
    "recipe/recipe_transfer-classification.md": TRANSFER,
    "training/config.json": b"{}",
    "training/preqat.pth": BIG[::-1],
    "training/postqat.pth": BIG * 2,
    "deployment/model.onnx": BIG,
    "logs/void/": None,
    "linked.md": "model.md",
    "linked.onnx": "deployment/model.onnx",
    "tool*": b"#!/bin/sh\nexec true\n",
}
OTHER: dict[str, Content] = {"model.md": b"another", "model.onnx": BIG, "new.bin": BIG * 3}
SIZE = sum(len(content) for content in FILES.values() if content is not None)
BLOBS = {hash_bytes(content) for content in FILES.values() if isinstance(content, bytes)}
LOOSE = {hash_bytes(c) for c in FILES.values() if isinstance(c, bytes) and len(c) >= 16}


@pytest.fixture(scope="module")
def published(
    tmp_path_factory: pytest.TempPathFactory, lay_at: Callable[[Path, Files], Path]
) -> Path:
    """A folder with a store and the zoo that it published; each test has a copy."""
    folder = tmp_path_factory.mktemp("published")
    lay_at(folder / "publisher", {"config.toml": b"large_object = 16\n"})
    publisher = Store(folder / "publisher")
    publisher.add(lay_at(folder / "older", {**FILES, "model.md": b"older"}), STUB, time=1)
    publisher.tag(STUB, "v1")
    publisher.add(lay_at(folder / "far", FILES), STUB, time=1_700_000_000, message="second")
    publisher.add(lay_at(folder / "other", OTHER), OTHER_STUB, time=3)
    publisher.publish([STUB, OTHER_STUB], folder / "zoo")
    return folder


@pytest.fixture
def publisher(published: Path, tmp_path: Path) -> Store:
    """The store whose two models are published; the first has two snapshots."""
    return Store(shutil.copytree(published / "publisher", tmp_path / "publisher"))


@pytest.fixture
def web(published: Path, tmp_path: Path, serve: Serve, store: Store) -> Web:
    """The zoo on the web; the store's remote."""
    web = serve(shutil.copytree(published / "zoo", tmp_path / "zoo"))
    store.add_remote("web", web.url)
    return web


@pytest.fixture
def model(web: Web, store: Store) -> Model:
    """The model of the zoo, of which nothing is here."""
    return Model(STUB, store=store)


@pytest.fixture
def local(store: Store, lay: LayOut) -> Store:
    """A store that holds the model, and knows of no remote."""
    store.add(lay("mine", FILES), STUB, time=5)
    return store


def kinds(web: Web) -> list[str]:
    """What kinds of files a zoo was asked for, in order."""
    return [path.split("/")[1] for path in web.paths]


def fetched(web: Web) -> list[Oid]:
    """The objects that a zoo was asked for."""
    found = [path.split("/")[2:] for path in web.paths if path.startswith("/objects/")]
    return [Oid.parse("".join(parts)) for parts in found]


def laid_out(store: Store) -> list[str]:
    """The snapshots whose files were laid out in the store's own place."""
    folder = store.path / "checkouts"
    names = (path.name for path in folder.iterdir()) if folder.exists() else ()
    return sorted(name for name in names if not name.startswith("."))


def content(path: str) -> bytes:
    """What a file of the model holds, links followed."""
    found = FILES[path]
    assert found is not None
    return content(found) if isinstance(found, str) else found


def read(file: File | None) -> bytes:
    """A file's content, read through the view."""
    assert file is not None
    with file.open() as opened:
        return opened.read()


def leftovers(root: Path) -> list[str]:
    """What zoostore keeps for itself in a folder."""
    return [path.name for path in root.rglob(".zoostore*")]


# What is fetched, and when


def test_making_a_model_asks_for_the_catalog_only(model: Model, web: Web, store: Store) -> None:
    assert kinds(web) == ["zoo.json", "catalog"]
    assert str(model) == repr(model) == f"Model(stub={STUB})"
    assert store.snapshots() == []


def test_a_short_name_is_shown_in_full(web: Web, store: Store) -> None:
    model = Model("resnet_v1-50-imagenet-pruned95_quant", store=store)

    assert str(model) == f"Model(stub={STUB})"


def test_the_usual_store_is_used_if_none_is_named(
    local: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOOSTORE_HOME", str(local.path))

    assert Path(Model(STUB).path).is_relative_to(local.path)


def test_looking_around_fetches_no_file(
    model: Model, web: Web, store: Store, loose: InStore
) -> None:
    assert " ".join(model.available) == "training deployment logs model_card recipes onnx_model"
    assert model.recipes.available == ["original", "transfer-classification"]
    assert model.training is not None
    assert model.training.available == ["preqat", "postqat"]
    assert {file.name: file.size for file in model.training} == {
        "config.json": 2,
        "postqat.pth": 512,
        "preqat.pth": 256,
    }
    assert not any(file.is_here for file in model.files if file.name != "logs")
    assert model.size == SIZE
    assert model.snapshot
    assert model._repr_html_()

    assert set(kinds(web)) == {"zoo.json", "catalog", "packs"}
    assert loose(store.path) == []
    assert store.snapshots() == []
    assert laid_out(store) == []


def test_of_a_large_pack_only_the_trees_are_fetched(
    new_store: Callable[[str], Store], lay: LayOut, tmp_path: Path, serve: Serve, store: Store
) -> None:
    """A pack with more than the model's trees may be gigabytes."""
    publisher = new_store("publisher")
    (publisher.path / "config.toml").write_text("large_object = 1048576\n")
    noise = random.Random(1)
    files: Files = {f"training/part{n}": noise.randbytes(50_000) for n in range(40)}
    publisher.add(lay("far", files), STUB)
    publisher.publish([STUB], tmp_path / "zoo")
    web = serve(tmp_path / "zoo")
    store.add_remote("web", web.url)

    assert Model(STUB, store=store).size == 2_000_000

    ranges = [request.range for request in web.requests if "/packs/" in request.path]
    assert None not in ranges
    bounds = [str(wanted).removeprefix("bytes=").split("-") for wanted in ranges]
    assert sum(int(last) - int(first) + 1 for first, last in bounds) < 100_000


def test_the_path_of_a_file_fetches_that_file(
    model: Model, web: Web, store: Store, look: Look
) -> None:
    recipe = model.recipes.default

    assert Path(recipe.path).read_bytes() == ORIGINAL

    assert fetched(web) == [hash_bytes(ORIGINAL)]
    assert recipe.is_here
    assert not model.recipes["transfer-classification"].is_here
    assert not model.is_here
    assert look(Path(model._tree.root)) == {"recipe/recipe_original.md": ORIGINAL}


def test_the_path_of_a_folder_fetches_what_it_holds(model: Model, web: Web, look: Look) -> None:
    assert model.training is not None

    assert set(look(Path(model.training.path))) == {"config.json", "preqat.pth", "postqat.pth"}
    assert set(fetched(web)) == {hash_bytes(BIG[::-1]), hash_bytes(BIG * 2)}


def test_the_path_of_a_checkpoint_fetches_what_belongs_to_it(model: Model, web: Web) -> None:
    assert model.training is not None

    folder = Path(model.training["preqat"].path)

    assert {path.name for path in folder.iterdir()} == {"config.json", "preqat.pth"}
    assert fetched(web) == [hash_bytes(BIG[::-1])]


@pytest.mark.parametrize("way", ["path", "download"])
def test_the_path_of_a_model_fetches_all_of_it_once(
    model: Model, web: Web, store: Store, look: Look, way: str
) -> None:
    assert model.path if way == "path" else model.download()

    assert look(Path(model.path)) == FILES
    assert sorted(fetched(web)) == sorted(LOOSE)
    assert model.is_here
    assert store.verify().is_clean


def test_what_is_here_is_not_asked_for_again(model: Model, web: Web, store: Store) -> None:
    assert model.path
    web.requests.clear()

    again = Model(STUB, store=Store(store.path))
    assert [again.path, again.download(), again.available] == [
        model.path,
        True,
        again.available_files,
    ]

    assert web.paths == []


def test_everything_works_without_a_network_once_it_is_here(
    model: Model, web: Web, store: Store, cut_off: Callable[[], None], look: Look, tmp_path: Path
) -> None:
    assert model.path
    cut_off()

    again = Model(STUB, store=Store(store.path))

    assert look(Path(again.path)) == FILES
    assert again.recipes.default.path
    assert again.download(tmp_path / "copy")
    assert again.checkout(tmp_path / "work").files == 11
    assert read(again.onnx_model) == BIG
    assert again.diff(model).is_empty
    assert "✓" in again._repr_html_()
    assert Model(STUB, tmp_path / "there", store=store).path == str(tmp_path / "there")


def test_what_is_not_here_needs_the_network(
    web: Web, store: Store, cut_off: Callable[[], None]
) -> None:
    cut_off()

    with pytest.raises(TransferFailed):
        Model(STUB, store=store)
    with pytest.raises(NeededNetwork) as raised:
        Model(STUB, store=Store(store.path, offline=True))

    assert raised.value.exit_code == 4


@pytest.mark.parametrize("name", ["ZOOSTORE_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_sends_nothing_whatever_is_asked(
    web: Web,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    part = Model(STUB, store=store)
    assert part.recipes.default.path
    web.requests.clear()
    monkeypatch.setenv(name, "1")

    again = Model(STUB, store=Store(store.path))
    assert again.recipes.default.path == part.recipes.default.path
    assert again.onnx_model is not None
    for ask in (lambda: again.path, lambda: again.download(), again.onnx_model.open):
        with pytest.raises(NeededNetwork):
            ask()

    assert again.onnx_model.url is None
    assert web.paths == []


def test_a_model_that_nobody_has_is_said_so(web: Web, store: Store) -> None:
    for stub in ("zoo:nothing", "hf:nobody/nothing", f"{STUB}@v7"):
        with pytest.raises(ZooError) as raised:
            Model(stub, store=store)
        assert raised.value.exit_code == 6


def test_a_file_says_where_it_can_be_fetched(model: Model, web: Web) -> None:
    assert model.onnx_model is not None
    assert model.model_card is not None
    digits = hash_bytes(BIG).hex()

    assert model.onnx_model.url == f"{web.url}/objects/{digits[:2]}/{digits[2:]}"
    assert (model.model_card.url or "").startswith(f"{web.url}/packs/")
    assert (model.model_card.url or "").endswith(f"#{hash_bytes(b'a card')}")
    assert model.recipes.url is None


# A model stays the snapshot that it was


def add_another(store: Store, lay: LayOut) -> None:
    store.add(lay("next", OTHER), STUB)


def give_a_tag(store: Store, lay: LayOut) -> None:
    store.tag(STUB, "v9")


def remove(store: Store, lay: LayOut) -> None:
    store.remove(STUB)


def remove_and_add_another(store: Store, lay: LayOut) -> None:
    store.remove(STUB)
    store.add(lay("next", OTHER), STUB)


@pytest.mark.parametrize("change", [add_another, give_a_tag, remove, remove_and_add_another])
@pytest.mark.parametrize("seen", ["seen before", "not seen"])
def test_a_model_does_not_change_with_its_name(
    local: Store,
    lay: LayOut,
    look: Look,
    tmp_path: Path,
    change: Callable[[Store, LayOut], None],
    seen: str,
) -> None:
    model, elsewhere = Model(STUB, store=local), Model(STUB, tmp_path / "there", store=local)
    before = local.snapshot(STUB)
    names = [file.name for file in model.files] if seen == "seen before" else []

    change(local, lay)

    assert look(Path(model.path)) == look(Path(elsewhere.path)) == FILES
    assert model.snapshot is not None
    assert model.snapshot.id == before.id
    assert not names or names == [file.name for file in model.files]
    work = model.checkout(tmp_path / "work").directory
    assert look(work) == FILES


def test_a_model_of_a_zoo_that_moves_on_is_what_it_was_or_nothing(
    model: Model, publisher: Store, store: Store, lay: LayOut, tmp_path: Path
) -> None:
    old = Model(f"{STUB}@v1", store=store)
    publisher.add(lay("next", OTHER), STUB)
    publisher.publish([STUB, OTHER_STUB], tmp_path / "zoo")

    with pytest.raises(UnknownRevision):
        _ = model.path
    assert Model(STUB, store=store).get_file("new.bin")
    assert read(old.model_card) == b"older"


def test_to_look_at_an_old_version_does_not_make_it_the_current_one(web: Web, store: Store) -> None:
    assert read(Model(f"{STUB}@v1", store=store).model_card) == b"older"

    assert read(Model(STUB, store=store).model_card) == b"a card"


def test_a_model_that_was_looked_at_goes_on_though_its_name_was_taken_here(
    model: Model, store: Store, lay: LayOut, look: Look
) -> None:
    assert model.available
    store.add(lay("mine", OTHER), STUB)

    assert look(Path(model.path)) == FILES
    assert look(Path(Model(STUB, store=store).path)) == OTHER


def test_a_revision_chooses_the_snapshot(local: Store, lay: LayOut) -> None:
    first = local.snapshot(STUB).id
    local.tag(STUB, "v1")
    second = local.add(lay("next", OTHER), STUB).snapshot
    digits = next(n for n in range(4, 65) if str(first)[:n] != str(second)[:n])

    for revision in ("v1", str(first), str(first)[:digits], "~1", f"{str(second)[:digits]}~1"):
        chosen = Model(f"{STUB}@{revision}", store=local)
        assert chosen.snapshot is not None
        assert (chosen.snapshot.id, chosen.snapshot.files) == (first, 11)
        assert str(chosen) == f"Model(stub={STUB}@{revision})"
    with pytest.raises(UnknownRevision):
        Model(f"{STUB}@~2", store=local)


def test_a_revision_of_what_is_not_here_chooses_too(
    web: Web, publisher: Store, store: Store
) -> None:
    first = publisher.snapshot(f"{STUB}@v1").id

    for revision in ("v1", str(first), str(first)[:10]):
        assert read(Model(f"{STUB}@{revision}", store=store).model_card) == b"older"


def test_a_snapshot_says_what_it_is(model: Model, publisher: Store) -> None:
    shown = publisher.snapshot(STUB)

    assert model.snapshot == ModelSnapshot(
        id=shown.id,
        parents=(publisher.snapshot(f"{STUB}@v1").id,),
        date=datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC),
        message="second",
        metadata={},
        files=11,
        size=SIZE,
    )
    assert model.snapshot.date.tzinfo is not None


def test_a_snapshot_of_any_time_can_be_looked_at(store: Store, lay: LayOut) -> None:
    """Whoever made it may have written any number."""
    store.add(lay("a", {"model.md": b"a"}), STUB, time=(1 << 53) - 1)
    model = Model(STUB, store=store)

    assert "model.md" in model._repr_html_()
    assert model.snapshot is not None
    assert model.snapshot.date.tzinfo is not None


# Files


@pytest.mark.parametrize("name", ["model.md", "model.onnx", "linked.md", "linked.onnx", "tool*"])
@pytest.mark.parametrize("place", ["here", "far"])
def test_a_file_is_known_by_its_content_and_read_without_laying_it_out(
    request: pytest.FixtureRequest, store: Store, name: str, place: str
) -> None:
    request.getfixturevalue("local" if place == "here" else "web")
    file = Model(STUB, store=store)[name.rstrip("*")]

    assert file.oid == hash_bytes(content(name))
    assert file.size == len(content(name))
    assert file.is_here == (place == "here")
    assert read(file) == content(name)
    assert file.is_here
    assert laid_out(store) == []


def test_a_file_that_is_read_brings_no_other(model: Model, web: Web) -> None:
    assert read(model.onnx_model) == BIG
    assert fetched(web) == [hash_bytes(BIG)]


def test_a_link_is_laid_out_with_what_it_leads_to(model: Model, look: Look) -> None:
    path = Path(model["linked.onnx"].path)

    assert path.read_bytes() == BIG
    assert look(path.parent) == {
        "linked.onnx": "deployment/model.onnx",
        "deployment/model.onnx": BIG,
    }


def test_a_folder_has_no_id(model: Model) -> None:
    assert model.training is not None
    for folder in (model, model.training):
        with pytest.raises(UnknownPath):
            _ = folder.oid


def test_a_model_of_nothing_has_a_folder(store: Store, lay: LayOut) -> None:
    store.add(lay("nothing", {}), STUB)
    model = Model(STUB, store=store)

    assert Path(model.path).is_dir()
    assert model.available == {}


def test_a_model_is_not_walked_through_for_each_of_its_files(store: Store, lay: LayOut) -> None:
    """A dataset has a hundred thousand of them: what takes their square never ends."""

    class Counted(dict[str, Entry]):
        walks = 0

        def __iter__(self) -> Iterator[str]:
            Counted.walks += 1
            return super().__iter__()

        def items(self) -> Any:
            Counted.walks += 1
            return super().items()

    store.add(lay("many", {f"logs/file{number}": b"x" for number in range(50)}), STUB)
    model = Model(STUB, store=store)
    assert isinstance(model._tree, SnapshotTree)
    model._tree.listing = Counted(model._tree.listing)

    assert model.is_here
    assert model.logs is not None
    assert len([file.size for file in model.logs]) == 50
    assert Counted.walks < 20


# Comparing


@pytest.mark.parametrize("here", [(), (STUB,), (OTHER_STUB,), (STUB, OTHER_STUB)])
def test_models_are_compared_wherever_they_are(
    web: Web, store: Store, here: tuple[str, ...]
) -> None:
    for stub in here:
        store.pull(stub)
    one, two = (Model(stub, store=store) for stub in (STUB, OTHER_STUB))
    web.requests.clear()

    found = one.diff(two)

    paths = {name.rstrip("*/") for name in FILES}
    assert found.added == ("new.bin",)
    assert set(found.removed) == paths - {"model.md", "model.onnx"}
    assert found.changed == ("model.md",)
    assert fetched(web) == []
    assert one.diff(OTHER_STUB) == found
    assert two.diff(one).added == found.removed
    assert one.diff(one).is_empty


def test_a_model_is_compared_with_a_folder(local: Store, lay: LayOut) -> None:
    folder = lay("folder", {**FILES, "model.md": b"edited", "more": b"more"})
    (folder / "tool").unlink()
    model = Model(STUB, store=local)

    for other in (folder, Model(folder)):
        found = model.diff(other)
        assert (found.added, found.removed, found.changed) == (("more",), ("tool",), ("model.md",))
    assert Model(folder).diff(model).added == ("tool",)


def test_two_folders_are_compared(lay: LayOut) -> None:
    one, two = lay("one", {"a": b"1", "b": b"1"}), lay("two", {"a": b"2", "c": b"1"})

    found = Model(one).diff(Model(two))

    assert (found.added, found.removed, found.changed) == (("c",), ("b",), ("a",))


def test_models_are_compared_where_there_is_no_store(tmp_path: Path) -> None:
    """The first thing that somebody does may be to compare two models of the built-in zoo."""
    store = Store(tmp_path / "none")
    base, pruned = (Model(f"zoo:mlp-512-digits-{tag}", store=store) for tag in ("base", "pruned80"))

    assert "model.onnx" in base.diff(pruned).changed


# Working on it


@pytest.mark.parametrize("link", ["auto", "copy", "hardlink", "symlink", None])
def test_a_model_is_checked_out_to_work_on(
    model: Model, store: Store, tmp_path: Path, look: Look, link: str | None
) -> None:
    done = model.checkout(tmp_path / "work", link=link)

    assert (done.directory / "model.onnx").read_bytes() == BIG
    assert link in ("auto", None, done.link)
    assert store.status(done.directory).is_clean
    (done.directory / "new").write_bytes(b"new")
    assert model.snapshot is not None
    assert store.commit(done.directory, message="mine").parent == model.snapshot.id


def test_a_checkout_is_called_as_the_model_is(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert model.checkout().directory == Path("resnet_v1-50-imagenet-pruned95_quant")


def test_a_folder_cannot_be_checked_out(lay: LayOut, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        Model(lay("folder", FILES)).checkout(tmp_path / "work")


# Laid out where the user says


def test_a_download_path_holds_the_files_and_nothing_else(
    web: Web, store: Store, tmp_path: Path, look: Look
) -> None:
    there = tmp_path / "to/there"
    model = Model(STUB, there, store=store)
    assert not there.exists()

    assert (model.path, model.parent_directory) == (str(there), str(tmp_path / "to"))
    assert look(there) == FILES
    assert leftovers(there) == []
    assert laid_out(store) == []


def test_a_file_in_a_download_path_comes_alone(
    web: Web, store: Store, tmp_path: Path, look: Look
) -> None:
    recipe = Model(STUB, tmp_path / "there", store=store).recipes.default

    assert recipe.path == str(tmp_path / "there/recipe/recipe_original.md")
    assert look(tmp_path / "there") == {"recipe/recipe_original.md": ORIGINAL}


def test_a_download_path_is_meant_from_where_the_model_was_made(
    local: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lay: LayOut
) -> None:
    lay("elsewhere", {})
    monkeypatch.chdir(tmp_path)
    model = Model(STUB, "there", store=local)
    monkeypatch.chdir(tmp_path / "elsewhere")

    assert model.path == str(tmp_path / "there")


def test_files_that_are_right_already_are_kept_and_others_of_the_users_too(
    local: Store, lay: LayOut, stamps: Stamps, look: Look
) -> None:
    right: Files = {"model.onnx": BIG, "linked.md": "model.md", "logs/void/": None}
    there = lay("there", {**right, "mine": b"mine"})
    before = stamps(there)

    model = Model(STUB, there, store=local)
    assert model.path

    assert look(there) == {**FILES, "mine": b"mine"}
    assert before.items() <= stamps(there).items()
    after = stamps(there)
    assert Model(STUB, there, store=Store(local.path)).path
    assert stamps(there) == after


@pytest.mark.parametrize(
    ("standing", "named"),
    [
        ({"model.md": b"edited"}, "model.md"),
        ({"model.md": b"A CARD"}, "model.md"),
        ({"model.md/inside": b"x"}, "model.md"),
        ({"model.md": "model.onnx"}, "model.md"),
        ({"tool": b"#!/bin/sh\nexec true\n"}, "tool"),
        ({"recipe": b"a file"}, "recipe/recipe_original.md"),
        ({"elsewhere/": None, "recipe": "elsewhere"}, "recipe/recipe_original.md"),
        ({"linked.md": b"a card"}, "linked.md"),
        ({"logs/void": b"a file"}, "logs/void"),
    ],
    ids=str,
)
def test_what_else_stands_there_is_never_replaced(
    web: Web,
    store: Store,
    lay: LayOut,
    look: Look,
    stamps: Stamps,
    standing: dict[str, Content],
    named: str,
) -> None:
    there = lay("there", standing)
    before = stamps(there), look(there)

    with pytest.raises(LocalChanges) as raised:
        _ = Model(STUB, there, store=store).path

    found: Any = raised.value.facts["paths"]
    assert named in found
    assert (stamps(there), look(there)) == before
    assert leftovers(there) == []


def test_a_file_that_was_edited_since_is_kept(
    local: Store, tmp_path: Path, look: Look, stamps: Stamps
) -> None:
    model = Model(STUB, tmp_path / "there", store=local)
    card = Path(model.path) / "model.md"
    card.unlink()
    card.write_bytes(b"edited")

    with pytest.raises(LocalChanges):
        _ = model.path

    assert look(tmp_path / "there") == {**FILES, "model.md": b"edited"}
    assert model.recipes.default.path, "what is asked for is not in the way"


def test_another_model_does_not_go_into_the_same_download_path(
    local: Store, lay: LayOut, tmp_path: Path, look: Look
) -> None:
    local.add(lay("other", OTHER), OTHER_STUB)
    assert Model(STUB, tmp_path / "there", store=local).path

    with pytest.raises(LocalChanges):
        _ = Model(OTHER_STUB, tmp_path / "there", store=local).path

    assert look(tmp_path / "there") == FILES


def test_a_download_path_is_not_in_the_store_nor_around_it(local: Store, tmp_path: Path) -> None:
    for path in (local.path, local.path / "objects", local.path / "new", tmp_path):
        with pytest.raises(UsageError):
            _ = Model(STUB, path, store=local).path
    assert local.verify().is_clean


def test_a_download_is_a_copy(model: Model, web: Web, tmp_path: Path) -> None:
    assert model.download(tmp_path / "copy")

    copies = {
        path.relative_to(tmp_path / "copy").as_posix(): path.read_bytes()
        for path in (tmp_path / "copy").rglob("*")
        if path.is_file()
    }
    names = {name.rstrip("*") for name, content in FILES.items() if content is not None}
    assert copies.keys() == names
    assert copies["linked.onnx"] == copies["model.onnx"] == BIG
    assert all(path.stat().st_nlink == 1 for path in (tmp_path / "copy").rglob("*.onnx"))
    assert leftovers(tmp_path / "copy") == []


def test_a_download_of_a_file_is_a_copy_of_it(model: Model, tmp_path: Path, look: Look) -> None:
    assert model.recipes.default.download(tmp_path / "copy")

    assert look(tmp_path / "copy") == {"recipe_original.md": ORIGINAL}


def test_a_download_that_may_not_overwrite_changes_nothing(
    local: Store, lay: LayOut, look: Look
) -> None:
    copy = lay("copy", {"tool": b"mine"})

    with pytest.raises(LocalChanges, match="nothing was changed"):
        Model(STUB, store=local).download(copy, overwrite=False)

    assert look(copy) == {"tool": b"mine"}
    assert Model(STUB, store=local).download(copy)
    assert (copy / "tool").read_bytes() == content("tool*")


def test_links_to_folders_and_to_nothing_are_no_obstacle(
    store: Store, lay: LayOut, tmp_path: Path
) -> None:
    """What was trained often has a link `last` to a folder, and may have one to nothing."""
    files: Files = {"run1/a": b"a", "run1/b": b"b", "last": "run1", "lost": "nothing", "x": b"x"}
    store.add(lay("links", files), STUB)
    model = Model(STUB, store=store)

    assert (Path(model.path) / "last/a").read_bytes() == b"a"
    assert {"run1/", "last", "lost", "x"} <= set(words_of(model._repr_html_()))
    assert model.download(tmp_path / "copy")
    assert (tmp_path / "copy/x").read_bytes() == b"x"


# Laid out in the store


def test_a_model_is_laid_out_by_its_id(model: Model, store: Store, publisher: Store) -> None:
    id = publisher.snapshot(STUB).id

    assert model.path == str(store.path / "checkouts" / str(id))
    assert leftovers(Path(model.path)) == []
    assert laid_out(store) == [str(id)]


def write_anew(root: Path) -> None:
    (root / "model.onnx").unlink()
    (root / "model.onnx").write_bytes(b"mine")


def write_as_long(root: Path) -> None:
    (root / "model.onnx").unlink()
    (root / "model.onnx").write_bytes(b"mine".ljust(256))


def edit_in_place(root: Path) -> None:
    (root / "model.md").write_bytes(b"mine")


def make_a_folder(root: Path) -> None:
    (root / "model.md").unlink()
    (root / "model.md").mkdir()
    (root / "model.md/inside").write_bytes(b"mine")


def make_a_link(root: Path) -> None:
    (root / "training").rename(root.parent.parent / "moved")
    (root / "training").symlink_to(root.parent.parent / "moved")


def make_a_file(root: Path) -> None:
    shutil.rmtree(root / "recipe")
    (root / "recipe").write_bytes(b"mine")


def make_executable(root: Path) -> None:
    (root / "model.md").chmod(0o755)


def take_away(root: Path) -> None:
    (root / "model.onnx").unlink()
    shutil.rmtree(root / "recipe")
    shutil.rmtree(root / "logs")


def take_all_away(root: Path) -> None:
    shutil.rmtree(root)


CHANGES = [write_anew, write_as_long, edit_in_place, make_a_folder, make_a_file, take_away]
CHANGES += [take_all_away]
UNSEEN = [make_a_link, make_executable]
"""What the one who laid it out need not notice: the content is where it was."""


@pytest.mark.parametrize(
    ("asked_by", "change"),
    [("the same", change) for change in CHANGES]
    + [("another", change) for change in CHANGES + UNSEEN],
)
def test_what_was_changed_in_the_stores_folder_is_put_right_and_kept_aside(
    local: Store, look: Look, asked_by: str, change: Callable[[Path], None]
) -> None:
    model = Model(STUB, store=local)
    root = Path(model.path)
    change(root)

    again = model if asked_by == "the same" else Model(STUB, store=Store(local.path))

    assert look(Path(again.path)) == FILES
    aside = local.path / "quarantine"
    kept = [path for path in aside.rglob("*") if path.is_file()] if aside.exists() else []
    mine = [path.read_bytes().rstrip() for path in kept]
    is_lost = change in (take_away, take_all_away, *UNSEEN)
    assert mine.count(b"mine") == (0 if is_lost else 1)
    if change is make_a_link:
        moved = {path.name for path in (local.path / "moved").iterdir()}
        assert moved == {"config.json", "preqat.pth", "postqat.pth"}
        shutil.rmtree(local.path / "moved")
    assert local.verify().is_clean


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_damaged_object_is_fetched_again(
    model: Model, web: Web, store: Store, look: Look, when: str
) -> None:
    """Who is root and edits through a hard link changes the object itself."""
    if when == "before":
        store.pull(STUB)
    else:
        assert model.path
    digits = hash_bytes(BIG).hex()
    damaged = store.path / "objects" / digits[:2] / digits[2:]
    damaged.chmod(0o644)
    damaged.write_bytes(b"damaged")
    web.requests.clear()

    assert look(Path(Model(STUB, store=Store(store.path)).path)) == FILES

    assert fetched(web) == [hash_bytes(BIG)]
    assert b"damaged" in [path.read_bytes() for path in (store.path / "quarantine").iterdir()]
    assert store.verify().is_clean


@pytest.mark.parametrize("damage", ["gone", "junk", "empty"])
def test_the_record_of_what_was_laid_out_is_not_needed(
    local: Store, look: Look, stamps: Stamps, damage: str
) -> None:
    root = Path(Model(STUB, store=local).path)
    before = stamps(root)
    for path in (local.path / "checkouts/.laid").rglob("*"):
        if path.is_file():
            path.write_bytes(b"junk" if damage == "junk" else b"")
    if damage == "gone":
        shutil.rmtree(local.path / "checkouts/.laid")

    assert look(Path(Model(STUB, store=Store(local.path)).path)) == FILES
    assert stamps(root) == before
    write_as_long(root)
    assert look(Path(Model(STUB, store=Store(local.path)).path)) == FILES


# Many at once, and one that is killed

NAMES = {name.rstrip("*"): name for name, found in FILES.items() if found is not None}
HASHES = """
import hashlib, sys
from pathlib import Path
def hashes(root):
    names = sys.argv[3].split()
    return [hashlib.sha256(Path(root, name).read_bytes()).hexdigest() for name in names]
"""


def test_a_model_that_many_ask_for_at_once_is_whole_for_each(
    web: Web, store: Store, lay: LayOut, run_together: RunTogether, look: Look
) -> None:
    """What the workers of a training do when it starts."""
    program = HASHES + (
        "from zoostore import Model, Store\n"
        "print(hashes(Model(sys.argv[5], store=Store(sys.argv[4])).path))\n"
    )

    said = run_together(program, 8, " ".join(NAMES), store.path, STUB)

    assert len(set(said)) == 1
    hashes = [hashlib.sha256(content(name)).hexdigest() for name in NAMES.values()]
    assert ast.literal_eval(said[0]) == hashes
    assert look(Path(Model(STUB, store=store).path)) == FILES
    assert leftovers(store.path / "checkouts") == []
    assert store.verify().is_clean


@pytest.mark.parametrize("where", ["in the store", "elsewhere"])
def test_threads_that_ask_at_once_get_all_of_it(
    local: Store, look: Look, tmp_path: Path, where: str
) -> None:
    there = None if where == "in the store" else tmp_path / "there"

    def ask(_: int) -> dict[str, bytes]:
        root = Path(Model(STUB, there, store=local).path)
        return {name: (root / name).read_bytes() for name in NAMES}

    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(ask, range(24)):
            assert found == {name: content(listed) for name, listed in NAMES.items()}
    assert look(Path(Model(STUB, there, store=local).path)) == FILES


KILLED = (
    HASHES
    + """
import itertools, os, shutil, signal
from zoostore import Model, Store
CALLS = ("replace", "rename", "mkdir", "open", "write", "unlink", "rmdir", "link", "symlink")
home, stub, there = sys.argv[1], sys.argv[2], Path(sys.argv[4]) if sys.argv[4] else None
laid = there or Path(home, "checkouts")

def lay():
    return hashes(Model(stub, there, store=Store(home)).path)

def die_before(number):
    calls = itertools.count()
    def counted(original):
        def call(*arguments, **named):
            if next(calls) == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*arguments, **named)
        return call
    for name in CALLS:
        setattr(os, name, counted(getattr(os, name)))

def in_child(work):
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def after():
    assert lay() == whole, "another content"
    assert not list(laid.rglob(".zoostore*")), "left behind"

whole = lay()
for number in itertools.count(0, 2):
    shutil.rmtree(laid)
    code = in_child(lambda: (die_before(number), lay()))
    assert in_child(after) == 0, f"killed before call {number}"
    if code == 0:
        break
    assert code == -signal.SIGKILL, code
print(number)
"""
)


@pytest.mark.parametrize("where", ["in the store", "elsewhere"])
def test_a_process_that_is_killed_while_it_lays_out_leaves_nothing_wrong(
    local: Store, run_python: RunPython, tmp_path: Path, where: str
) -> None:
    there = tmp_path / "there" if where == "elsewhere" else ""

    calls = int(run_python(KILLED, local.path, STUB, " ".join(NAMES), there))

    assert calls > 20
    assert local.verify().is_clean
    assert list((local.path / "tmp").iterdir()) == []


# A store that may only be read

READING = """
import sys
from zoostore import Model, Store
from zoostore.errors import ReadOnlyStore
store = Store(sys.argv[1])
model = Model(sys.argv[2], store=store)
assert model.available and model.is_here and "model.md" in model._repr_html_()
assert model.model_card.open().read() == b"a card"
try:
    model.path
except ReadOnlyStore as error:
    print(error.kind)
there = Model(sys.argv[2], sys.argv[3], store=store)
assert there.recipes.default.path
print(there.path)
print(there.download(sys.argv[3] + "-copy"), there.path)
"""


def test_a_store_that_may_only_be_read_lays_out_elsewhere(
    public: Path, lay_at: Callable[[Path, Files], Path], run_python: RunPython, look: Look
) -> None:
    (public / "store").mkdir()
    (public / "store/config.toml").write_text("large_object = 16\n")
    store = Store(public / "store")
    store.add(lay_at(public / "source", FILES), STUB)
    there = public / "own/there"
    for path in [store.path, *store.path.rglob("*")]:
        if path.is_dir():
            path.chmod(0o555)
    before = sorted(store.path.rglob("*"))

    said = run_python(READING, store.path, STUB, there, as_nobody=True)

    assert said.splitlines() == ["read_only", str(there), f"True {there}"]
    assert look(there) == FILES
    assert sorted(store.path.rglob("*")) == before


# What a stub chooses


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["original", "transfer-classification"]),
        ("?recipe=transfer", ["transfer-classification"]),
        ("?recipe=transfer-classification", ["transfer-classification"]),
        ("?recipe=TRANS", ["transfer-classification"]),
        ("?recipe_type=transfer", ["transfer-classification"]),
        ("?recipe=original", ["original"]),
        ("?recipe=o&recipe_type=o", ["original"]),
        ("?checkpoint=preqat", ["original", "transfer-classification"]),
    ],
)
def test_a_stub_chooses_a_recipe(web: Web, store: Store, query: str, names: list[str]) -> None:
    model = Model(STUB + query, store=store)
    chosen = ORIGINAL if "original" in names else TRANSFER

    assert model.recipes.available == names
    assert read(model.recipes.default) == chosen
    assert fetched(web) == [hash_bytes(chosen)]
    assert str(model) == f"Model(stub={STUB}{query})"
    assert [file.name for file in model.recipes] == [f"recipe_{name}.md" for name in names]


@pytest.mark.parametrize(
    ("query", "names", "files"),
    [
        ("", ["preqat", "postqat"], ["config.json", "preqat.pth"]),
        ("?checkpoint=preqat", ["preqat"], ["config.json", "preqat.pth"]),
        ("?checkpoint=postqat", ["postqat"], ["config.json", "postqat.pth"]),
        (
            "?recipe=original&checkpoint=postqat&deployment=default",
            ["postqat"],
            ["config.json", "postqat.pth"],
        ),
    ],
)
def test_a_stub_chooses_a_checkpoint(
    web: Web, store: Store, query: str, names: list[str], files: list[str]
) -> None:
    training = Model(STUB + query, store=store).training
    assert training is not None

    assert training.available == names
    assert [file.name for file in training.default] == files


def test_a_stub_chooses_the_deployment_that_there_is(web: Web, store: Store) -> None:
    deployment = Model(f"{STUB}?deployment=default", store=store).deployment
    assert deployment is not None

    assert deployment.available == ["default"]
    assert [file.name for file in deployment.default] == ["model.onnx"]
    assert deployment["default"].path == deployment.path


def test_what_is_not_chosen_is_neither_fetched_nor_laid_out(
    web: Web, store: Store, look: Look
) -> None:
    model = Model(f"{STUB}?recipe=transfer&checkpoint=preqat", store=store)

    laid = look(Path(model.path))

    left_out = {"recipe/recipe_original.md", "training/postqat.pth"}
    assert laid == {path: found for path, found in FILES.items() if path not in left_out}
    assert not {hash_bytes(ORIGINAL), hash_bytes(BIG * 2)} & set(fetched(web))
    assert model.size == sum(len(found) for found in laid.values() if found is not None)
    assert model.get_file("recipe_original.md") is None


def test_a_model_that_was_chosen_of_is_checked_out_so(
    web: Web, store: Store, tmp_path: Path
) -> None:
    work = Model(f"{STUB}?recipe=transfer", store=store).checkout(tmp_path / "work").directory

    assert [path.name for path in (work / "recipe").iterdir()] == [
        "recipe_transfer-classification.md"
    ]
    assert store.status(work).is_clean


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("?recipe=nothing", UnknownChoice),
        ("?recipe=ransfer", UnknownChoice),
        ("?recipe_type=nothing", UnknownChoice),
        ("?recipe=t", Ambiguous),
        ("?checkpoint=prepruning", UnknownChoice),
    ],
)
def test_a_choice_that_fits_nothing_or_two_is_an_error(
    store: Store, lay: LayOut, cli: Cli, tmp_path: Path, query: str, error: type[ZooError]
) -> None:
    files: Files = {**FILES, "recipe/recipe_test.md": b"test"}
    store.add(lay("many", files), STUB)
    model = Model(STUB + query, store=store)

    for ask in (lambda: model.path, lambda: model.available, lambda: model.download(tmp_path)):
        with pytest.raises(error) as raised:
            ask()
        assert isinstance(raised.value, ValueError)
        assert raised.value.exit_code == 6
    for verb in (("checkout", STUB + query, tmp_path / "work"), ("pull", STUB + query)):
        assert cli("--store", store.path, *verb, "--json").json["error"]["kind"] == error.kind
    assert laid_out(store) == []
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize(
    "names",
    [
        ["recipe_original.md", "recipe_transfer.md"],
        ["recipe.md", "recipe_transfer.md"],
        ["recipe.md", "recipe_original.md"],
        ["recipe.md", "recipe.yaml"],
        ["recipe_a.md", "recipe_a.yaml"],
        ["recipe/recipe_a.md", "recipe_a.md"],
    ],
    ids=" ".join,
)
def test_every_recipe_that_is_available_can_be_chosen_in_a_stub(
    store: Store, lay: LayOut, names: list[str]
) -> None:
    store.add(lay("several", {name: name.encode() for name in names}), STUB)
    whole = Model(STUB, store=store).recipes
    assert len(whole.available) == len(names)

    for name in whole.available:
        chosen = Model(f"{STUB}?recipe={name}", store=store).recipes
        assert read(chosen.default) == read(whole[name])
        assert len(chosen.files) == 1


@pytest.mark.parametrize(
    "query",
    [
        "?checkpoint=last",
        "?checkpoint=PREQAT",
        "?deployment=other",
        "?recipe=",
        "?recipe",
        "?",
        "?engine=x",
        "?recipe=a&recipe=a",
        "?recipe=a&recipe_type=b",
    ],
)
def test_a_choice_that_there_cannot_be_is_refused_at_once(
    web: Web, store: Store, query: str
) -> None:
    with pytest.raises(InvalidStub):
        Model(STUB + query, store=store)

    assert web.paths == []


def test_a_name_that_is_not_there_is_no_choice(model: Model) -> None:
    assert model.training is not None
    assert model.deployment is not None
    for folder in (model.recipes, model.training, model.deployment):
        with pytest.raises(UnknownChoice) as raised:
            folder["nothing"]
        assert isinstance(raised.value, KeyError)
        assert isinstance(raised.value, ValueError)
        assert "nothing" in str(raised.value)


@pytest.mark.parametrize("verb", ["checkout", "pull"])
def test_the_command_line_leaves_other_recipes_out(
    web: Web, store: Store, cli: Cli, tmp_path: Path, verb: str
) -> None:
    arguments = [tmp_path / "work"] if verb == "checkout" else []

    ran = cli("--store", store.path, verb, f"{STUB}?recipe=transfer", *arguments, "--json")

    assert (ran.code, ran.json["files"]) == (0, 10)
    assert hash_bytes(ORIGINAL) not in fetched(web)
    assert not store.has(hash_bytes(ORIGINAL))
    assert store.has(hash_bytes(TRANSFER))
    assert store.verify().is_clean
    if verb == "checkout":
        assert store.status(tmp_path / "work").is_clean
        assert not (tmp_path / "work/recipe/recipe_original.md").exists()


# One type for each attribute, always

TYPES: Mapping[str, type | tuple[type, ...]] = {
    "training": SelectDirectory,
    "deployment": SelectDirectory,
    "onnx_folder": Directory,
    "logs": Directory,
    "sample_originals": Directory,
    "sample_inputs": NumpyDirectory,
    "sample_outputs": dict,
    "sample_labels": Directory,
    "model_card": File,
    "recipes": Recipes,
    "onnx_model": File,
    "analysis": File,
    "benchmarks": File,
    "benchmark": File,
    "eval_results": File,
    "metrics": File,
}
ALWAYS = ("sample_outputs", "recipes")
SHAPES: Mapping[str, dict[str, Content]] = {
    "bare": {"other.txt": b"x"},
    "one of each": {
        "training/model.pth": b"x",
        "deployment/model.onnx": b"x",
        "onnx/model.onnx": b"x",
        "logs/log": b"x",
        "sample_originals/a.png": b"x",
        "sample_inputs/inp-0000.npz": b"x",
        "sample_outputs/out-0000.npz": b"x",
        "sample_labels/lab-0000.npz": b"x",
        "model.md": b"x",
        "recipe.md": b"x",
        "model.onnx": b"x",
        "analysis.yaml": b"x",
        "benchmarks.yaml": b"x",
        "benchmark.yaml": b"x",
        "eval.yaml": b"x",
        "metrics.yaml": b"x",
    },
    "several, and archives": {
        "training.tar.gz": b"x",
        "deployment.tar.gz": b"x",
        "onnx.tar.gz": b"x",
        "logs.tar.gz": b"x",
        "sample-originals.tar.gz": b"x",
        "sample-inputs.tar.gz": b"x",
        "sample_outputs.tar.gz": b"x",
        "sample_outputs_onnxruntime.tar.gz": b"x",
        "sample-outputs_deepsparse.tar.gz": b"x",
        "sample-labels.tar.gz": b"x",
        "README.md": b"x",
        "recipe/recipe_a.md": b"x",
        "recipe/recipe_b.yaml": b"x",
        "recipe_c.md": b"x",
        "model.onnx.tar.gz": b"x",
    },
}


def test_every_role_has_a_type() -> None:
    assert TYPES.keys() == ROLES.keys()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ["stub", "folder"])
def test_an_attribute_has_one_type(store: Store, lay: LayOut, shape: str, kind: str) -> None:
    folder = lay("model", SHAPES[shape])
    store.add(folder, STUB)
    model = Model(STUB, store=store) if kind == "stub" else Model(folder)

    for role, expected in TYPES.items():
        value = getattr(model, role)
        assert isinstance(value, expected) or (value is None and role not in ALWAYS), role
        assert (role in model.available) == bool(value)
        if value:
            assert model.available[role] is value
    assert {type(found) for found in model.sample_outputs.values()} <= {NumpyDirectory}
    assert (model.snapshot is None) == (kind == "folder")


@pytest.mark.parametrize(("shape", "there"), [("bare", 0), ("one of each", 16)])
def test_what_is_not_there_is_left_out_of_what_is_available(
    store: Store, lay: LayOut, shape: str, there: int
) -> None:
    store.add(lay("model", SHAPES[shape]), STUB)
    model = Model(STUB, store=store)

    assert len(model.available) == there
    assert model.available == model.available_files
    assert list(model.available) == [role for role in ROLES if role in model.available]


# What a notebook shows


def words_of(html: str) -> list[str]:
    """The texts that a browser shows; fails at a tag that is not the table's own."""

    found: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            own = {"div", "b", "br", "small", "table", "thead", "tbody", "tr", "th", "td"}
            assert tag in own
            assert {name for name, _ in attrs} <= {"style", "colspan"}

        def handle_data(self, data: str) -> None:
            found.append(data)

    reader = Reader()
    reader.feed(html)
    reader.close()
    return found


HOSTILE = "<img src=x onerror=alert(1)>&amp;\"'<script>.md"


def test_a_notebook_shows_the_files_their_sizes_and_what_is_here(model: Model) -> None:
    assert model.recipes.default.path

    words = words_of(model._repr_html_())

    assert words[0] == f"Model(stub={STUB})"
    assert f"11 files, {SIZE / 1000:.1f} kB" in words[1]
    assert "second" in words[1]
    rows = [tuple(words[start : start + 3]) for start in range(5, len(words), 3)]
    assert words[2:5] == ["file", "size", "here"]
    assert ("model.onnx", "256 B", "–") in rows
    assert ("training/", "770 B", "–") in rows
    shown = words_of(model.recipes._repr_html_())
    assert shown[4:7] == ["recipe_original.md", "33 B", "✓"]
    assert shown[7:] == ["recipe_transfer-classification.md", "34 B", "–"]


@pytest.mark.parametrize("kind", ["stub", "folder"])
def test_a_notebook_shows_hostile_names_as_they_are(
    store: Store, lay: LayOut, tmp_path: Path, kind: str
) -> None:
    folder = lay(
        f"{HOSTILE}dir", {HOSTILE: b"x", f"logs/{HOSTILE}/x": b"x", f"logs/{HOSTILE}2": b""}
    )
    store.add(folder, STUB, message=HOSTILE)
    model = Model(STUB, store=store) if kind == "stub" else Model(folder)
    assert model.logs is not None

    assert HOSTILE in words_of(model._repr_html_())
    assert {f"{HOSTILE}/", f"{HOSTILE}2"} <= set(words_of(model.logs._repr_html_()))
    assert HOSTILE in words_of(Directory(HOSTILE, path=folder)._repr_html_())[0]


def test_a_notebook_is_not_filled_with_a_thousand_rows(store: Store, lay: LayOut) -> None:
    store.add(lay("many", {f"file{n}": b"x" for n in range(1000)}), STUB)

    words = words_of(Model(STUB, store=store)._repr_html_())

    assert len(words) < 300
    assert words[-1] == "and 940 more"


def test_a_notebook_shows_a_model_whose_remote_is_gone(
    model: Model, store: Store, cut_off: Callable[[], None], tmp_path: Path
) -> None:
    seen = Model(OTHER_STUB, store=store)
    assert seen.available
    cut_off()
    shutil.rmtree(tmp_path / "zoo")

    assert "model.onnx" in words_of(seen._repr_html_())
    words = words_of(model._repr_html_())
    assert words[0] == f"Model(stub={STUB})"
    assert "127.0.0.1" in words[-1]


def test_a_notebook_shows_a_model_whose_store_is_gone(local: Store) -> None:
    model = Model(STUB, store=local)
    shutil.rmtree(local.path)

    assert words_of(model._repr_html_())


def test_a_notebook_shows_a_folder_that_is_gone(lay: LayOut) -> None:
    folder = lay("folder", {"logs/a": b"a", "lost": "nothing"})
    model = Model(folder)
    assert model.logs is not None
    assert words_of(model._repr_html_())
    shutil.rmtree(folder)

    assert words_of(model._repr_html_())
    assert words_of(model.logs._repr_html_())


# What can be known of the class


def public_attributes() -> Iterator[tuple[str, Any]]:
    for name in dir(Model):
        if not name.startswith("_"):
            yield name, inspect.getattr_static(Model, name)


@pytest.mark.parametrize(
    ("name", "value"), [pytest.param(*item, id=item[0]) for item in public_attributes()]
)
def test_every_attribute_of_a_model_is_documented(name: str, value: Any) -> None:
    function = value.__func__ if isinstance(value, classmethod) else value

    assert (getattr(function, "__doc__", None) or "").strip()


def test_help_says_all_that_a_model_has(local: Store) -> None:
    text = pydoc.plain(pydoc.render_doc(zoostore.Model))
    model = Model(STUB, store=local)
    assert model.available

    for name in [name for name, _ in public_attributes()] + list(vars(model)):
        assert name.startswith("_") or name in text
    for word in ("Args:", "Raises:", "download_path", "zoo:", "@REVISION", "?recipe="):
        assert word in text


# Without NumPy


def test_making_a_model_imports_nothing_heavy(local: Store, run_python: RunPython) -> None:
    program = """
import sys
from zoostore import Model, Store, search_models
model = Model(sys.argv[2], store=Store(sys.argv[1]))
model.available, model.path, model._repr_html_(), search_models(store=Store(sys.argv[1]))
print(*{name.split(".")[0] for name in sys.modules})
"""

    modules = set(run_python(program, local.path, STUB).split())

    assert not modules & {"numpy", "onnx", "onnxruntime", "requests", "google", "rich", "click"}


WITHOUT_NUMPY = """
import sys
for name in ("numpy", "onnx", "onnxruntime"):
    sys.modules[name] = None
from zoostore import Model, Store
from zoostore.errors import MissingExtra
model = Model(sys.argv[2], store=Store(sys.argv[1]))
assert list(model.available) == ["sample_inputs", "sample_outputs", "model_card", "onnx_model"]
assert model.path and model.onnx_model.path and model.model_card.validate()
assert len(model.sample_inputs) == 1 and model.sample_inputs.files[0].path
for ask in (
    lambda: list(model.sample_inputs),
    lambda: model.sample_inputs.dataset(),
    lambda: model.sample_inputs.loader(),
    lambda: model.sample_inputs.sample_batch(),
    lambda: model.data_loader(),
    lambda: model.sample_batch(),
    lambda: model.validate(),
    lambda: list(model.generate_outputs()),
    lambda: model.onnx_model.validate(),
    lambda: model.sample_inputs.validate(),
):
    try:
        ask()
    except MissingExtra as error:
        assert isinstance(error, ImportError)
        print(error)
"""


def test_without_numpy_a_model_works_and_samples_say_what_they_need(
    store: Store, lay: LayOut, run_python: RunPython
) -> None:
    files: Files = {
        "sample_inputs/inp-0000.npz": b"PK",
        "sample_outputs/out-0000.npz": b"PK",
        "model.onnx": BIG,
        "model.md": b"card",
    }
    store.add(lay("model", files), STUB)

    said = run_python(WITHOUT_NUMPY, store.path, STUB).splitlines()

    assert len(said) == 10
    assert all("zoostore[onnx]" in line for line in said)
