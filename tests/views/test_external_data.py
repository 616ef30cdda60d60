"""ONNX models that keep their tensors in other files, laid out so that every release reads them.

onnx refuses such a file if it has a second name or is a symbolic link (since 1.21), and
onnxruntime if a symbolic link leads out of the model's folder (since 1.24).
"""

from __future__ import annotations

import io
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from zoostore import Model, Store
from zoostore.errors import LinkModeUnavailable
from zoostore.onnx_data import external_data

STUB = "zoo:cv/classification/matmul-1/onnx/none/none/base-none"
MODES = ("auto", "copy", "hardlink", "symlink")
MOST_READS = 100_000
"""More than any model here needs."""

LOCATIONS = ("model.data", "sub/w.bin", None)
"""Where tensors are kept: beside the model, in a folder below it, or in a file each."""


def matmul(*names: str) -> Any:
    """A model that multiplies by each of some matrices."""
    values = ["x", *(f"y_{name}" for name in names)]
    nodes = [
        helper.make_node("MatMul", [before, name], [after])
        for name, before, after in zip(names, values, values[1:], strict=False)
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 8))],
        [helper.make_tensor_value_info(values[-1], TensorProto.FLOAT, (1, 8))],
        [numpy_helper.from_array(np.eye(8, dtype=np.float32), name) for name in names],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def save(path: Path, location: str | None = "model.data") -> Path:
    """A folder with a model whose tensors are elsewhere: in one file, or in one each."""
    (path / os.path.dirname(location or "")).mkdir(parents=True)
    onnx.save_model(
        matmul("a", "b"),
        path / "model.onnx",
        save_as_external_data=True,
        all_tensors_to_one_file=location is not None,
        location=location,
        size_threshold=0,
    )
    (path / "training").mkdir(exist_ok=True)
    (path / "training" / "model.bin").write_bytes(b"weights" * 100)
    return path


