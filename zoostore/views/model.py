"""Model: a model by its name, or in a folder, as SparseZoo's users know it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from zoostore.api import Store
from zoostore.digest import Oid
from zoostore.errors import InvalidStub, UnknownPath, UsageError
from zoostore.files.disk import errors_named
from zoostore.roles import ARCHIVE, ROLES, playing, sample_outputs
from zoostore.stubs import Stub, parse_stub
from zoostore.views.directory import Directory
from zoostore.views.facts import ModelResult, ModelSnapshot, numbers
from zoostore.views.file import File
from zoostore.views.packed_onnx import PackedOnnx
from zoostore.views.samples import NumpyDirectory
from zoostore.views.select import Recipes, SelectDirectory
from zoostore.views.trees import LocalTree, SnapshotTree, Tree

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from zoostore.ops.checkout import CheckedOut
    from zoostore.ops.diff import Diff
    from zoostore.views.batches import DataLoader

FileT = TypeVar("FileT", bound=File)


class Model(Directory):
    """A model: a snapshot of a store or a zoo, or a folder.

    Making one resolves its name and fetches nothing. What is asked for is fetched when it is
    asked for, and no more: `model.recipes.default.path` fetches one file. Whatever becomes of
    the name later, a `Model` stays the snapshot that it was when it was made.

        model = Model("zoo:mlp-512-digits-pruned80_quant")
        model.available                     # what there is: a dictionary of files and folders
        model.onnx_model.path               # fetches a file, and says where it is
        model.path                          # fetches all of it
        model.recipes["original"].path      # a recipe; `recipes.available` has the names
        model.training.default.path         # a checkpoint; `training.available` has the names
        for sample in model.sample_inputs:  # dictionaries of NumPy arrays
            ...
        model.validate()                    # runs the samples through ONNX Runtime
        model.model_card.open()             # reads without laying out
        model.checkout("work")              # a directory to work in, as `zoostore checkout`

    Args:
        source: a stub, as `zoo:domain/sub_domain/architecture/framework/repo/dataset/tag`, a
            short `zoo:` name or `hf:org/name`, perhaps followed by `@REVISION` and by
            `?recipe=…&checkpoint=…&deployment=…`; or a folder's path. A name without a scheme
            that is also a folder's is the folder.
        download_path: for a stub, where to lay files out; None: in the store.
        store: the store to use; None: the one that `ZOOSTORE_HOME` names, or the user's.

    Raises:
        UnknownStub, UnknownRevision: nobody has it.
        NeededNetwork: offline, and it is not here.
        InvalidStub: it is neither a stub nor a folder.
        UnknownPath: the folder is not there, or empty.
    """

    def __init__(
        self,
        source: str | os.PathLike[str],
        download_path: str | os.PathLike[str] | None = None,
        *,
        store: Store | None = None,
    ) -> None:
        if not isinstance(source, str | os.PathLike):
            raise UsageError(f"{source!r} is no stub and no path.")
        stub = None if isinstance(source, os.PathLike) else _stub_of(source)
        if stub is None:
            self._be_directory(source, download_path)
        else:
            store = store or Store()
            name, oid = store.locate(str(stub))
            self._be_snapshot(store, Stub(name, stub.revision, stub.selectors), oid, download_path)

    @classmethod
    def of_snapshot(cls, store: Store, stub: str, snapshot: Oid) -> Model:
        """The model that a snapshot is, where its name was resolved already."""
        model = cls.__new__(cls)
        model._be_snapshot(store, parse_stub(stub), snapshot, None)
        return model

    def _be_snapshot(
        self, store: Store, stub: Stub, oid: Oid, directory: str | os.PathLike[str] | None
    ) -> None:
        where = None if directory is None else Path(os.path.abspath(Path(directory).expanduser()))
        self.source = str(stub)
        self.name = stub.short_name
        self._stub: Stub | None = stub
        self._tree: Tree = SnapshotTree(store, stub.name, oid, stub.selectors, where)
        self._at, self._url = "", None

    def _be_directory(self, path: str | os.PathLike[str], download_path: object) -> None:
        if download_path is not None:
            raise UsageError(f"{path} is a folder: it is there, and download_path has no meaning.")
        root = Path(os.path.abspath(Path(path).expanduser()))
        with errors_named():
            is_model = root.is_dir() and any(root.iterdir())
        if not is_model:
            what = "is empty" if root.is_dir() else "is no folder"
            raise UnknownPath(f"{root} {what}, and no model.", path=str(root))
        self.source = os.fspath(path)
        self.name = root.name
        self._stub = None
        self._tree = LocalTree(root)
        self._at, self._url = "", None

    # What it is

    @property
    def stub_params(self) -> dict[str, str]:
        """What the stub chose: `{"recipe": "transfer"}`."""
        return dict(self._stub.selectors) if self._stub else {}

    @property
    def snapshot(self) -> ModelSnapshot | None:
        """Its id, parents and date; None for a folder."""
        if not isinstance(self._tree, SnapshotTree):
            return None
        return ModelSnapshot.of(self._tree.contents)

    @property
    def parent_directory(self) -> str:
        """The folder that its folder is in."""
        return str(self._tree.root.parent)

    @property
    def compressed_size(self) -> int:
        """What it takes in a store, in bytes: each content once."""
        if isinstance(self._tree, SnapshotTree):
            blobs = {entry.oid: entry.size for entry in self._tree.listing.values()}
            return sum(blobs.values())
        return self.size

    @property
    def validation_results(self) -> dict[str, list[ModelResult]]:
        """The numbers among the snapshot's metadata, as `validation`; `throughput` is empty."""
        metadata = self.snapshot.metadata if self.snapshot else {}
        return {"validation": list(numbers(metadata)), "throughput": []}

    # What it holds

    @property
    def available(self) -> dict[str, File | dict[str, NumpyDirectory]]:
        """What there is, by the names of the attributes below."""
        return dict(self._available())

    @property
    def available_files(self) -> dict[str, File | dict[str, NumpyDirectory]]:
        """The same as `available`."""
        return self.available

    def _available(self) -> Iterator[tuple[str, Any]]:
        for role in ROLES:
            value = getattr(self, role)
            # Of recipes and sample outputs there may be none; what else is not there is None.
            if value is not None and (value or not isinstance(value, Recipes | dict)):
                yield role, value

    @cached_property
    def training(self) -> SelectDirectory | None:
        """The checkpoints, with what goes with them: tokenizers, configurations."""
        return self._role("training", SelectDirectory, _selectors=self.stub_params)

    @cached_property
    def deployment(self) -> SelectDirectory | None:
        """What is needed to run it."""
        return self._role("deployment", SelectDirectory, _selectors=self.stub_params)

    @cached_property
    def onnx_folder(self) -> Directory | None:
        """The model in several versions of ONNX's operators."""
        return self._role("onnx_folder", Directory)

    @cached_property
    def logs(self) -> Directory | None:
        """What was written down during training."""
        return self._role("logs", Directory)

    @cached_property
    def sample_originals(self) -> Directory | None:
        """Samples as they were before they were made arrays."""
        return self._role("sample_originals", Directory)

    @cached_property
    def sample_inputs(self) -> NumpyDirectory | None:
        """Samples, as the arrays that the model takes."""
        return self._role("sample_inputs", NumpyDirectory)

    @cached_property
    def sample_outputs(self) -> dict[str, NumpyDirectory]:
        """What the model makes of the samples, by the engine that ran it.

        `framework` is what it was trained with. Empty if there are none.
        """
        found = sample_outputs(self._tree.paths())
        return {engine: NumpyDirectory._in(self._tree, path) for engine, path in found.items()}

    @cached_property
    def sample_labels(self) -> Directory | None:
        """What the samples are."""
        return self._role("sample_labels", Directory)

    @cached_property
    def model_card(self) -> File | None:
        """What there is to know of the model, as text."""
        return self._role("model_card", File)

    @cached_property
    def recipes(self) -> Recipes:
        """How it was made, and how to train it further; empty if it has none."""
        return Recipes.of_model(self._tree, self.stub_params)

    @cached_property
    def onnx_model(self) -> File | None:
        """The model as ONNX. If it is kept as `model.onnx.tar.gz`, the file in that."""
        found = playing("onnx_model", self._tree.paths())
        if found is None:
            return None
        return (PackedOnnx if found.endswith(ARCHIVE) else File)._in(self._tree, found)

    @cached_property
    def analysis(self) -> File | None:
        """`analysis.yaml`"""
        return self._role("analysis", File)

    @cached_property
    def benchmarks(self) -> File | None:
        """`benchmarks.yaml`"""
        return self._role("benchmarks", File)

    @cached_property
    def benchmark(self) -> File | None:
        """`benchmark.yaml`"""
        return self._role("benchmark", File)

    @cached_property
    def eval_results(self) -> File | None:
        """`eval.yaml`"""
        return self._role("eval_results", File)

    @cached_property
    def metrics(self) -> File | None:
        """`metrics.yaml`"""
        return self._role("metrics", File)

    def _role(self, role: str, view: type[FileT], **own: Any) -> FileT | None:
        found = playing(role, self._tree.paths())
        return None if found is None else view._in(self._tree, found, **own)

    # Having it

    @property
    def path(self) -> str:
        """Its folder on this machine, after all of it was fetched and laid out.

        What is kept in archives is unpacked beside them, if that can be written there.

        Raises:
            NeededNetwork: offline, and some of it is not here.
            LocalChanges: other files stand where its files go.
        """
        root = self._lay()
        if os.access(root, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
            for value in list(self.available.values()):
                for file in value.values() if isinstance(value, dict) else (value,):
                    if file.is_archive:
                        _ = file.path
        return str(root)

    def download(
        self,
        destination_path: str | os.PathLike[str] | None = None,
        overwrite: bool = True,
        retries: int = 1,
        retry_sleep_sec: int = 5,
        *,
        strict_mode: bool = False,
    ) -> bool:
        """Have all of it on this machine; True.

        Args:
            destination_path: a folder to put copies in; None: where `path` says.
            overwrite: whether files there may be replaced by those of the model.
            retries, retry_sleep_sec: taken for SparseZoo's sake.
            strict_mode: refuse a model that does not have everything a model can have.

        Raises: what `path` raises; `UnknownPath` in strict mode.
        """
        missing = [role for role in ROLES if role not in self.available]
        if strict_mode and missing:
            raise UnknownPath(f"{self.name} has no {', '.join(missing)}; nothing was fetched.")
        if destination_path is not None:
            self._copy_into(Path(destination_path), overwrite=overwrite)
        else:
            _ = self.path
        return True

    def checkout(
        self, directory: str | os.PathLike[str] | None = None, *, link: str | None = None
    ) -> CheckedOut:
        """Lay it out as a directory to work in: see `Store.checkout`.

        Args:
            directory: None: its short name, in the current directory.
            link: `auto`, `reflink`, `hardlink`, `symlink` or `copy`.

        Raises:
            UsageError: it is a folder already.
        """
        tree = self._snapshot_tree("checked out")
        stub = Stub(tree.stub, str(tree.id), tree.selectors)
        return tree.store.checkout(str(stub), directory or self.name, link=link)

    def diff(self, other: Model | str | os.PathLike[str]) -> Diff:
        """What must be done to this one to get another: paths added, removed and changed.

        Args:
            other: a model, or what one can be made of.
        """
        store = self._tree.store if isinstance(self._tree, SnapshotTree) else None
        if not isinstance(other, Model):
            other = Model(other, store=store)
        if store is None:
            store = other._tree.store if isinstance(other._tree, SnapshotTree) else Store()
        return store.diff(self._side(), other._side())

    def _side(self) -> str | Path:
        tree = self._tree
        return tree.pinned if isinstance(tree, SnapshotTree) else tree.root

    def _snapshot_tree(self, what: str) -> SnapshotTree:
        if not isinstance(self._tree, SnapshotTree):
            raise UsageError(f"{self._tree.root} is a folder, and no snapshot to be {what}.")
        return self._tree

    # Trying it

    def data_loader(
        self, batch_size: int = 1, iter_steps: int = 0, batch_as_list: bool = True
    ) -> DataLoader:
        """The samples in batches: `{"sample_inputs": …, "sample_outputs": …}`.

        Args: as of `NumpyDirectory.loader`.

        Raises:
            UnknownPath: it has no samples.
        """
        from zoostore.views.batches import DataLoader

        outputs = list(self.sample_outputs.values())[:1]
        found = [folder for folder in (self.sample_inputs, *outputs) if folder is not None]
        if not found:
            raise UnknownPath(f"{self.name} has no sample inputs and no sample outputs.")
        return DataLoader(
            *(folder.dataset() for folder in found),
            batch_size=batch_size,
            iter_steps=iter_steps,
            batch_as_list=batch_as_list,
        )

    def sample_batch(
        self, batch_size: int = 1, batch_index: int = 0, batch_as_list: bool = True
    ) -> Any:
        """One batch of `data_loader`."""
        return self.data_loader(batch_size, 0, batch_as_list).get_batch(batch_index)

    def generate_outputs(
        self, engine_type: str = "onnxruntime", save_to_tar: bool = False
    ) -> Iterator[list[NDArray[Any]]]:
        """What an engine makes of each sample: the model's outputs, with a batch axis of 1.

        Args:
            engine_type: `onnxruntime`, or `deepsparse` where that is installed.
            save_to_tar: also write them beside the samples, as `sample_outputs_ENGINE.tar.gz`.

        Raises:
            UnknownChoice: there is no such engine.
            UnknownPath: it has no ONNX model, or no samples.
            UsageError: they are to be written into the store's own folder.
            MissingExtra: it needs `zoostore[onnx]`.
        """
        from zoostore.views.trying import outputs_of, save_outputs

        if save_to_tar:
            save_outputs(self, engine_type)
        return outputs_of(self, engine_type)

    def validate(self, validate_onnxruntime: bool = True, minimal_validation: bool = False) -> bool:
        """Whether the model does what it says: what is wrong is logged.

        Args:
            validate_onnxruntime: run the sample inputs through ONNX Runtime, and compare what
                comes out with the sample outputs.
            minimal_validation: look at no other files than the ONNX model, the deployment and
                the training.

        Raises:
            UnknownPath: samples are to be run, and it has none, or no ONNX model.
            MissingExtra: it needs `zoostore[onnx]`.
        """
        from zoostore.views.trying import is_valid

        return is_valid(self, run=validate_onnxruntime, minimal=minimal_validation)

    def _repr_html_(self) -> str:
        from zoostore.views.notebook import model_html

        return model_html(self)

    def __repr__(self) -> str:
        kind = "stub" if self._stub else "directory"
        return f"Model({kind}={self.source})"


def _stub_of(text: str) -> Stub | None:
    """The stub that a text is; None if it is a folder's path."""
    has_scheme = text.startswith(("zoo:", "hf:", "ollama:"))
    if not has_scheme and os.path.isdir(os.path.expanduser(text)):
        return None
    try:
        return parse_stub(text)
    except InvalidStub:
        if not has_scheme and text.startswith(("/", ".", "~", os.sep)):
            raise UnknownPath(f"{text} is no folder, and no stub.", path=text) from None
        raise
