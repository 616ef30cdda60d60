"""Stubs: the grammar of a model's name.

stub   = name [ "@" revision ] [ "?" key "=" value { "&" key "=" value } ]
name   = [ "zoo:" ] full | [ "zoo:" ] short | "hf:" [ "datasets/" ] [ org "/" ] repository
       | "ollama:" [ host [ ":" port ] "/" namespace "/" | namespace "/" ] model [ ":" tag ]
full   = domain "/" sub_domain "/" architecture [ "-" sub_architecture ] "/" framework
         "/" repo "/" dataset [ "-" training_scheme ] "/" sparse_tag
"""

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple, Self

from zoostore.errors import Ambiguous, InvalidName, InvalidStub

MAX_NAME_BYTES: Final = 400
"""A name is a key of the index, and its keys have at most 511 bytes."""

CHECKPOINTS: Final = ("prepruning", "postpruning", "preqat", "postqat")
"""The states of a training that a model may keep, in the order in which they are reached."""

HUB: Final = "hf"
"""The scheme of models that the Hugging Face Hub names."""

OLLAMA: Final = "ollama"
"""The scheme of models that Ollama names. The tag is `latest` if there is none."""

OLLAMA_HOST: Final = "registry.ollama.ai"
OLLAMA_NAMESPACE: Final = "library"
"""What stands before a model that Ollama itself publishes, and is left out."""

SELECTORS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"recipe": (), "checkpoint": CHECKPOINTS, "deployment": ("default",), "recipe_type": ()}
)
"""What may stand behind the `?`, and the values it may have, if only some make sense."""

SPARSE_PARTS: Final = ("sparse_name", "sparse_category", "sparse_target")
"""What the parts of a sparse tag are called: `pruned95_quant-moderate-vnni`."""

FACETS: Final = (
    "domain",
    "sub_domain",
    "architecture",
    "sub_architecture",
    "framework",
    "repo",
    "dataset",
    "training_scheme",
    "sparse_tag",
    *SPARSE_PARTS,
)
"""The parts of a full stub, and those of its last part."""

_PART = r"[A-Za-z0-9_][A-Za-z0-9_.+]*"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.+-]*"

# Compiled when one is first needed, for most commands need one of them at most.
_FULL = (
    rf"(?P<domain>{_PART})/(?P<sub_domain>{_PART})"
    rf"/(?P<architecture>{_PART})(?:-(?P<sub_architecture>{_TAG}))?"
    rf"/(?P<framework>{_PART})/(?P<repo>{_PART})"
    rf"/(?P<dataset>{_PART})(?:-(?P<training_scheme>{_TAG}))?"
    rf"/(?P<sparse_tag>{_TAG})"
)
_HUB = rf"(?:datasets/)?(?:{_TAG}/)?{_TAG}"
_OLLAMA = rf"(?:(?:{_TAG}(?::[0-9]{{1,5}})?/)?{_TAG}/)?{_TAG}(?P<tag>:{_TAG})?"
_REVISION = r"[A-Za-z0-9_][A-Za-z0-9_./+-]*(?:~[0-9]{1,6})?|~[0-9]{1,6}"
_TAG_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,99}"
_HEX = r"[0-9a-f]{64}"


class Stub(NamedTuple):
    """A parsed stub.

    Attributes:
        name: the canonical name with its scheme, which refs are kept under.
        revision: a tag, an upstream revision or a snapshot id's beginning, each perhaps
            followed by `~N` for the N-th parent; empty for the newest.
        selectors: what `?recipe=…&checkpoint=…&deployment=…` chose. `recipe_type` is what
            `recipe` was called at first.
    """

    name: str
    revision: str = ""
    selectors: Mapping[str, str] = MappingProxyType({})

    def __reduce__(self) -> tuple[type[Self], tuple[str, str, dict[str, str]]]:
        return type(self), (self.name, self.revision, dict(self.selectors))

    @property
    def scheme(self) -> str:
        """`zoo`, `hf` or `ollama`."""
        return self.name.partition(":")[0]

    @property
    def path(self) -> str:
        """The name without its scheme."""
        return self.name.partition(":")[2]

    @property
    def is_short(self) -> bool:
        """Whether this is a `zoo:` name that may stand for a full one."""
        return self.scheme == "zoo" and "/" not in self.path

    @property
    def facets(self) -> dict[str, str]:
        """The parts of a full `zoo:` name, those it does not have left out."""
        match = re.fullmatch(_FULL, self.path) if self.scheme == "zoo" else None
        return {key: value for key, value in match.groupdict().items() if value} if match else {}

    @property
    def parts(self) -> dict[str, str]:
        """The facets, and those of the sparse tag."""
        facets = self.facets
        sparse = facets.get("sparse_tag", "").split("-", len(SPARSE_PARTS) - 1)
        return facets | {
            name: value for name, value in zip(SPARSE_PARTS, sparse, strict=False) if value
        }

    @property
    def short_name(self) -> str:
        """What a person would call the model; never holds a slash."""
        facets = self.facets
        if not facets:
            return self.path.rpartition("/")[2].replace(":", "-")
        _, _, architecture, _, _, dataset, sparse_tag = self.path.split("/")
        return f"{architecture}-{dataset}-{sparse_tag.removesuffix('-none')}"

    def __str__(self) -> str:
        revision = f"@{self.revision}" if self.revision else ""
        query = "&".join(f"{key}={value}" for key, value in self.selectors.items())
        return f"{self.name}{revision}{'?' + query if query else ''}"