def require_readable(model: str | Path) -> None:
    """See that onnx and onnxruntime read a model with all its tensors."""
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"x": np.ones((1, 8), np.float32)})
    assert found.tolist() == [[1.0] * 8]
    onnx.checker.check_model(str(model))
    assert all(tensor.raw_data for tensor in onnx.load(str(model)).graph.initializer)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store in which small files are large, and are linked."""
    store = Store(tmp_path / "store")
    store.add_remote("none", str(tmp_path / "none"))
    store.remove_remote("none")
    (store.path / "config.toml").write_text('large_object = 16\nlink = "hardlink"\n')
    return Store(store.path)


@pytest.mark.parametrize("mode", MODES)
def test_a_checkout_of_every_link_mode_can_be_read(store: Store, tmp_path: Path, mode: str) -> None:
    store.add(save(tmp_path / "model"), STUB)

    done = store.checkout(STUB, tmp_path / "out", link=mode)

    require_readable(tmp_path / "out" / "model.onnx")
    assert done.linked["copy"] + done.linked["reflink"] >= 1
    if mode in ("hardlink", "symlink"):
        assert done.linked[mode] == 2, "the model itself, and what is no tensor of it"
    assert store.status(tmp_path / "out").is_clean


@pytest.mark.parametrize("location", LOCATIONS)
def test_a_model_brings_its_tensors_along(
    store: Store, tmp_path: Path, location: str | None
) -> None:
    store.add(save(tmp_path / "model", location), STUB)

    onnx_model = Model(STUB, store=store).onnx_model

    assert onnx_model is not None
    require_readable(onnx_model.path)
    assert not (Path(onnx_model.parent_directory) / "training").exists()


@pytest.mark.parametrize("location", LOCATIONS)
@pytest.mark.parametrize("mode", [*MODES, "reflink"])
def test_tensors_can_be_read_wherever_they_are_kept(
    store: Store, tmp_path: Path, mode: str, location: str | None
) -> None:
    save(tmp_path / "model/deployment", location)
    store.add(tmp_path / "model", STUB)

    try:
        store.checkout(STUB, tmp_path / "out", link=mode)
    except LinkModeUnavailable:
        if mode != "reflink":
            raise
        pytest.skip("the file system shares no blocks")

    require_readable(tmp_path / "out/deployment/model.onnx")
    assert (tmp_path / "out/deployment/training/model.bin").read_bytes() == b"weights" * 100
    assert store.verify().is_clean


@pytest.mark.parametrize("location", LOCATIONS)
@pytest.mark.parametrize("mode", MODES)
def test_a_model_in_a_folder_of_the_users_can_be_read(
    store: Store, tmp_path: Path, mode: str, location: str | None
) -> None:
    (store.path / "config.toml").write_text(f'large_object = 16\nlink = "{mode}"\n')
    store.add(save(tmp_path / "model", location), STUB)

    require_readable(Path(Model(STUB, tmp_path / "out", store=store).path, "model.onnx"))


def test_a_folder_of_a_model_can_be_read_once_the_model_was_asked_for(
    store: Store, tmp_path: Path
) -> None:
    """Who lists a deployment asks for one file after the other, in any order."""
    save(tmp_path / "model/deployment")
    store.add(tmp_path / "model", STUB)
    deployment = Model(STUB, store=store).deployment
    assert deployment is not None

    for name in ("model.data", "model.onnx", "model.data"):
        assert deployment[name].path

    require_readable(deployment["model.onnx"].path)
    require_readable(Path(deployment.path, "model.onnx"))


@pytest.mark.parametrize("mode", MODES)
def test_files_that_become_tensors_with_an_update_can_be_read(
    store: Store, tmp_path: Path, mode: str
) -> None:
    """The data was there, as a link, before the model that reads it was."""
    with_data, without = save(tmp_path / "with"), tmp_path / "without"
    without.mkdir()
    (without / "model.data").write_bytes((with_data / "model.data").read_bytes())
    onnx.save_model(matmul("a", "b"), without / "model.onnx")
    store.add(without, STUB)
    store.checkout(STUB, tmp_path / "out", link=mode)
    store.add(with_data, STUB)

    store.checkout(STUB, tmp_path / "out", link=mode)

    require_readable(tmp_path / "out/model.onnx")
    assert store.status(tmp_path / "out").is_clean


@pytest.mark.parametrize("mode", MODES)
def test_tensors_that_were_checked_out_before_their_model_can_be_read(
    store: Store, tmp_path: Path, mode: str
) -> None:
    maker = Store(tmp_path / "maker")
    maker.add(save(tmp_path / "model"), STUB)
    maker.publish([STUB], tmp_path / "zoo")
    store.add_remote("zoo", str(tmp_path / "zoo"))
    store.checkout(STUB, tmp_path / "out", link=mode, include=["*.data"])

    store.checkout(STUB, tmp_path / "out", link=mode)

    require_readable(tmp_path / "out/model.onnx")


def test_tensors_that_were_asked_for_first_are_no_obstacle(store: Store, tmp_path: Path) -> None:
    store.add(save(tmp_path / "model"), STUB)
    model = Model(STUB, store=store)
    data = Path(model["model.data"].path)
    assert data.stat().st_nlink == 2

    require_readable(Model(STUB, store=store)["model.onnx"].path)

    assert data.stat().st_nlink == 1


def test_tensors_that_come_with_an_update_are_files_of_their_own(
    store: Store, tmp_path: Path
) -> None:
    model = save(tmp_path / "model")
    store.add(model, STUB)
    store.checkout(STUB, tmp_path / "out", link="hardlink")
    changed = bytes(reversed((model / "model.data").read_bytes()))
    (model / "model.data").write_bytes(changed)
    store.add(model, STUB)

    store.checkout(STUB, tmp_path / "out", link="hardlink")

    assert (tmp_path / "out" / "model.data").read_bytes() == changed
    assert (tmp_path / "out" / "model.data").stat().st_nlink == 1


# Finding the files


def found_in(model: Any) -> set[str]:
    data = model.SerializeToString()
    return external_data(io.BytesIO(data), len(data))


class Counted(io.BytesIO):
    """A file that counts what is read of it, and how often."""

    count = 0
    reads = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.count += len(data)
        self.reads += 1
        assert self.reads < MOST_READS
        return data


def external(name: str, location: str) -> Any:
    tensor = helper.make_tensor(name, TensorProto.FLOAT, [1], [0.0])
    tensor.ClearField("float_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("offset", "0"), ("location", location)):
        tensor.external_data.add(key=key, value=value)
    return tensor


def test_tensors_are_found_wherever_they_stand() -> None:
    model = matmul("a")
    assert found_in(model) == set()
    model.graph.initializer.append(external("w", "w.bin"))
    model.graph.node.append(helper.make_node("Constant", [], ["c"], value=external("c", "c.bin")))
    branch = helper.make_graph([], "branch", [], [], [external("d", "sub/d.bin")])
    model.graph.node.append(helper.make_node("If", ["x"], ["i"], then_branch=branch))
    model.graph.sparse_initializer.add(values=external("e", "e.bin"))
    constant = helper.make_node("Constant", [], ["f"], value=external("f", "f.bin"))
    opsets = [helper.make_opsetid("", 13)]
    model.functions.append(helper.make_function("own", "F", [], ["f"], [constant], opsets))

    assert found_in(model) == {"w.bin", "c.bin", "sub/d.bin", "e.bin", "f.bin"}


@given(st.binary(max_size=200))
def test_junk_has_no_tensors_elsewhere_and_does_no_harm(data: bytes) -> None:
    external_data(io.BytesIO(data), len(data))


@given(st.integers(0, 400), st.integers(0, 255), st.integers(0, 400))
def test_a_damaged_model_does_no_harm(at: int, byte: int, length: int) -> None:
    model = matmul("a")
    model.graph.initializer.append(external("w", "w.bin"))
    data = bytearray(model.SerializeToString())
    data[at % len(data)] = byte

    assert external_data(io.BytesIO(data[:length]), length) <= {"w.bin"} or byte


def test_a_large_model_is_not_read_through() -> None:
    model = matmul("a")
    model.graph.initializer.append(numpy_helper.from_array(np.zeros(5 << 20, np.int32), "big"))
    model.graph.initializer.append(external("w", "w.bin"))
    data = model.SerializeToString()
    file = Counted(data)

    assert external_data(file, len(data)) == {"w.bin"}
    assert file.count < 10_000 < len(data)


# Against what onnx itself sees

LOCATION = st.sampled_from(["w.bin", "sub/w.bin", "x", "tensors of é.bin"])
NAME = st.text("abc", min_size=1, max_size=3)
PLAIN = st.builds(
    lambda name, values: helper.make_tensor(name, TensorProto.FLOAT, [len(values)], values),
    NAME,
    st.lists(st.floats(width=32, allow_nan=False), max_size=5),
)
TENSORS = PLAIN | st.builds(external, NAME, LOCATION)


def sparse(values: Any, indices: Any) -> Any:
    found = onnx.SparseTensorProto(dims=[1])
    found.values.CopyFrom(values)
    found.indices.CopyFrom(indices)
    return found


SPARSE = st.builds(sparse, TENSORS, TENSORS)


def attribute(value: Any) -> Any:
    found = onnx.AttributeProto(name="a")
    if isinstance(value, list):
        field = {onnx.TensorProto: found.tensors, onnx.GraphProto: found.graphs}
        field[onnx.SparseTensorProto] = found.sparse_tensors
        for item in value:
            field[type(item)].append(item)
    elif isinstance(value, onnx.TensorProto):
        found.t.CopyFrom(value)
    elif isinstance(value, onnx.GraphProto):
        found.g.CopyFrom(value)
    elif isinstance(value, onnx.SparseTensorProto):
        found.sparse_tensor.CopyFrom(value)
    else:
        found.s = value
    return found


def graph_of(values: list[Any], initializers: list[Any], sparse_ones: list[Any]) -> Any:
    found = onnx.GraphProto(name="g", initializer=initializers, sparse_initializer=sparse_ones)
    for value in values:
        found.node.add(op_type="Op", input=["x"], attribute=[attribute(value)])
    return found


def graphs_of(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    values = children | TENSORS | SPARSE | st.binary(max_size=4)
    lists = st.lists(TENSORS, min_size=1, max_size=2) | st.lists(SPARSE, min_size=1, max_size=2)
    lists |= st.lists(children, min_size=1, max_size=2)
    return st.builds(
        graph_of,
        st.lists(values | lists, max_size=3),
        st.lists(TENSORS, max_size=3),
        st.lists(SPARSE, max_size=1),
    )


GRAPHS = st.recursive(st.builds(onnx.GraphProto), graphs_of, max_leaves=4)


def model_of(graph: Any, inner: Any) -> Any:
    found = onnx.ModelProto(ir_version=8, producer_name="test", graph=graph)
    found.functions.add(name="F").node.add(op_type="Op", attribute=[attribute(inner)])
    return found


MODELS = st.builds(model_of, GRAPHS, TENSORS | GRAPHS)


def messages(message: Any) -> Iterator[Any]:
    """A message and all that it holds, as protobuf sees them."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for below in [value] if hasattr(value, "ListFields") else value:
                yield from messages(below)


