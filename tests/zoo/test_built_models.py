"""The models of the built-in zoo: real, accurate, complete, and the same bytes on every build."""

from __future__ import annotations

import io
import json
import math
import struct
import tarfile
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pytest

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("sklearn")

from zoostore import Store  # noqa: E402
from zoostore.zoo.training import BuiltModel  # noqa: E402
from zoostore.zoo.training.data import Examples, load_breast_cancer, load_digits  # noqa: E402
from zoostore.zoo.training.fixed import Fixed, exp, matmul, snap  # noqa: E402

Tensors: TypeAlias = dict[str, npt.NDArray[np.float32]]

DENSE = "zoo:cv/classification/mlp-512/numpy/zoostore/digits/base-none"
PRUNED = "zoo:cv/classification/mlp-512/numpy/zoostore/digits/pruned80-none"
QUANTIZED = "zoo:cv/classification/mlp-512/numpy/zoostore/digits/pruned80_quant-none"
CONVNET = "zoo:cv/classification/convnet-16/numpy/zoostore/digits/base-none"
TABULAR = "zoo:tabular/classification/mlp-32/numpy/zoostore/breast_cancer/base-none"

# (correct, examples) on the test split. That four models come to the same count is chance: dense,
# pruned and convolutional networks err on different examples.
TEST_COUNTS = {
    DENSE: (442, 449),
    PRUNED: (442, 449),
    QUANTIZED: (442, 449),
    CONVNET: (442, 449),
    TABULAR: (140, 142),
}
CHECKPOINTS = {
    DENSE: ["prepruning"],
    PRUNED: ["postpruning", "prepruning"],
    QUANTIZED: ["postpruning", "postqat", "preqat", "prepruning"],
    CONVNET: ["prepruning"],
    TABULAR: ["prepruning"],
}
REQUIRED_FILES = {
    "deployment/config.json",
    "deployment/model.onnx",
    "model.md",
    "model.onnx",
    "recipe/recipe_original.md",
    "recipe/recipe_transfer-classification.md",
    "sample_inputs.tar.gz",
    "sample_labels.tar.gz",
    "sample_outputs.tar.gz",
    "training/config.json",
}
STUBS = list(TEST_COUNTS)
SIZE_LIMIT = 1_600_000
# SparseZoo's own tolerance when it compared sample outputs with onnxruntime's.
OUTPUT_TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, BuiltModel]:
    """All models by stub: those in the package, which a build gives (test_builtin_zoo.py)."""
    root = tmp_path_factory.mktemp("zoo")
    store = Store(root / "store", offline=True)
    return {stub: _packaged(store, stub, root / str(n)) for n, stub in enumerate(STUBS)}


def _packaged(store: Store, stub: str, directory: Path) -> BuiltModel:
    store.pull(stub)
    snapshot = store.snapshot(stub).snapshot
    for file in store.files(stub):
        path = directory / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        with store.open_file(stub, file.path) as content:
            path.write_bytes(content.read())
    return BuiltModel(stub, directory, snapshot.message, dict(snapshot.metadata))


def test_there_are_five_models_in_two_domains(models: dict[str, BuiltModel]) -> None:
    assert list(models) == STUBS


@pytest.mark.parametrize("stub", STUBS)
def test_has_every_file_of_the_sparsezoo_layout(models: dict[str, BuiltModel], stub: str) -> None:
    directory = models[stub].directory
    checkpoints = {f"training/checkpoint_{name}.safetensors" for name in CHECKPOINTS[stub]}
    assert set(_files(directory)) == REQUIRED_FILES | checkpoints


@pytest.mark.parametrize("stub", STUBS)
def test_deployment_holds_the_same_model(models: dict[str, BuiltModel], stub: str) -> None:
    files = _files(models[stub].directory)
    assert files["deployment/model.onnx"] == files["model.onnx"]


