"""SelectDirectory and Recipes: folders that hold several of a kind, to choose one by name."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from zoostore.errors import UnknownChoice, UnknownPath
from zoostore.roles import (
    ARCHIVE,
    ORIGINAL,
    PREFERRED_CHECKPOINTS,
    TRAINING,
    checkpoints,
    choose,
    recipes,
)
from zoostore.views.directory import Directory
from zoostore.views.file import File
from zoostore.views.trees import Tree

_DEFAULT = "default"


class SelectDirectory(Directory):
    """A `training` or `deployment` folder, of which one checkpoint or deployment can be chosen.

    A checkpoint is a `Directory`: of the training's files, those that are its own and those
    that belong to all. A training whose files do not say which state they are is one
    checkpoint, `preqat` unless the stub says otherwise. A deployment is `default`.
    """

    _selectors: Mapping[str, str] = {}

    def __init__(
        self,
        files: Sequence[File] | None = None,
        name: str = "",
        path: str | os.PathLike[str] | None = None,
        url: str | None = None,
        parent_directory: str | os.PathLike[str] | None = None,
        stub_params: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(name, files, path, url, parent_directory)
        self._selectors = dict(stub_params or {})

    @property
    def stub_params(self) -> dict[str, str]:
        """What the stub chose."""
        return dict(self._selectors)

    @property
    def available(self) -> list[str]:
        """The names that can be chosen."""
        return list(self._choices())

    @property
    def default(self) -> Directory:
        """What is chosen if nothing is said: the stub's choice, else `preqat`, or `default`.

        Without a `preqat`, it is the last state before quantization.
        """
        choices = self._choices()
        chosen = next((name for name in PREFERRED_CHECKPOINTS if name in choices), None)
        return choices[chosen] if chosen else next(iter(choices.values()))

    def __getitem__(self, name: str) -> Any:
        """The checkpoint or the deployment of a name, a `Directory`; else the file of a name.

        Raises:
            UnknownChoice: there is neither.
        """
        choices = self._choices()
        if name in choices:
            return choices[name]
        with contextlib.suppress(UnknownPath):
            return super().__getitem__(name)
        raise UnknownChoice(
            f"{self.name} has no {name!r}; there are: {', '.join(choices)}.",
            value=name,
            names=list(choices),
        )

    @property
    def _is_training(self) -> bool:
        return self.name.removesuffix(ARCHIVE) == TRAINING

    def _choices(self) -> dict[str, Directory]:
        if not self._is_training:
            return {_DEFAULT: self}
        folder = self._open() if self.is_archive else self
        files = folder.files
        named = checkpoints(f"{TRAINING}/{file.name}" for file in files)
        if not named:
            return {self._selectors.get("checkpoint", PREFERRED_CHECKPOINTS[0]): self}
        owned = {path for paths in named.values() for path in paths}
        shared = [file for file in files if f"{TRAINING}/{file.name}" not in owned]
        found = {}
        for name, paths in named.items():
            own = [file for file in files if f"{TRAINING}/{file.name}" in paths]
            found[name] = _checkpoint(self.name, folder, own, shared)
        return found


def _checkpoint(name: str, folder: Directory, own: list[File], shared: list[File]) -> Directory:
    if len(own) == 1 and isinstance(own[0], Directory):
        return own[0]
    together = sorted([*own, *shared], key=lambda file: file.name)
    return Directory._in(folder._tree, folder._at, name=name, _files=together)


class Recipes(Directory):
    """The recipes of a model, by name: `recipe_original.md` is `original`.

    Args:
        recipes: the files.
        stub_params: what the stub chose.
    """

    _selectors: Mapping[str, str] = {}
    _named: Mapping[str, File] | None = None

    def __init__(
        self,
        recipes: File | Iterable[File] | None = None,
        stub_params: Mapping[str, str] | None = None,
    ) -> None:
        files = [recipes] if isinstance(recipes, File) else list(recipes or ())
        super().__init__("recipe", path=files[0].parent_directory if files else os.curdir)
        self._files = files
        self._selectors = dict(stub_params or {})

    @classmethod
    def of_model(cls, tree: Tree, selectors: Mapping[str, str]) -> Recipes:
        """The recipes of a model, wherever in it they are."""
        named = {name: File._in(tree, path) for name, path in tree.recipes().items()}
        found = list(named.values())
        folders = {file._at.rpartition("/")[0] for file in found}
        at = folders.pop() if len(folders) == 1 else ""
        return cls._in(tree, at, name="recipe", _files=found, _named=named, _selectors=selectors)

    @property
    def recipes(self) -> list[File]:
        """All of them."""
        return self.files

    @property
    def available(self) -> list[str]:
        """The names that can be chosen."""
        return list(self._choices())

    @property
    def default(self) -> File:
        """What the stub chose, else `original`, else the first.

        Raises:
            UnknownChoice: there is none, or none that fits the stub's choice.
            Ambiguous: more than one fits it.
        """
        choices = self._choices()
        wanted = self._selectors.get("recipe") or self._selectors.get("recipe_type")
        if wanted:
            return choices[choose("recipe", wanted, choices)]
        if not choices:
            raise UnknownChoice("The model has no recipe.", value=ORIGINAL, names=[])
        return choices.get(ORIGINAL) or next(iter(choices.values()))

    def __getitem__(self, name: str) -> File:
        """The recipe of a name, or of a file's name. Raises `UnknownChoice`."""
        choices = self._choices()
        if name in choices:
            return choices[name]
        for file in self.files:
            if name in (file.name, file.name.rpartition(".")[0]):
                return file
        return choices[choose("recipe", name, choices)]

    def __bool__(self) -> bool:
        return bool(self.files)

    def get_recipe_by_name(self, recipe_name: str) -> File | None:
        """The recipe whose file has this name; None if there is none."""
        return next((file for file in self.files if file.name == recipe_name), None)

    def _choices(self) -> Mapping[str, File]:
        if self._named is not None:
            return self._named
        by_path = {f"recipe/{file.name}": file for file in self.files}
        named = {name: by_path[path] for name, path in recipes(by_path).items()}
        return named or {file.name.rpartition(".")[0]: file for file in self.files}
