"""The zoo in the package: published as its sources say, whole, offline, and sharing what it can."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from zoostore import Store
from zoostore.source_book import BUILTIN
from zoostore.zoo.publish import NAME, PUBLISHED, TIME

if TYPE_CHECKING:
    from tests.conftest import Cli

onnxruntime = pytest.importorskip("onnxruntime")

MLP = "zoo:cv/classification/mlp-512/numpy/zoostore/digits/"
VARIANTS = [f"{MLP}{tag}-none" for tag in ("base", "pruned80", "pruned80_quant")]
CONVNET = "zoo:cv/classification/convnet-16/numpy/zoostore/digits/base-none"
TABULAR = "zoo:tabular/classification/mlp-32/numpy/zoostore/breast_cancer/base-none"
STUBS = sorted([*VARIANTS, CONVNET, TABULAR])
SHORT = {
    "mlp-512-digits-base": VARIANTS[0],
    "mlp-512-digits-pruned80": VARIANTS[1],
    "mlp-512-digits-pruned80_quant": VARIANTS[2],
    "convnet-16-digits-base": CONVNET,
    "mlp-32-breast_cancer-base": TABULAR,
}
CHECKPOINT = "training/checkpoint_prepruning.safetensors"
SIZE_LIMIT = 2_000_000


@pytest.fixture
def offline(tmp_path: Path) -> Store:
    return Store(tmp_path / "store", offline=True)


def files_of(zoo: Path) -> dict[str, bytes]:
    return {
        path.relative_to(zoo).as_posix(): path.read_bytes()
        for path in zoo.rglob("*")
        if path.is_file()
    }


@pytest.mark.slow
def test_what_is_in_the_package_is_what_its_sources_make(tmp_path: Path) -> None:
    """In a process with another BLAS kernel, thread count and hash seed too."""
    pytest.importorskip("onnx")
    pytest.importorskip("sklearn")
    unlike_here = {
        "OPENBLAS_CORETYPE": "Prescott",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "PYTHONHASHSEED": "7",
    }

    subprocess.run(
        [sys.executable, "-m", "zoostore.zoo.publish", str(tmp_path / "zoo")],
        env={**os.environ, **unlike_here},
        check=True,
    )

    made, packaged = files_of(tmp_path / "zoo"), files_of(PUBLISHED)
    assert made.keys() == packaged.keys()
    assert [name for name in made if made[name] != packaged[name]] == []


def test_the_package_carries_little(tmp_path: Path) -> None:
    assert sum(map(len, files_of(PUBLISHED).values())) < SIZE_LIMIT


def test_the_catalog_lists_five_models(offline: Store) -> None:
    listed = offline.catalog(BUILTIN)

    assert [model.stub for model in listed] == STUBS
    assert offline.remotes().keys() == {BUILTIN}
    assert NAME.encode() in (PUBLISHED / "zoo.json").read_bytes()


@pytest.mark.parametrize("name", SHORT)
def test_every_model_can_be_checked_out_offline_by_its_short_name(
    offline: Store, tmp_path: Path, name: str
) -> None:
    done = offline.checkout(name, tmp_path / "work")

    assert (done.pulled.stub, done.pulled.source) == (SHORT[name], BUILTIN)
    assert done.pulled.downloaded_files > 0
    shown = offline.snapshot(name)
    assert shown.snapshot.time == TIME
    assert shown.snapshot.message
    assert shown.snapshot.metadata
    assert offline.status(tmp_path / "work").is_clean
    assert offline.verify().is_clean


@pytest.mark.parametrize("name", SHORT)
def test_every_model_runs(offline: Store, tmp_path: Path, name: str) -> None:
    work = offline.checkout(name, tmp_path / "work").directory

    for path in (work / "model.onnx", work / "deployment/model.onnx"):
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        (inputs,) = session.get_inputs()
        shape = [2 if isinstance(size, str) else size for size in inputs.shape]
        (outputs,) = session.run(None, {inputs.name: np.zeros(shape, np.float32)})
        assert outputs.shape[0] == 2
        assert np.isfinite(outputs).all()


def test_variants_share_the_checkpoint_they_started_from(offline: Store, tmp_path: Path) -> None:
    inodes, oids = set(), set()
    for number, stub in enumerate(VARIANTS):
        done = offline.checkout(stub, tmp_path / str(number), link="hardlink")
        inodes.add((done.directory / CHECKPOINT).stat().st_ino)
        (file,) = (file for file in offline.files(stub) if file.path == CHECKPOINT)
        oids.add(file.oid)
        if number:
            assert done.pulled.reused_bytes >= file.size

    assert (len(inodes), len(oids)) == (1, 1)
    assert file.size > 64 << 10, "large enough to be linked"
    for model in offline.du().models:
        assert model.shared_bytes >= file.size


def test_the_readme_can_be_followed(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ten lines that README.md begins with."""
    monkeypatch.chdir(tmp_path)
    assert cli("checkout", "mlp-512-digits-pruned80", "digits").code == 0
    assert cli("checkout", "mlp-512-digits-base").code == 0
    assert cli("du").code == 0
    monkeypatch.chdir("digits")
    Path("model.onnx").unlink()
    Path("model.onnx").write_bytes(Path("../mlp-512-digits-base/model.onnx").read_bytes())
    assert cli("status", "--json").json["modified"] == ["model.onnx"]
    assert cli("commit", "-m", "back to dense", "--json").json["new_objects"] == 2
    log = cli("log", "mlp-512-digits-pruned80", "--json").json
    assert [entry["message"] for entry in log[:1]] == ["back to dense"]
    assert cli("checkout", "mlp-512-digits-pruned80@~1", ".").code == 0
    assert cli("status", "--json").json["modified"] == []
    assert cli("verify").code == 0