@pytest.mark.parametrize("stub", STUBS)
def test_has_exactly_the_accuracy_it_states(models: dict[str, BuiltModel], stub: str) -> None:
    model = models[stub]
    examples = _test_examples(stub)
    guesses = _run(model, examples.inputs.values.astype(np.float32)).argmax(axis=1)
    count = (int((guesses == examples.labels).sum()), len(examples))
    assert count == TEST_COUNTS[stub]
    assert (model.metadata["test_correct"], model.metadata["test_examples"]) == tuple(
        str(number) for number in count
    )
    card = (model.directory / "model.md").read_text(encoding="utf-8")
    assert f"| test | {count[0]} | {count[1]} |" in card
    assert f"license: {model.metadata['license']}\n" in card


def test_pruning_and_quantization_cost_less_than_a_point() -> None:
    dense, total = TEST_COUNTS[DENSE]
    for stub in (PRUNED, QUANTIZED):
        assert dense - TEST_COUNTS[stub][0] < 0.01 * total


@pytest.mark.parametrize("stub", STUBS)
def test_takes_batches_of_any_size(models: dict[str, BuiltModel], stub: str) -> None:
    inputs = _test_examples(stub).inputs.values[:7].astype(np.float32)
    together = _run(models[stub], inputs)
    one_by_one = [_run(models[stub], inputs[row : row + 1]) for row in range(7)]
    _assert_close(together, np.concatenate(one_by_one), OUTPUT_TOLERANCE)


@pytest.mark.parametrize("stub", [PRUNED, QUANTIZED])
def test_pruned_checkpoints_are_four_fifths_zeros(models: dict[str, BuiltModel], stub: str) -> None:
    for name in CHECKPOINTS[stub]:
        weights = _weights(_checkpoint(models[stub], name))
        for weight in weights.values():
            share = float((weight == 0.0).mean())
            assert share < 0.01 if name == "prepruning" else share >= 0.7999


def test_quantization_brings_no_pruned_weight_back(models: dict[str, BuiltModel]) -> None:
    pruned = _weights(_checkpoint(models[PRUNED], "postpruning"))
    quantized = _weights(_checkpoint(models[QUANTIZED], "postqat"))
    for name, weight in pruned.items():
        assert not quantized[name][weight == 0.0].any()


@pytest.mark.parametrize("stub", STUBS)
def test_exports_the_weights_of_its_last_checkpoint(
    models: dict[str, BuiltModel], stub: str
) -> None:
    last = {DENSE: "prepruning", PRUNED: "postpruning", QUANTIZED: "postqat"}
    checkpoint = _checkpoint(models[stub], last.get(stub, "prepruning"))
    exported = _exported_parameters(models[stub])
    assert exported.keys() == checkpoint.keys()
    # Rounding to int8 is the only difference there may be; half a step of the scale used.
    allowed = 2.0**-7 if stub == QUANTIZED else 0.0
    for name, values in checkpoint.items():
        np.testing.assert_allclose(exported[name], values, rtol=0.0, atol=allowed)


def test_quantized_model_stores_int8_weights(models: dict[str, BuiltModel]) -> None:
    graph = onnx.load(models[QUANTIZED].directory / "model.onnx").graph
    types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    assert types["fc1.weight_quantized"] == types["fc2.weight_quantized"] == onnx.TensorProto.INT8
    for tensor in graph.initializer:
        if tensor.name.endswith("weight_quantized"):
            values = onnx.numpy_helper.to_array(tensor)
            assert (values == 0).mean() >= 0.7999
            assert np.abs(values.astype(int)).max() <= 63
    sizes = {stub: _size(models[stub], "model.onnx") for stub in (PRUNED, QUANTIZED)}
    assert sizes[QUANTIZED] < 0.3 * sizes[PRUNED]


def test_quantized_model_runs_on_integer_kernels(
    models: dict[str, BuiltModel], tmp_path: Path
) -> None:
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(
        models[QUANTIZED].directory / "model.onnx",
        options,
        providers=["CPUExecutionProvider"],
    )
    operators = [node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node]
    assert operators.count("QGemm") == 2
    assert "Gemm" not in operators


