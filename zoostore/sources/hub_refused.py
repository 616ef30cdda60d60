"""What the Hub means when it refuses a repository.

Source: `hf_raise_for_status` of huggingface_hub 2.4. To those it does not know, the Hub answers 401
for what is not there, so as not to tell what is private.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, TypeVar, cast

from zoostore.errors import (
    DisabledModel,
    GatedModel,
    NoAccess,
    TokenRefused,
    TransferFailed,
    UnknownRevision,
    UnknownStub,
    ZooError,
)
from zoostore.transport.base import AccessDenied, NotThere

if TYPE_CHECKING:
    from zoostore.environment import HubToken
    from zoostore.sources.hub_answers import Repository

E = TypeVar("E", bound=ZooError)

_FORBIDDEN = 403
_DISABLED = "Access to this resource is disabled."
_BAD_TOKEN = "Invalid credentials in Authorization header"


class Refused(NamedTuple):
    """A repository that a Hub did not give.

    Attributes:
        address: the Hub's, without credentials.
        token: who asked; its value is never shown.
    """

    address: str
    repository: Repository
    token: HubToken | None

    def named(self, error: TransferFailed, revision: str) -> ZooError:
        """What a failed request for a revision means; the error itself if it was no refusal."""
        if not isinstance(error, NotThere | AccessDenied):
            return error
        told = cast("Mapping[str, str]", error.facts.get("headers", {}))
        code, said = told.get("X-Error-Code", ""), told.get("X-Error-Message", "")
        if code == "RevisionNotFound":
            return self._unknown_revision(revision)
        if code == "GatedRepo":
            return self.gated()
        if said == _DISABLED:
            return self._error(DisabledModel, "{address} has disabled access to {stub}.")
        if said == _BAD_TOKEN and self.token:
            return self._error(TokenRefused, "{address} did not give {stub}: {said}.", _BAD_TOKEN)
        if error.facts.get("status") == _FORBIDDEN:
            return self._error(NoAccess, "{address} does not let you read {stub}: {said}.", said)
        return self._error(
            UnknownStub, "{stub} does not exist at {address}, or is private and not for you."
        )

    def gated(self) -> GatedModel:
        """Its files are not for everyone."""
        return self._error(
            GatedModel,
            "The files of {stub} are given only to those who asked for access at {page}, and got "
            "it. Nothing was pulled.",
        )

    def check_token(self) -> None:
        """Refuse a token that cannot be sent. Raises `TokenRefused`."""
        value = self.token.value if self.token else ""
        if not (value.isascii() and value.isprintable()):
            raise self._error(
                TokenRefused, "{stub} was not asked for: a token has printable ASCII characters."
            )

    def _unknown_revision(self, revision: str) -> UnknownRevision:
        return UnknownRevision(
            f"{self.address} has {self._stub}, but not with the revision {revision!r}.",
            stub=self._stub,
            revision=revision,
        )

    def _error(self, kind: type[E], text: str, said: str = "") -> E:
        page = f"{self.address}/{self.repository.path}"
        message = text.format(address=self.address, stub=self._stub, page=page, said=_plain(said))
        whose = (
            f"The token from {self.token.found_in} was used."
            if self.token
            else ("No token was sent.")
        )
        return kind(f"{message} {whose}", stub=self._stub, url=page)

    @property
    def _stub(self) -> str:
        return f"hf:{self.repository.path}"


def _plain(said: str) -> str:
    """What a server told, fit for one line of a terminal."""
    shown = "".join(char if char.isprintable() else " " for char in said[:200])
    return shown.strip(" .") or "it does not say why"