@given(MODELS)
def test_what_is_found_in_a_model_is_what_onnx_finds(model: Any) -> None:
    tensors = [found for found in messages(model) if isinstance(found, onnx.TensorProto)]
    entries = [entry for tensor in tensors for entry in tensor.external_data]

    assert found_in(model) == {entry.value for entry in entries if entry.key == "location"}


@given(MODELS, st.randoms(use_true_random=False), st.integers(1, 8))
def test_a_model_that_is_damaged_anywhere_does_no_harm(
    model: Any, chance: random.Random, times: int
) -> None:
    data = bytearray(model.SerializeToString())
    for _ in range(times if data else 0):
        data[chance.randrange(len(data))] = chance.randrange(256)
    file = Counted(data)

    external_data(file, len(data))
    assert file.count <= 10 * len(data)


@pytest.mark.parametrize("unit", [b"\0", b"\x3a\0", b"\x80", b"text "], ids=repr)
def test_a_file_that_is_no_model_takes_no_time(
    unit: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A download that was cut off leaves gigabytes of zeros under a model's name."""
    monkeypatch.setattr("zoostore.onnx_data._MAX_FIELDS", 10_000)
    junk = unit * ((16 << 20) // len(unit))

    assert external_data(Counted(junk), len(junk)) == set()


def test_a_model_that_is_nested_without_end_takes_no_time() -> None:
    data = b""
    for _ in range(2000):  # a graph in an attribute of a node of a graph
        for tag in (b"\x32", b"\x2a", b"\x0a"):
            length = onnx.TensorProto(dims=[len(data)]).SerializeToString()[1:]
            data = tag + length + data

    assert external_data(Counted(data), len(data)) == set()