def test_variants_share_their_checkpoints_byte_for_byte(models: dict[str, BuiltModel]) -> None:
    dense, pruned, quantized = (
        _files(models[stub].directory) for stub in (DENSE, PRUNED, QUANTIZED)
    )
    start = "training/checkpoint_prepruning.safetensors"
    middle = "training/checkpoint_postpruning.safetensors"
    assert dense[start] == pruned[start] == quantized[start]
    assert pruned[middle] == quantized[middle]
    assert quantized[middle] == quantized["training/checkpoint_preqat.safetensors"]
    # Stores keep files of at least 64 KiB as objects that can be linked.
    assert all(64 * 1024 < len(content) < 256 * 1024 for content in (dense[start], pruned[middle]))


def test_digits_models_share_their_sample_inputs_and_labels(models: dict[str, BuiltModel]) -> None:
    contents = [_files(models[stub].directory) for stub in (DENSE, PRUNED, QUANTIZED, CONVNET)]
    for name in ("sample_inputs.tar.gz", "sample_labels.tar.gz"):
        assert len({files[name] for files in contents}) == 1


@pytest.mark.parametrize("stub", STUBS)
def test_sample_outputs_are_what_onnxruntime_gives(
    models: dict[str, BuiltModel], stub: str
) -> None:
    inputs = _samples(models[stub], "sample_inputs", "inp", "input")
    outputs = _samples(models[stub], "sample_outputs", "out", "logits")
    assert len(inputs) == len(outputs) == 10
    found = _run(models[stub], np.stack(inputs))
    _assert_close(found, np.stack(outputs), 0.0 if stub == QUANTIZED else OUTPUT_TOLERANCE)


@pytest.mark.parametrize("stub", STUBS)
def test_sample_labels_are_those_of_the_dataset(models: dict[str, BuiltModel], stub: str) -> None:
    inputs = _samples(models[stub], "sample_inputs", "inp", "input")
    labels = _samples(models[stub], "sample_labels", "lab", "label")
    examples = _test_examples(stub)
    for sample, label in zip(inputs, labels, strict=True):
        same = [np.array_equal(sample, other) for other in examples.inputs.values]
        assert sum(same) == 1
        assert examples.labels[same.index(True)] == label


@pytest.mark.parametrize("name", ["sample_inputs", "sample_outputs", "sample_labels"])
def test_archives_tell_nothing_about_their_making(models: dict[str, BuiltModel], name: str) -> None:
    path = models[DENSE].directory / f"{name}.tar.gz"
    assert path.read_bytes()[:10] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
    with tarfile.open(path) as archive:
        members = archive.getmembers()
    assert [member.name for member in members] == sorted(member.name for member in members)
    for member in members:
        assert member.isreg()
        assert (member.mtime, member.mode, member.uid, member.gid) == (0, 0o644, 0, 0)
        assert (member.uname, member.gname) == ("", "")


@pytest.mark.parametrize("stub", STUBS)
def test_configs_agree_with_the_files_beside_them(models: dict[str, BuiltModel], stub: str) -> None:
    directory = models[stub].directory
    training = json.loads((directory / "training" / "config.json").read_bytes())
    deployment = json.loads((directory / "deployment" / "config.json").read_bytes())
    assert training["model"] == deployment["model"] == stub
    assert sorted(training["checkpoints"]) == sorted(CHECKPOINTS[stub])
    for name, file_name in training["checkpoints"].items():
        assert (directory / "training" / file_name).is_file()
        shapes = {key: list(value.shape) for key, value in _checkpoint(directory, name).items()}
        assert shapes == training["parameters"]
    assert ["batch", *_test_examples(stub).inputs.values.shape[1:]] == deployment["input"]["shape"]


def test_all_models_together_are_small(models: dict[str, BuiltModel]) -> None:
    contents = {content for model in models.values() for content in _contents(model)}
    assert sum(map(len, contents)) < SIZE_LIMIT


