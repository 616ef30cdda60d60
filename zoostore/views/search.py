"""search_models: models by the parts of their names."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal, overload

from zoostore.api import Store
from zoostore.errors import UsageError
from zoostore.stubs import SPARSE_PARTS
from zoostore.views.model import Model

_LOGGER = logging.getLogger("zoostore")


@dataclass(frozen=True, slots=True)
class ModelArgs:
    """The parts of a stub; None for those that are not said."""

    domain: str | None = None
    sub_domain: str | None = None
    architecture: str | None = None
    sub_architecture: str | None = None
    framework: str | None = None
    repo: str | None = None
    dataset: str | None = None
    training_scheme: str | None = None
    sparse_name: str | None = None
    sparse_category: str | None = None
    sparse_target: str | None = None
    release_version: str | None = None

    @property
    def sparse_tag(self) -> str:
        """The last part of the stub: `pruned95_quant-none`."""
        return "-".join(filter(None, (self.sparse_name, self.sparse_category, self.sparse_target)))

    @property
    def architecture_id(self) -> str:
        """The architecture, with the sub-architecture if there is one."""
        return "-".join(filter(None, (self.architecture, self.sub_architecture)))

    @property
    def training_id(self) -> str:
        """The dataset, with the training scheme if there is one."""
        return "-".join(filter(None, (self.dataset, self.training_scheme)))

    @property
    def stub(self) -> str:
        """The stub that has these parts; those that are not said are empty in it."""
        parts = (
            self.domain,
            self.sub_domain,
            self.architecture_id,
            self.framework,
            self.repo,
            self.training_id,
            self.sparse_tag,
        )
        return "zoo:" + "/".join(part or "" for part in parts)


def model_args_to_stub(**kwargs: str | None) -> str:
    """The stub that has these parts: those of `ModelArgs`, or a whole `sparse_tag`."""
    parts = dict(kwargs)
    tag = parts.pop("sparse_tag", None)
    if tag:
        parts |= dict.fromkeys(SPARSE_PARTS) | {"sparse_name": tag}
    unknown = parts.keys() - ModelArgs.__dataclass_fields__.keys()
    if unknown:
        raise UsageError(f"A stub has no {', '.join(sorted(unknown))}.")
    return ModelArgs(**parts).stub


@overload
def search_models(
    domain: str | None = ...,
    sub_domain: str | None = ...,
    architecture: str | None = ...,
    sub_architecture: str | None = ...,
    framework: str | None = ...,
    repo: str | None = ...,
    dataset: str | None = ...,
    training_scheme: str | None = ...,
    sparse_name: str | None = ...,
    sparse_category: str | None = ...,
    sparse_target: str | None = ...,
    release_version: str | None = ...,
    page: int = ...,
    page_length: int = ...,
    force_token_refresh: bool = ...,
    return_stubs: Literal[False] = ...,
    *,
    store: Store | None = ...,
) -> list[Model]: ...
@overload
def search_models(
    domain: str | None = ...,
    sub_domain: str | None = ...,
    architecture: str | None = ...,
    sub_architecture: str | None = ...,
    framework: str | None = ...,
    repo: str | None = ...,
    dataset: str | None = ...,
    training_scheme: str | None = ...,
    sparse_name: str | None = ...,
    sparse_category: str | None = ...,
    sparse_target: str | None = ...,
    release_version: str | None = ...,
    page: int = ...,
    page_length: int = ...,
    force_token_refresh: bool = ...,
    *,
    return_stubs: Literal[True],
    store: Store | None = ...,
) -> list[str]: ...
def search_models(
    domain: str | None = None,
    sub_domain: str | None = None,
    architecture: str | None = None,
    sub_architecture: str | None = None,
    framework: str | None = None,
    repo: str | None = None,
    dataset: str | None = None,
    training_scheme: str | None = None,
    sparse_name: str | None = None,
    sparse_category: str | None = None,
    sparse_target: str | None = None,
    release_version: str | None = None,
    page: int = 1,
    page_length: int = 20,
    force_token_refresh: bool = False,
    return_stubs: bool = False,
    *,
    store: Store | None = None,
) -> list[Model] | list[str]:
    """The models of the store and of the remotes whose names have these parts.

    Every part that is said must be the same; what is not said may be anything. Offline, the
    remotes that need the network are left out. Nothing is fetched but catalogs.

    Args:
        domain: as `cv` or `nlp`.
        sub_domain: as `classification`.
        architecture: as `resnet_v1`.
        sub_architecture: as `50`.
        framework: as `pytorch`.
        repo: as `sparseml`.
        dataset: as `imagenet`.
        training_scheme: as `augmented`.
        sparse_name: as `base` or `pruned95_quant`.
        sparse_category: as `none` or `moderate`.
        sparse_target: as `vnni`.
        release_version: a tag that the models have; they are then those of that tag.
        page: which page of what was found, from 1 on.
        page_length: how many are on a page.
        force_token_refresh: taken for SparseZoo's sake; there are no tokens.
        return_stubs: give stubs, instead of models.
        store: the store to use; None: the one that `ZOOSTORE_HOME` names, or the user's.

    Returns:
        The models in the order of their stubs; remotes that cannot be read are logged.

    Raises:
        UsageError: there is no such page.
    """
    if page < 1 or page_length < 1:
        raise UsageError(f"There is no page {page} of {page_length} models; pages begin with 1.")
    wanted = ModelArgs(
        domain,
        sub_domain,
        architecture,
        sub_architecture,
        framework,
        repo,
        dataset,
        training_scheme,
        sparse_name,
        sparse_category,
        sparse_target,
    )
    store = store or Store()
    found = store.search(tag=release_version or "", **_said(asdict(wanted)))
    for name, error in found.unread.items():
        _LOGGER.warning("The remote %s was not searched: %s", name, error)
    hits = found.hits[(page - 1) * page_length : page * page_length]
    suffix = f"@{release_version}" if release_version else ""
    if return_stubs:
        return [hit.stub + suffix for hit in hits]
    return [Model.of_snapshot(store, hit.stub + suffix, hit.snapshot) for hit in hits]


def _said(parts: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in parts.items() if value is not None}
