"""Models in folders that zoostore did not make: as SparseZoo left them, and stranger ones."""

from __future__ import annotations

import contextlib
import io
import os
import tarfile
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
import pytest
from blake3 import blake3

from zoostore import Directory, File, Model, Store
from zoostore.compat import NumpyDirectory, Recipes, SelectDirectory, is_directory
from zoostore.errors import (
    FileSystemError,
    LocalChanges,
    MalformedObject,
    UnknownChoice,
    UnknownPath,
    UnknownStub,
    UnsafeArchive,
)
from zoostore.files.archive import unpack
from zoostore.roles import ROLES

if TYPE_CHECKING:
    from tests.conftest import Content, Files, LayOut

Look: TypeAlias = "Callable[[Path], dict[str, Content]]"
LayAt: TypeAlias = "Callable[[Path, Files], Path]"

NOBODY = 65534
COUNT = 3
"""How many samples a folder of samples has here."""


# What the folders hold


def tar(members: Mapping[str, bytes]) -> bytes:
    """An archive as `tarfile` makes it, of files in this order."""
    return tar_of((_info(name, len(content)), content) for name, content in members.items())


def tar_of(members: Iterable[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def _info(
    name: str, size: int = 0, kind: bytes = tarfile.REGTYPE, link: str = ""
) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = size, kind, link
    return info


def npz(number: float) -> bytes:
    """An .npz file with one array, `input`."""
    buffer = io.BytesIO()
    np.savez(buffer, input=np.full(4, number, np.float32))
    return buffer.getvalue()


SAMPLES = {f"inp-{number:04}.npz": npz(number) for number in range(COUNT)}


def below(folder: str, files: Mapping[str, bytes] = SAMPLES) -> dict[str, bytes]:
    """The same files, in a folder."""
    return {f"{folder}/{name}": content for name, content in files.items()}


class Shape(NamedTuple):
    """A folder's content, and what `available` has of it, as text."""

    files: Files
    available: dict[str, str]


BERT_TRAINING: dict[str, bytes] = {
    "vocab.txt": b"[PAD]\n[UNK]\n",
    "special_tokens_map.json": b"{}",
    "pytorch_model.bin": b"weights",
    "config.json": b'{"layers": 3}',
    "training_args.bin": b"arguments",
    "tokenizer_config.json": b"{}",
    "trainer_state.json": b"{}",
    "tokenizer.json": b"{}",
}

SHAPES = {
    "loose": Shape(
        {
            "training/model.pth": b"weights",
            "deployment/model.onnx": b"onnx",
            "model.onnx": b"onnx",
            "model.md": b"# card",
            "recipe/recipe_original.md": b"recipe",
            **below("sample_inputs"),
            **below("sample_outputs"),
            **below("sample_labels"),
            **below("sample_originals"),
        },
        {
            "training": "Directory(name=training)",
            "deployment": "Directory(name=deployment)",
            "sample_originals": "Directory(name=sample_originals)",
            "sample_inputs": "Directory(name=sample_inputs)",
            "sample_outputs": "{'framework': Directory(name=sample_outputs)}",
            "sample_labels": "Directory(name=sample_labels)",
            "model_card": "File(name=model.md)",
            "recipes": "Directory(name=recipe)",
            "onnx_model": "File(name=model.onnx)",
        },
    ),
    "loose, with hyphens": Shape(
        {
            **below("sample-inputs"),
            **below("sample-outputs"),
            **below("sample-labels"),
            **below("sample-originals"),
        },
        {
            "sample_originals": "Directory(name=sample-originals)",
            "sample_inputs": "Directory(name=sample-inputs)",
            "sample_outputs": "{'framework': Directory(name=sample-outputs)}",
            "sample_labels": "Directory(name=sample-labels)",
        },
    ),
    "archives": Shape(
        {
            "model.md": b"# card",
            "sample_inputs.tar.gz": tar(below("sample_inputs")),
            "sample_outputs.tar.gz": tar(below("sample_outputs")),
            "sample_labels.tar.gz": tar(below("sample_labels")),
            "sample_originals.tar.gz": tar(below("sample_originals")),
        },
        {
            "sample_originals": "Directory(name=sample_originals.tar.gz)",
            "sample_inputs": "Directory(name=sample_inputs.tar.gz)",
            "sample_outputs": "{'framework': Directory(name=sample_outputs.tar.gz)}",
            "sample_labels": "Directory(name=sample_labels.tar.gz)",
            "model_card": "File(name=model.md)",
        },
    ),
    "archives, with hyphens": Shape(
        {
            "sample-inputs.tar.gz": tar(SAMPLES),
            "sample-outputs.tar.gz": tar(below("tmp/x/sample-outputs")),
            "sample-labels.tar.gz": tar(SAMPLES),
        },
        {
            "sample_inputs": "Directory(name=sample-inputs.tar.gz)",
            "sample_outputs": "{'framework': Directory(name=sample-outputs.tar.gz)}",
            "sample_labels": "Directory(name=sample-labels.tar.gz)",
        },
    ),
    "outputs of several engines": Shape(
        {
            "sample_outputs.tar.gz": tar(SAMPLES),
            "sample_outputs_onnxruntime.tar.gz": tar(SAMPLES),
            **below("sample-outputs_deepsparse"),
        },
        {
            "sample_outputs": "{'framework': Directory(name=sample_outputs.tar.gz),"
            " 'deepsparse': Directory(name=sample-outputs_deepsparse),"
            " 'onnxruntime': Directory(name=sample_outputs_onnxruntime.tar.gz)}"
        },
    ),
    "recipes in a folder": Shape(
        {
            "recipe/recipe_original.md": b"original",
            "recipe/recipe_transfer-classification.md": b"transfer",
            "recipe/notes.txt": b"no recipe",
        },
        {"recipes": "Directory(name=recipe)"},
    ),
    "recipes at the root": Shape(
        {"recipe.md": b"original", "recipe_transfer-classification.md": b"transfer"},
        {"recipes": "Directory(name=recipe)"},
    ),
    "NLP": Shape(
        {**below("training", BERT_TRAINING), **below("deployment", BERT_TRAINING)},
        {"training": "Directory(name=training)", "deployment": "Directory(name=deployment)"},
    ),
    "a deployment beside its archive": Shape(
        {
            "deployment/model.onnx": b"onnx",
            "deployment/tokenizer.json": b"{}",
            "deployment.tar.gz": tar({"deployment/model.onnx": b"onnx"}),
        },
        {
            "deployment": "Directory(name=deployment)",
            "onnx_model": "File(name=model.onnx)",
        },
    ),
    "a deployment's archive alone": Shape(
        {"deployment.tar.gz": tar({"deployment/model.onnx": b"onnx", "deployment/a.json": b"{}"})},
        {"deployment": "Directory(name=deployment.tar.gz)"},
    ),
    "checkpoints": Shape(
        {
            "training/preqat/weights.pth": b"preqat",
            "training/preqat/config.json": b"{}",
            "training/checkpoint_postpruning.pth": b"postpruning",
            "training/labels.txt": b"of all",
        },
        {"training": "Directory(name=training)"},
    ),
    "every description": Shape(
        {
            "README.md": b"# card",
            "analysis.yaml": b"",
            "benchmark.yaml": b"a: 1",
            "benchmarks.yaml": b"b: 1",
            "eval.yaml": b"c: 1",
            "metrics.yaml": b"d: 1",
            "logs/2021/train.log": b"epoch 1",
            "onnx/model.11.onnx": b"eleven",
            "onnx/model.onnx": b"newest",
        },
        {
            "onnx_folder": "Directory(name=onnx)",
            "logs": "Directory(name=logs)",
            "model_card": "File(name=README.md)",
            "onnx_model": "File(name=model.onnx)",
            "analysis": "File(name=analysis.yaml)",
            "benchmarks": "File(name=benchmarks.yaml)",
            "benchmark": "File(name=benchmark.yaml)",
            "eval_results": "File(name=eval.yaml)",
            "metrics": "File(name=metrics.yaml)",
        },
    ),
    "what SparseZoo never had": Shape(
        {
            ".hidden": b"",
            ".git/HEAD": b"ref",
            "a/very/deep/model.md": b"no card",
            "sample_inputs.zip": b"PK",
            "training.md": b"no training",
            "weights.safetensors": b"weights",
            "link": "weights.safetensors",
        },
        {},
    ),
    "empty folders": Shape(
        {
            "logs/": None,
            "sample_inputs/": None,
            "sample_inputs.tar.gz": tar({"sample_inputs/inp-0000.npz": npz(1)}),
            "model.md/": None,
        },
        {
            "logs": "Directory(name=logs)",
            "sample_inputs": "Directory(name=sample_inputs.tar.gz)",
        },
    ),
    "names in other scripts": Shape(
        {
            "model.md": b"# card",
            "recipe/recipe_übertragen.md": b"transfer",
            "training/重み.pth": b"weights",
            "sample_inputs.tar.gz": tar({"sample_inputs/образец 1.npz": npz(1)}),
            "🙂/é.txt": b"",
        },
        {
            "training": "Directory(name=training)",
            "sample_inputs": "Directory(name=sample_inputs.tar.gz)",
            "model_card": "File(name=model.md)",
            "recipes": "Directory(name=recipe)",
        },
    ),
}

VIEWS: Mapping[str, type] = {
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
NEVER_NONE = ("recipes", "sample_outputs")


@pytest.fixture(params=SHAPES)
def shape(request: pytest.FixtureRequest) -> Shape:
    return SHAPES[request.param]


@pytest.fixture
def root(shape: Shape, lay: LayOut) -> Path:
    """A folder of this shape."""
    return lay("model", shape.files)


# What a model has


def test_the_roles_are_those_that_the_types_are_known_of() -> None:
    assert VIEWS.keys() == ROLES.keys()


def test_available_has_what_is_there(root: Path, shape: Shape) -> None:
    model = Model(root)

    assert {role: repr(value) for role, value in model.available.items()} == shape.available
    assert repr(model.available_files) == repr(model.available)


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory, lay_at: LayAt) -> dict[str, Path]:
    """A folder of every shape, to be looked at only."""
    where = tmp_path_factory.mktemp("shapes")
    return {name: lay_at(where / name, shape.files) for name, shape in SHAPES.items()}


@pytest.mark.parametrize("role", VIEWS)
def test_an_attribute_has_one_type_always(roots: dict[str, Path], role: str) -> None:
    view = VIEWS[role]
    for name, root in roots.items():
        is_there = role in SHAPES[name].available
        value = getattr(Model(root), role)

        if not is_there and role not in NEVER_NONE:
            assert value is None, name
            continue
        assert isinstance(value, view), name
        assert isinstance(value, Directory) == issubclass(view, Directory), name
        assert bool(value) == is_there, name
        if isinstance(value, dict):
            assert all(type(folder) is NumpyDirectory for folder in value.values()), name


def test_what_is_available_is_on_the_disk_when_its_path_is_asked_for(
    root: Path, shape: Shape
) -> None:
    for value in Model(root).available.values():
        for file in value.values() if isinstance(value, dict) else [value]:
            path = Path(file.path)
            assert path.is_dir() == isinstance(file, Directory)
            assert path.is_relative_to(root)
            assert not path.name.endswith(".tar.gz")
            assert file.url is None
            assert file.is_here
            if isinstance(file, Directory) and not isinstance(file, Recipes):
                assert file.get_file_names() == sorted(os.listdir(path))


def test_files_are_those_on_the_disk(root: Path) -> None:
    check_directory(Model(root), root)


def test_what_a_directory_gives_is_in_it(lay: LayOut) -> None:
    model = Model(lay("model", {"model.md": b"# card", "training/model.pth": b"weights"}))

    for directory in (model, training_of(Path(model.path))):
        assert [file in directory for file in directory] == [True] * len(directory)


def test_a_text_a_path_and_a_slash_at_the_end_mean_the_same_folder(root: Path) -> None:
    for source in (str(root), root, f"{root}/"):
        model = Model(source)

        assert model.path == str(root)
        assert model.name == root.name
        assert [file.path for file in model] == [str(path) for path in sorted(root.iterdir())]
    assert str(Model(str(root))) == repr(Model(root)) == f"Model(directory={root})"


def test_looking_and_having_only_unpack_archives(root: Path, look: Look, tmp_path: Path) -> None:
    before = look(root)
    model = Model(root)

    assert model.download()
    assert model.path == str(root)
    assert "<table>" in model._repr_html_()
    assert model.download(tmp_path / "copies")

    after = look(root)
    assert {path: after.get(path) for path in before if not path.endswith("/")} == {
        path: content for path, content in before.items() if not path.endswith("/")
    }
    found = look(tmp_path / "copies")
    assert {path.rstrip("*"): content for path, content in found.items() if content} == {
        path: (root / path).read_bytes() for path, content in after.items() if content
    }


def check_directory(directory: Directory, folder: Path) -> None:
    """See that a view is right in all that it says of a folder, and so is all that is in it."""
    assert directory.name == folder.name
    assert directory.path == str(folder)
    names = sorted(os.listdir(folder))  # with what was unpacked
    assert directory.parent_directory == str(folder.parent)
    assert directory.size == sum(path.stat().st_size for path in _all_files(folder))
    assert directory.is_folder
    assert not directory.is_archive
    assert is_directory(directory)
    with pytest.raises(UnknownPath):
        _ = directory.oid
    assert [file.name for file in directory.files] == directory.get_file_names() == names
    assert [file.name for file in directory] == names
    assert len(directory) == len(names)
    assert "no such file" not in directory
    assert directory.get_file("no such file") is None
    with pytest.raises(KeyError):
        _ = directory["no such file"]
    for file in directory.files:
        assert file.name in directory
        for found in (directory.get_file(file.name), directory[file.name]):
            assert found is not None
            assert (found.name, found.path) == (file.name, file.path)
        if isinstance(file, Directory):
            check_directory(file, folder / file.name)
        else:
            check_file(file, folder / file.name)


def check_file(file: File, path: Path) -> None:
    content = path.read_bytes()
    assert file.name == path.name
    assert file.path == str(path)
    assert file.parent_directory == str(path.parent)
    assert file.size == len(content)
    assert str(file.oid) == blake3(content).hexdigest()
    with file.open() as opened:
        assert opened.read() == content
    assert file.url is None
    assert file.is_here
    assert not file.is_folder
    assert not is_directory(file)
    assert repr(file) == f"File(name={path.name})"


def _all_files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


# Samples


SAMPLE_LAYOUTS: Mapping[str, Files] = {
    "loose": below("sample_inputs"),
    "loose, hyphen": below("sample-inputs"),
    "packed": {"sample_inputs.tar.gz": tar(below("sample_inputs"))},
    "packed, hyphen": {"sample-inputs.tar.gz": tar(below("sample-inputs"))},
    "no folder in it": {"sample_inputs.tar.gz": tar(SAMPLES)},
    "no folder in it, hyphen": {"sample-inputs.tar.gz": tar(SAMPLES)},
    "a dot first": {"sample_inputs.tar.gz": tar(below("./sample_inputs"))},
    "as gzip() made them": {"sample-inputs.tar.gz": tar(below("tmp/x/sample-inputs"))},
    "in another order": {"sample_inputs.tar.gz": tar(dict(reversed(SAMPLES.items())))},
    "packed in the other spelling": {"sample_inputs.tar.gz": tar(below("sample-inputs"))},
    "as gzip() made them, in the other spelling": {
        "sample_inputs.tar.gz": tar(below("tmp/x/sample-inputs"))
    },
    "packed and loose": {
        "sample_inputs.tar.gz": tar(below("sample_inputs")),
        **below("sample_inputs"),
    },
    "folders named in the archive": {
        "sample_inputs.tar.gz": tar_of(
            [
                (_info("sample_inputs/", kind=tarfile.DIRTYPE), b""),
                *((_info(name, len(data)), data) for name, data in below("sample_inputs").items()),
            ]
        )
    },
}


@pytest.fixture(params=SAMPLE_LAYOUTS)
def samples(request: pytest.FixtureRequest, lay: LayOut) -> NumpyDirectory:
    """The sample inputs of a folder in which they are laid out in one of several ways."""
    return inputs_of(Model(lay("model", SAMPLE_LAYOUTS[request.param])))


def inputs_of(model: Model) -> NumpyDirectory:
    assert model.sample_inputs is not None
    return model.sample_inputs


def test_samples_are_arrays_however_they_are_kept(samples: NumpyDirectory) -> None:
    assert [float(sample["input"][0]) for sample in samples] == list(range(COUNT))
    assert len(samples) == len(samples.dataset()) == COUNT
    (batch,) = samples.loader(batch_size=COUNT)
    assert isinstance(batch, list)
    assert batch[0].shape == (COUNT, 4)


def test_samples_are_files_however_they_are_kept(samples: NumpyDirectory) -> None:
    folder = Path(samples.path)

    assert folder.name in ("sample_inputs", "sample-inputs")
    assert samples.parent_directory == str(folder.parent)
    assert samples.get_file_names() == [file.name for file in samples.files] == list(SAMPLES)
    assert samples.validate()
    for name, content in SAMPLES.items():
        assert name in samples
        assert samples.get_file(name) is not None
        assert samples[name].path == str(folder / name)
        check_file(samples[name], folder / name)
        assert (folder / name).read_bytes() == content


def test_an_archive_is_not_unpacked_before_it_is_asked_for(lay: LayOut, look: Look) -> None:
    archive = tar(SAMPLES)
    root = lay("model", {"sample_inputs.tar.gz": archive})
    samples = inputs_of(Model(root))

    assert samples.is_archive
    assert samples.size == len(archive)
    assert str(samples.oid) == blake3(archive).hexdigest()
    with samples.open() as opened:
        assert opened.read() == archive
    assert look(root) == {"sample_inputs.tar.gz": archive}

    assert samples.path == str(root / "sample_inputs")
    assert look(root) == {"sample_inputs.tar.gz": archive, **below("sample_inputs")}


def test_every_engine_has_its_own_outputs(lay: LayOut) -> None:
    root = lay(
        "model",
        {
            "sample_outputs.tar.gz": tar({"out-0000.npz": npz(0)}),
            "sample_outputs_onnxruntime.tar.gz": tar({"out-0000.npz": npz(1)}),
            "sample-outputs-deepsparse/out-0000.npz": npz(2),
        },
    )

    outputs = Model(root).sample_outputs

    found = {engine: [float(out["input"][0]) for out in outputs[engine]] for engine in outputs}
    assert found == {"framework": [0], "onnxruntime": [1], "deepsparse": [2]}


def test_a_member_that_was_deleted_comes_back(lay: LayOut) -> None:
    samples = inputs_of(Model(lay("model", {"sample_inputs.tar.gz": tar(SAMPLES)})))
    folder = Path(samples.path)
    (folder / "inp-0001.npz").unlink()

    assert len(samples) == COUNT
    assert Path(samples.files[1].path).read_bytes() == SAMPLES["inp-0001.npz"]


def test_a_member_that_was_edited_is_kept_and_said_to_be_another(lay: LayOut, look: Look) -> None:
    samples = inputs_of(Model(lay("model", {"sample_inputs.tar.gz": tar(SAMPLES)})))
    folder = Path(samples.path)
    (folder / "inp-0001.npz").write_bytes(b"edited")
    (folder / "inp-0002.npz").unlink()
    before = look(folder)

    with pytest.raises(LocalChanges) as caught:
        _ = samples.files

    assert caught.value.facts["paths"] == ["inp-0001.npz"]
    assert look(folder) == before


def test_what_stands_where_a_member_goes_is_kept(lay: LayOut, look: Look) -> None:
    root = lay("model", {"sample_inputs.tar.gz": tar(SAMPLES)})
    samples = inputs_of(Model(root))
    (root / "sample_inputs").mkdir()
    (root / "sample_inputs/inp-0001.npz").mkdir()
    before = look(root)

    with pytest.raises(LocalChanges):
        _ = samples.path

    assert look(root) == before


@pytest.mark.parametrize("is_shared", [True, False])
def test_threads_that_unpack_one_archive_all_get_it(
    lay: LayOut, look: Look, is_shared: bool
) -> None:
    threads = 4
    for turn in range(5):
        root = lay(f"model{turn}", {"sample_inputs.tar.gz": tar(SAMPLES)})
        one = Model(root)
        models = [one if is_shared else Model(root) for _ in range(threads)]
        together = threading.Barrier(threads)

        def ask(model: Model, together: threading.Barrier = together) -> list[str]:
            samples = inputs_of(model)
            together.wait()
            return [file.name for file in samples.files]

        with ThreadPoolExecutor(threads) as pool:
            assert list(pool.map(ask, models)) == [list(SAMPLES)] * threads
        assert look(root / "sample_inputs") == SAMPLES
        assert sorted(os.listdir(root)) == ["sample_inputs", "sample_inputs.tar.gz"]


def test_what_is_being_unpacked_is_not_part_of_the_model(
    lay: LayOut, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = lay("model", {"sample_inputs.tar.gz": tar(SAMPLES)})
    seen: list[list[str]] = []

    def look_meanwhile(archive: Path, folder: Path) -> object:
        seen.append(Model(root).get_file_names())
        return unpack(archive, folder)

    monkeypatch.setattr("zoostore.views.unpacking.unpack", look_meanwhile)

    assert len(inputs_of(Model(root))) == COUNT
    assert seen == [["sample_inputs.tar.gz"]]


def _link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, bytes]:
    return _info(name, kind=kind, link=target), b""


EVIL = b"evil"
HOSTILE = {
    "through a link": [_link("in", "../../outside"), (_info("in/evil", len(EVIL)), EVIL)],
    "a link up and out": [_link("sample_inputs/evil", "../../../outside/secret")],
    "a link to the root": [_link("evil", "/etc/passwd")],
    "a hard link out": [_link("evil", "../outside/secret", tarfile.LNKTYPE)],
    "upwards": [(_info("../evil", len(EVIL)), EVIL)],
    "upwards, deeper": [(_info("sample_inputs/../../evil", len(EVIL)), EVIL)],
    "absolute": [(_info("/tmp/zoostore-evil", len(EVIL)), EVIL)],
    "a device": [(_info("null", kind=tarfile.CHRTYPE), b"")],
    "a pipe": [(_info("pipe", kind=tarfile.FIFOTYPE), b"")],
    "a store's own folder": [(_info(".zoostore/state", len(EVIL)), EVIL)],
}
WAYS: Mapping[str, Callable[[NumpyDirectory], object]] = {
    "path": lambda samples: samples.path,
    "files": lambda samples: samples.files,
    "len": len,
    "in": lambda samples: "evil" in samples,
    "iteration": list,
    "dataset": lambda samples: samples.dataset(),
    "unzip": lambda samples: samples.unzip(),
}


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_hostile_archive_writes_nothing(lay: LayOut, look: Look, hostile: str) -> None:
    good = (_info("first.npz", len(SAMPLES["inp-0000.npz"])), SAMPLES["inp-0000.npz"])
    archive = tar_of([good, *HOSTILE[hostile]])
    files: Files = {"model/sample_inputs.tar.gz": archive, "outside/secret": b"secret"}
    around = lay("around", files)
    samples = inputs_of(Model(around / "model"))

    for way, ask in WAYS.items():
        with pytest.raises(UnsafeArchive):
            ask(samples)
        assert look(around) == files, way
    assert not Path("/tmp/zoostore-evil").exists()


@pytest.mark.parametrize("content", [b"", b"no archive", tar(SAMPLES)[:-40]])
def test_a_broken_archive_writes_nothing(lay: LayOut, look: Look, content: bytes) -> None:
    root = lay("model", {"sample_inputs.tar.gz": content})
    samples = inputs_of(Model(root))

    for ask in WAYS.values():
        with pytest.raises(MalformedObject):
            ask(samples)
    assert look(root) == {"sample_inputs.tar.gz": content}


# Recipes


def recipe_names(recipes: Recipes) -> dict[str, str]:
    return {name: recipes[name].name for name in recipes.available}


@pytest.mark.parametrize(
    ("files", "names", "default"),
    [
        (
            ["recipe/recipe_original.md", "recipe/recipe_transfer-classification.md"],
            {
                "original": "recipe_original.md",
                "transfer-classification": "recipe_transfer-classification.md",
            },
            "recipe_original.md",
        ),
        (
            ["recipe.md", "recipe_transfer-classification.md"],
            {
                "original": "recipe.md",
                "transfer-classification": "recipe_transfer-classification.md",
            },
            "recipe.md",
        ),
        (
            ["recipe/recipe_transfer-qa.md", "recipe/recipe_transfer-text.md"],
            {"transfer-qa": "recipe_transfer-qa.md", "transfer-text": "recipe_transfer-text.md"},
            "recipe_transfer-qa.md",
        ),
        (
            ["recipe/recipe_original.md", "recipe_transfer-od.yaml"],
            {"original": "recipe_original.md", "transfer-od": "recipe_transfer-od.yaml"},
            "recipe_original.md",
        ),
        (["recipe/recipe.md"], {"original": "recipe.md"}, "recipe.md"),
        (["recipe/own.md"], {"own": "own.md"}, "own.md"),
    ],
)
def test_recipes_are_found_wherever_they_are(
    lay: LayOut, files: list[str], names: dict[str, str], default: str
) -> None:
    root = lay("model", {path: path.encode() for path in [*files, "model.md"]})

    recipes = Model(root).recipes

    assert recipe_names(recipes) == names
    assert recipes.default.name == default
    assert sorted(file.name for file in recipes) == sorted(Path(path).name for path in files)
    assert len(recipes) == len(recipes.recipes) == len(files)
    for path in files:
        name = Path(path).name
        assert name in recipes
        for file in (recipes[name], recipes.get_file(name), recipes.get_recipe_by_name(name)):
            assert file is not None
            check_file(file, root / path)


def test_the_folder_of_recipes_is_where_they_are(lay: LayOut) -> None:
    inside = Model(lay("inside", {"recipe/recipe_original.md": b"", "model.md": b""}))
    at_root = Model(lay("at root", {"recipe.md": b"", "model.md": b""}))

    assert inside.recipes.path == str(Path(inside.path, "recipe"))
    assert inside.recipes.parent_directory == inside.path
    assert at_root.recipes.path == at_root.path
    assert inside.recipes.name == at_root.recipes.name == "recipe"


def test_a_model_without_recipes_has_an_empty_folder_of_them(lay: LayOut) -> None:
    recipes = Model(lay("model", {"model.md": b"", "recipe/notes.txt": b""})).recipes

    assert recipes.available == []
    assert list(recipes) == []
    assert len(recipes) == 0
    assert not recipes
    assert recipes.get_recipe_by_name("recipe.md") is None
    with pytest.raises(UnknownChoice):
        _ = recipes.default
    with pytest.raises(KeyError):
        _ = recipes["original"]


# Training and deployment


def training_of(root: Path) -> SelectDirectory:
    training = Model(root).training
    assert training is not None
    return training


def contents(directory: Directory) -> dict[str, bytes]:
    return {file.name: Path(file.path).read_bytes() for file in directory.files}


@pytest.mark.parametrize(
    "files",
    [
        below("training", BERT_TRAINING),
        {"training.tar.gz": tar(below("training", BERT_TRAINING))},
        {"training.tar.gz": tar(BERT_TRAINING)},
    ],
)
def test_a_training_that_names_no_state_is_one_checkpoint(lay: LayOut, files: Files) -> None:
    root = lay("model", files)

    training = training_of(root)

    assert training.available == ["preqat"]
    for checkpoint in (training, training.default, training["preqat"]):
        assert contents(checkpoint) == BERT_TRAINING
        assert checkpoint.path == str(root / "training")
    assert "tokenizer.json" in training
    assert training.get_file("vocab.txt") is not None
    with pytest.raises(UnknownChoice):
        _ = training["postqat"]


def packed_or_loose(folder: str, files: Mapping[str, bytes]) -> list[Files]:
    return [below(folder, files), {f"{folder}.tar.gz": tar(below(folder, files))}]


@pytest.mark.parametrize(
    "files",
    packed_or_loose("training", {"preqat/a.pth": b"a", "postqat/b.pth": b"b", "labels.txt": b"c"}),
    ids=["loose", "packed"],
)
def test_checkpoints_may_be_folders(lay: LayOut, files: Files) -> None:
    root = lay("model", files)

    training = training_of(root)

    assert training.available == ["preqat", "postqat"]
    assert contents(training.default) == contents(training["preqat"]) == {"a.pth": b"a"}
    assert contents(training["postqat"]) == {"b.pth": b"b"}
    assert training["postqat"].path == str(root / "training/postqat")


@pytest.mark.parametrize(
    "files",
    packed_or_loose(
        "training",
        {
            "checkpoint_prepruning.pth": b"a",
            "checkpoint_postpruning.pth": b"b",
            "config.json": b"{}",
        },
    ),
    ids=["loose", "packed"],
)
def test_checkpoints_may_be_files_beside_what_belongs_to_all(lay: LayOut, files: Files) -> None:
    root = lay("model", files)

    training = training_of(root)

    assert training.available == ["prepruning", "postpruning"]
    pre, post = training["prepruning"], training["postpruning"]
    assert contents(pre) == {"checkpoint_prepruning.pth": b"a", "config.json": b"{}"}
    assert contents(post) == {"checkpoint_postpruning.pth": b"b", "config.json": b"{}"}
    assert contents(training.default) == contents(post)
    assert (repr(post), post.size, len(post)) == (repr(training), 3, 2)
    assert post.path == pre.path == str(root / "training")


def test_a_deployment_is_the_folder_where_its_archive_stands_beside_it(
    lay: LayOut, look: Look
) -> None:
    files: Files = {
        "deployment/model.onnx": b"of the folder",
        "deployment/tokenizer.json": b"{}",
        "deployment.tar.gz": tar({"deployment/model.onnx": b"of the archive"}),
    }
    model = Model(lay("model", files))

    assert model.deployment is not None
    assert model.deployment.available == ["default"]
    found = {"model.onnx": b"of the folder", "tokenizer.json": b"{}"}
    for deployment in (model.deployment, model.deployment.default, model.deployment["default"]):
        assert contents(deployment) == found
    assert {file.name for file in model} == {"deployment", "deployment.tar.gz"}
    assert look(Path(model.path)) == files


def test_a_deployment_may_be_an_archive(lay: LayOut) -> None:
    files = {"model.onnx": b"onnx", "config.json": b"{}"}
    root = lay("model", {"deployment.tar.gz": tar(below("deployment", files))})

    deployment = Model(root).deployment

    assert deployment is not None
    assert deployment.name == "deployment.tar.gz"
    for view in (deployment, deployment.default, deployment["default"]):
        assert contents(view) == files
        assert view.path == str(root / "deployment")


# ONNX


@pytest.fixture(scope="module")
def onnx_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A model that adds 1, with the 1 in a file of its own, as onnx writes it."""
    onnx = pytest.importorskip("onnx")
    helper, float32 = onnx.helper, onnx.TensorProto.FLOAT
    ones = onnx.numpy_helper.from_array(np.ones(4, np.float32), "ones")
    graph = helper.make_graph(
        [helper.make_node("Add", ["input", "ones"], ["output"])],
        "adds one",
        [helper.make_tensor_value_info("input", float32, ["batch", 4])],
        [helper.make_tensor_value_info("output", float32, ["batch", 4])],
        [ones],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    folder = tmp_path_factory.mktemp("onnx")
    onnx.save_model(
        model,
        folder / "model.onnx",
        save_as_external_data=True,
        location="model.data",
        size_threshold=0,
    )
    return {name: (folder / name).read_bytes() for name in ("model.onnx", "model.data")}


def onnx_of(root: Path) -> File:
    model = Model(root).onnx_model
    assert model is not None
    return model


def run_onnx(path: str) -> list[float]:
    runtime: Any = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (output,) = session.run(None, {"input": np.zeros((1, 4), np.float32)})
    return [float(value) for value in output[0]]


@pytest.mark.parametrize("folder", ["", "./", "model.onnx/", "tmp/x/model.onnx/"])
def test_a_packed_onnx_model_runs_with_its_external_data(
    lay: LayOut, onnx_files: dict[str, bytes], folder: str
) -> None:
    archive = tar({folder + name: content for name, content in onnx_files.items()})
    root = lay("model", {"model.onnx.tar.gz": archive, "model.md": b""})
    model = onnx_of(root)

    assert repr(model) == "File(name=model.onnx)"
    assert run_onnx(model.path) == [1.0] * 4
    check_file(model, root / "model.onnx")
    assert (root / "model.data").read_bytes() == onnx_files["model.data"]
    assert run_onnx(onnx_of(root).path) == [1.0] * 4


def test_a_loose_onnx_model_runs_with_its_external_data(
    lay: LayOut, onnx_files: dict[str, bytes]
) -> None:
    root = lay("model", {**onnx_files, **below("deployment", onnx_files)})
    model = Model(root)

    assert model.deployment is not None
    assert run_onnx(onnx_of(root).path) == [1.0] * 4
    assert run_onnx(model.deployment["default"].path + "/model.onnx") == [1.0] * 4


def test_the_path_of_a_model_has_its_packed_onnx_model_unpacked(
    lay: LayOut, onnx_files: dict[str, bytes]
) -> None:
    root = lay("model", {"model.onnx.tar.gz": tar(onnx_files)})

    assert run_onnx(Model(root).path + "/model.onnx") == [1.0] * 4


def test_a_packed_model_with_samples_can_be_validated(
    lay: LayOut, onnx_files: dict[str, bytes]
) -> None:
    outputs = io.BytesIO()
    np.savez(outputs, output=np.full(4, 2, np.float32))
    root = lay(
        "model",
        {
            "model.onnx.tar.gz": tar(onnx_files),
            "model.md": b"# card",
            "sample_inputs.tar.gz": tar({"sample_inputs/inp-0000.npz": npz(1)}),
            "sample_outputs.tar.gz": tar({"sample_outputs/out-0000.npz": outputs.getvalue()}),
        },
    )

    assert Model(root).validate()


def test_an_onnx_model_may_stand_beside_the_archive_of_it(lay: LayOut, look: Look) -> None:
    files: Files = {"model.onnx": b"onnx", "model.onnx.tar.gz": tar({"model.onnx": b"onnx"})}
    root = lay("model", files)

    check_file(onnx_of(root), root / "model.onnx")

    assert Model(root).path == str(root)
    assert look(root) == files


@pytest.mark.parametrize(
    "packed",
    [
        {"model.onnx": b"of another size"},
        {"model.onnx": b"ONNX", "model.data": b"tensors"},
    ],
)
def test_another_onnx_model_beside_the_archive_is_kept(
    lay: LayOut, look: Look, packed: dict[str, bytes]
) -> None:
    files: Files = {"model.onnx": b"onnx", "model.onnx.tar.gz": tar(packed)}
    root = lay("model", files)
    model = onnx_of(root)

    for ask in (lambda: model.path, lambda: model.size, model.open, lambda: Model(root).path):
        with pytest.raises(LocalChanges):
            ask()
    assert look(root) == files


def test_an_archive_without_the_model_it_is_named_for_is_said_to_be_so(lay: LayOut) -> None:
    root = lay("model", {"model.onnx.tar.gz": tar({"other.onnx": b"onnx"})})

    with pytest.raises(UnknownPath):
        _ = onnx_of(root).path


def test_the_best_onnx_model_is_taken(lay: LayOut) -> None:
    root = lay("model", {"onnx/model.onnx": b"1", "onnx/model.11.onnx": b"2"})
    assert onnx_of(root).path == str(root / "onnx/model.onnx")
    lay("model", {"deployment/model.onnx": b"3"})
    assert onnx_of(root).path == str(root / "deployment/model.onnx")
    lay("model", {"model.onnx": b"4"})
    assert onnx_of(root).path == str(root / "model.onnx")


# Strange folders


def test_the_folder_of_a_checkout_is_not_shown(store: Store, lay: LayOut, tmp_path: Path) -> None:
    files: Files = {"model.md": b"# card", "training/model.pth": b"weights of 16 bytes"}
    store.add(lay("files", files), "zoo:one")
    root = store.checkout("zoo:one", tmp_path / "work").directory
    assert (root / ".zoostore").is_dir()

    model = Model(root)

    assert repr(model.available) == (
        "{'training': Directory(name=training), 'model_card': File(name=model.md)}"
    )
    assert model.get_file_names() == [file.name for file in model] == ["model.md", "training"]
    assert ".zoostore" not in model
    assert model.get_file("state") is None
    with pytest.raises(UnknownPath):
        _ = model[".zoostore"]
    assert model.size == sum(len(content or b"") for content in files.values())
    assert ".zoostore" not in model._repr_html_()
    assert store.status(root).is_clean


def test_folders_reached_through_links_are_folders(lay: LayOut) -> None:
    root = lay(
        "model",
        {
            "model.md": "../blobs/card",
            "training": "../blobs/training",
            "../blobs/card": b"# card",
            "../blobs/training/model.pth": b"weights",
        },
    )

    model = Model(root)

    assert repr(model.available) == (
        "{'training': Directory(name=training), 'model_card': File(name=model.md)}"
    )
    assert contents(training_of(root)) == {"model.pth": b"weights"}


def test_a_folder_is_no_card(lay: LayOut) -> None:
    assert Model(lay("model", {"model.md/": None, "x": b""})).model_card is None


def test_links_that_lead_nowhere_do_not_hide_the_rest(lay: LayOut) -> None:
    model = Model(lay("model", {"model.md": b"# card", "gone": "nowhere"}))

    assert model.get_file_names() == ["gone", "model.md"]
    assert list(model.available) == ["model_card"]
    with pytest.raises(UnknownPath):
        _ = model["gone"].path


def test_a_link_that_leads_nowhere_does_not_hide_the_rest_in_a_notebook(lay: LayOut) -> None:
    model = Model(lay("model", {"model.md": b"# card", "gone": "nowhere"}))

    assert "model.md" in model._repr_html_()


def test_a_model_in_a_folder_is_no_snapshot(lay: LayOut, tmp_path: Path) -> None:
    model = Model(lay("model", {"model.md": b""}))

    assert model.snapshot is None
    assert model.stub_params == {}
    assert model.validation_results == {"validation": [], "throughput": []}
    assert model.compressed_size == model.size == 0
    with pytest.raises(ValueError, match="is a folder"):
        model.checkout(tmp_path / "work")


def test_a_folder_has_no_download_path(lay: LayOut, tmp_path: Path) -> None:
    root = lay("model", {"model.md": b""})

    for source in (root, str(root)):
        with pytest.raises(ValueError, match="download_path"):
            Model(source, download_path=tmp_path / "elsewhere")
    assert not (tmp_path / "elsewhere").exists()


def test_what_is_no_folder_or_empty_is_no_model(lay: LayOut, tmp_path: Path) -> None:
    root = lay("model", {"void/": None, "file": b""})

    for path in (root / "missing", root / "void", root / "file", root / "file/below"):
        for source in (path, str(path)):
            with pytest.raises(UnknownPath) as caught:
                Model(source)
            assert str(path) in str(caught.value)
    assert list(tmp_path.iterdir()) == [root]


def test_a_folder_may_be_named_from_here_or_from_home(
    lay: LayOut, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = lay("model", {"model.md": b"# card"})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))

    for source in ("model", "./model", Path("model"), "~/model"):
        model = Model(source)
        assert str(model) == f"Model(directory={source})"
        assert model.name == "model"
        assert model.parent_directory == str(tmp_path)
        assert Path(model.path).samefile(root)
        assert model.model_card is not None
        assert Path(model.model_card.path).read_bytes() == b"# card"
    with pytest.raises(UnknownStub):
        Model("other")
    with pytest.raises(UnknownPath):
        Model("./other")


@pytest.fixture
def public_path() -> Iterator[Path]:
    """A folder that every user can reach."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


@contextlib.contextmanager
def bound_by_permissions() -> Iterator[None]:
    """Permissions do not bind root: it becomes somebody else for a while."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


def test_a_read_only_folder_can_be_read(public_path: Path, lay_at: LayAt, look: Look) -> None:
    files: Files = {
        "model.md": b"# card",
        "recipe.md": b"recipe",
        **below("training", BERT_TRAINING),
        **below("sample_inputs"),
        "sample_labels.tar.gz": tar(SAMPLES),
    }
    root = lay_at(public_path / "model", files)
    folders = [root, *(path for path in root.iterdir() if path.is_dir())]
    # What is imported late is imported before: somebody else may be unable to read it.
    list(inputs_of(Model(lay_at(public_path / "other", below("sample_inputs")))))
    for folder in folders:
        folder.chmod(0o555)
    try:
        with bound_by_permissions():
            model = Model(root)
            assert list(model.available) == [
                "training",
                "sample_inputs",
                "sample_labels",
                "model_card",
                "recipes",
            ]
            assert model.path == str(root)
            assert len(list(inputs_of(model))) == COUNT
            assert contents(training_of(root)) == BERT_TRAINING
            with model.recipes.default.open() as opened:
                assert opened.read() == b"recipe"
            assert model.sample_labels is not None
            with pytest.raises(FileSystemError):
                _ = model.sample_labels.files
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert look(root) == files


# Files and directories made by hand, as in SparseZoo 1.8


FOLDER: Files = {"a.txt": b"a", "b.json": b"{}", "below/c.md": b"# c"}


@pytest.fixture
def folder(lay: LayOut) -> Path:
    return lay("folder", FOLDER)


def test_a_file_can_be_named_by_hand(folder: Path) -> None:
    check_file(File(name="a.txt", path=str(folder / "a.txt")), folder / "a.txt")
    check_file(File("a.txt", parent_directory=str(folder)), folder / "a.txt")
    described = {"display_name": "a.txt", "path": str(folder / "a.txt"), "url": "http://h/a.txt"}
    assert File.from_dict(described).path == str(folder / "a.txt")
    assert File.from_dict(described).url == "http://h/a.txt"
    with pytest.raises(ValueError, match=r"a\.txt"):
        File("a.txt")
    with pytest.raises(UnknownPath):
        _ = File("gone", path=folder / "gone").path


def test_a_directory_can_be_named_by_hand(folder: Path) -> None:
    check_directory(Directory(name="folder", path=str(folder)), folder)
    check_directory(Directory("folder", parent_directory=folder.parent), folder)
    check_directory(Directory.from_file(File("folder", folder)), folder)
    with pytest.raises(ValueError, match="directory"):
        Directory.from_file(File("a.txt", folder / "a.txt"))


def test_a_directory_can_be_made_of_some_files(folder: Path) -> None:
    files = [File(path.name, path) for path in (folder / "below", folder / "a.txt")]

    directory = Directory(name="folder", files=files, path=str(folder))

    assert repr(directory.files) == "[Directory(name=below), File(name=a.txt)]"
    assert directory.get_file_names() == ["below", "a.txt"]
    assert len(directory) == 2
    assert "b.json" not in directory
    assert directory.path == str(folder)
    assert directory.size == len(b"# c") + len(b"a")
    found = directory.get_file("c.md")
    assert found is not None
    assert found.path == directory["below/c.md"].path == str(folder / "below/c.md")


def test_a_directory_is_packed_and_unpacked(folder: Path, look: Look, tmp_path: Path) -> None:
    directory = Directory(name="folder", path=str(folder))

    directory.gzip()

    assert directory.is_archive
    assert (directory.name, directory.path) == ("folder.tar.gz", f"{folder}.tar.gz")
    assert directory.get_file_names() == ["a.txt", "b.json", "below"]
    with tarfile.open(f"{folder}.tar.gz") as archive:
        assert sorted(archive.getnames()) == [f"folder/{name}" for name in sorted(FOLDER)]
    with pytest.raises(ValueError, match="already"):
        directory.gzip()

    directory.unzip(extract_directory=str(tmp_path / "elsewhere"))

    assert not directory.is_archive
    check_directory(directory, tmp_path / "elsewhere/folder")
    assert look(tmp_path / "elsewhere/folder") == look(folder) == FOLDER
    with pytest.raises(ValueError, match="no archive"):
        directory.unzip()


def test_an_archive_can_be_put_elsewhere(folder: Path, tmp_path: Path, look: Look) -> None:
    directory = Directory(name="folder", path=folder)

    directory.gzip(archive_directory=str(tmp_path / "archives"))

    assert directory.path == str(tmp_path / "archives/folder.tar.gz")
    assert not Path(f"{folder}.tar.gz").exists()
    directory.unzip()
    assert directory.path == str(tmp_path / "archives/folder")
    assert look(tmp_path / "archives/folder") == FOLDER


def test_an_archive_in_a_directory_is_packed_as_it_is(folder: Path, tmp_path: Path) -> None:
    inner = Directory(name="below", path=folder / "below")
    inner.gzip()
    files = [File("a.txt", folder / "a.txt"), Directory("below.tar.gz", path=inner.path)]
    directory = Directory(name="folder", files=files, path=folder)

    directory.gzip()

    with tarfile.open(directory.path) as archive:
        assert archive.getnames() == ["folder/a.txt", "folder/below.tar.gz"]


@pytest.mark.parametrize("prefix", ["", "folder/", "tmp/x/folder/"])
def test_an_archive_reads_as_the_directory_it_holds(lay: LayOut, look: Look, prefix: str) -> None:
    files = {path: content for path, content in FOLDER.items() if isinstance(content, bytes)}
    archive = tar({prefix + path: content for path, content in files.items()})
    root = lay("packed", {"folder.tar.gz": archive})
    directory = Directory(name="folder.tar.gz", path=str(root / "folder.tar.gz"))

    assert directory.is_archive
    assert directory.get_file_names() == [file.name for file in directory.files]
    assert directory.get_file_names() == ["a.txt", "b.json", "below"]
    assert directory["below/c.md"].path == str(root / "folder/below/c.md")
    assert directory.path == str(root / "folder")
    assert look(root / "folder") == FOLDER


def test_an_archive_can_be_unpacked_at_once(lay: LayOut, look: Look) -> None:
    root = lay("packed", {"folder.tar.gz": tar({"folder/a.txt": b"a"})})

    directory = Directory(name="folder.tar.gz", path=root / "folder.tar.gz", force=True)

    assert look(root / "folder") == {"a.txt": b"a"}
    assert not directory.is_archive
    check_directory(directory, root / "folder")
    again = Directory(name="folder.tar.gz", path=root / "folder.tar.gz")
    again.unzip(force=True)
    check_directory(again, root / "folder")


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("x.json", b"{}", b"{"),
        ("x.md", b"text", b"\xff"),
        ("x.npz", npz(1), b"PK"),
        ("x.png", b"\x89PNG\r\n\x1a\n", b"GIF89a"),
        ("x.onnx", b"", b"\xff"),
    ],
)
def test_validating_says_whether_files_are_what_their_names_say(
    lay: LayOut, name: str, good: bytes, bad: bytes
) -> None:
    fine = lay("fine", {f"below/{name}": good, "unknown.bin": b"\xff"})
    broken = lay("broken", {f"below/{name}": bad})

    assert Directory("fine", path=fine).validate()
    directory = Directory("broken", path=broken)
    assert not directory.validate(strict_mode=False)
    with pytest.raises(MalformedObject) as caught:
        directory.validate()
    assert name in str(caught.value)


def test_files_are_copied_where_they_are_wanted(folder: Path, tmp_path: Path, look: Look) -> None:
    directory = Directory("folder", path=folder)

    assert directory.download(destination_path=str(tmp_path / "copies"))
    assert look(tmp_path / "copies/folder") == FOLDER

    (tmp_path / "copies/folder/a.txt").write_bytes(b"edited")
    with pytest.raises(LocalChanges):
        directory["a.txt"].download(tmp_path / "copies/folder", overwrite=False)
    assert (tmp_path / "copies/folder/a.txt").read_bytes() == b"edited"
    assert directory["a.txt"].download(tmp_path / "copies/folder")
    assert look(tmp_path / "copies/folder") == FOLDER


def test_folders_of_a_kind_can_be_made_by_hand(lay: LayOut) -> None:
    root = lay(
        "model",
        {**below("sample_inputs"), "recipe.md": b"", "recipe_x.md": b"", "training/preqat/a": b""},
    )
    inputs = [File(name, root / "sample_inputs" / name) for name in SAMPLES]
    training = [File("preqat", root / "training/preqat")]

    numpy = NumpyDirectory(files=inputs, name="sample_inputs", path=root / "sample_inputs")
    recipes = Recipes([File(name, root / name) for name in ("recipe.md", "recipe_x.md")])
    select = SelectDirectory(files=training, name="training", path=root / "training")
    deployment = SelectDirectory(files=inputs, name="deployment", path=root / "sample_inputs")

    assert [float(sample["input"][0]) for sample in numpy] == list(range(COUNT))
    assert recipe_names(recipes) == {"original": "recipe.md", "x": "recipe_x.md"}
    assert select.available == ["preqat"]
    assert select.default.get_file_names() == ["a"]
    assert deployment.available == ["default"]
    assert deployment.default.get_file_names() == list(SAMPLES)
    chosen = Recipes(recipes.recipes, stub_params={"recipe": "x"})
    assert chosen.default.name == "recipe_x.md"