def test_a_product_on_a_grid_is_exact() -> None:
    random = np.random.RandomState(0)
    left = snap(random.random_sample((5, 300)) * 8.0 - 4.0, 16)
    right = snap(random.random_sample((300, 4)) - 0.5, 20)
    product = matmul(left, right)
    for row in range(5):
        for column in range(4):
            exact = sum(
                int(a * 2.0**16) * int(b * 2.0**20)
                for a, b in zip(left.values[row], right.values[:, column], strict=True)
            )
            assert product.values[row, column] * 2.0**product.bits == exact


def test_a_product_that_could_round_is_refused() -> None:
    wide = Fixed(np.full((1, 64), 8.0), 24)
    with pytest.raises(ArithmeticError, match=r"grid of 2\*\*-48"):
        matmul(wide, Fixed(wide.values.T, 24))


def test_exp_is_good_to_twelve_digits() -> None:
    values = np.linspace(-700.0, 700.0, 1401)
    expected = np.array([math.exp(value) for value in values])
    np.testing.assert_allclose(exp(values), expected, rtol=1e-12)


def _test_examples(stub: str) -> Examples:
    return (load_breast_cancer() if stub == TABULAR else load_digits()).test


def _run(model: BuiltModel, inputs: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    path = model.directory / "model.onnx"
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["logits"], {"input": inputs})[0], dtype=np.float32)


def _assert_close(
    found: npt.NDArray[np.float32], expected: npt.NDArray[np.float32], tolerance: float
) -> None:
    """``tolerance`` is allowed as an absolute and as a relative difference, as in SparseZoo."""
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


def _files(root: Path) -> dict[str, bytes]:
    paths = sorted(path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}


def _contents(model: BuiltModel) -> list[bytes]:
    return list(_files(model.directory).values())


def _size(model: BuiltModel, name: str) -> int:
    return (model.directory / name).stat().st_size


def _samples(model: BuiltModel, folder: str, prefix: str, key: str) -> list[npt.NDArray[Any]]:
    arrays = []
    with tarfile.open(model.directory / f"{folder}.tar.gz", "r:gz") as archive:
        for number, member in enumerate(archive.getmembers()):
            assert member.name == f"{folder}/{prefix}-{number:04d}.npz"
            content = archive.extractfile(member)
            assert content is not None
            with np.load(io.BytesIO(content.read()), allow_pickle=False) as arrays_by_name:
                assert arrays_by_name.files == [key]
                arrays.append(arrays_by_name[key])
    return arrays


def _checkpoint(model: BuiltModel | Path, name: str) -> Tensors:
    """The tensors of a safetensors file, read as its specification says."""
    directory = model if isinstance(model, Path) else model.directory
    content = (directory / "training" / f"checkpoint_{name}.safetensors").read_bytes()
    (header_size,) = struct.unpack("<Q", content[:8])
    header, data = json.loads(content[8 : 8 + header_size]), content[8 + header_size :]
    tensors = {}
    for tensor, entry in header.items():
        start, end = entry["data_offsets"]
        assert entry["dtype"] == "F32"
        tensors[tensor] = np.frombuffer(data[start:end], "<f4").reshape(entry["shape"])
    assert max(entry["data_offsets"][1] for entry in header.values()) == len(data)
    return tensors


def _weights(tensors: Tensors) -> Tensors:
    return {name: values for name, values in tensors.items() if name.endswith(".weight")}


def _exported_parameters(model: BuiltModel) -> Tensors:
    """The initializers of model.onnx that are parameters, as real numbers."""
    graph = onnx.load(model.directory / "model.onnx").graph
    stored = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    real: Tensors = {}
    for name, values in stored.items():
        if name.endswith((".weight", ".bias")):
            real[name] = values
        elif name.endswith("_quantized"):
            parameter = name.removesuffix("_quantized")
            real[parameter] = values.astype(np.float32) * stored[f"{parameter}_scale"]
    return real