def parse_stub(text: str) -> Stub:
    """The stub that a person wrote.

    Raises:
        InvalidStub: the text does not follow the grammar.
    """
    rest, has_query, query = text.partition("?")
    name, has_revision, revision = rest.partition("@")
    canonical = _canonical_name(name)
    if canonical is None or len(canonical.encode()) > MAX_NAME_BYTES:
        raise InvalidStub(
            f"{text!r} is not a stub: expected zoo:domain/sub_domain/architecture/framework/repo/"
            "dataset/sparse_tag, a short zoo: name, hf:org/name, or ollama:model:tag.",
            stub=text,
        )
    if has_revision and not re.fullmatch(_REVISION, revision):
        raise InvalidStub(f"{revision!r} in {text!r} cannot be a revision.", stub=text)
    selectors = _parse_selectors(text, query) if has_query else {}
    return Stub(canonical, revision, MappingProxyType(selectors))


def _canonical_name(name: str) -> str | None:
    scheme, colon, rest = name.partition(":")
    if not colon:
        scheme, rest = "zoo", name
    if scheme == "hf":
        return f"hf:{rest}" if re.fullmatch(_HUB, rest) else None
    if scheme == OLLAMA:
        match = re.fullmatch(_OLLAMA, rest)
        return f"ollama:{rest}{'' if match['tag'] else ':latest'}" if match else None
    is_zoo = scheme == "zoo" and re.fullmatch(_FULL if "/" in rest else _TAG, rest)
    return f"zoo:{rest}" if is_zoo else None


def _parse_selectors(text: str, query: str) -> dict[str, str]:
    selectors: dict[str, str] = {}
    for pair in query.split("&"):
        key, _, value = pair.partition("=")
        if key not in SELECTORS or not value or "?" in value or key in selectors:
            raise InvalidStub(
                f"{pair!r} in {text!r} is not one of {', '.join(SELECTORS)}, once, with a value.",
                stub=text,
            )
        if SELECTORS[key] and value not in SELECTORS[key]:
            raise InvalidStub(
                f"There is no {key} {value!r}, as {text!r} has it; there are "
                f"{', '.join(SELECTORS[key])}.",
                stub=text,
            )
        selectors[key] = value
    if len({selectors.get("recipe"), selectors.get("recipe_type")} - {None}) > 1:
        raise InvalidStub(f"{text!r} chooses two recipes.", stub=text)
    return selectors


def fits(stub: Stub, name: str) -> bool:
    """Whether a short name may stand for a full one, with or without a final `-none`."""
    full = parse_stub(name)
    return bool(full.facets) and stub.path in (full.short_name, f"{full.short_name}-none")


def only_match(stub: Stub, names: Iterable[str]) -> str | None:
    """The one of `names` that a short name stands for; None if none does.

    Raises:
        Ambiguous: more than one does.
    """
    found = sorted(name for name in names if fits(stub, name))
    if len(found) > 1:
        raise Ambiguous(
            f"{stub.path!r} fits {len(found)} models: {', '.join(found[:5])}.",
            stub=stub.name,
            candidates=found,
        )
    return found[0] if found else None


def is_tag_name(name: str) -> bool:
    """Whether a tag can be called so."""
    return re.fullmatch(_TAG_NAME, name) is not None and not re.fullmatch(_HEX, name)


def check_tag_name(name: str) -> None:
    """Refuse a tag that could not be written after `@`, or that looks like a full id.

    Raises:
        InvalidName: the name cannot be a tag.
    """
    if not is_tag_name(name):
        raise InvalidName(
            f"{name!r} cannot be a tag: letters, digits and _ . + - are possible, 100 at most, "
            "beginning with a letter, a digit or _, and not a whole snapshot id.",
            tag=name,
        )
