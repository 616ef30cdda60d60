"""The one tree of errors.

Every error the library raises on purpose is a `ZooError`. Its class says what a
handler would do about it, its `kind` is a stable word for scripts, its
`exit_code` is what the command line ends with, and its `facts` are the values
the message was made from. Advice ("what to do next") is not here: it depends on
who asks, so the command line adds it.
"""

from __future__ import annotations

from typing import ClassVar


class ZooError(Exception):
    """Something failed; nothing that was reported as done is lost.

    Attributes:
        kind: a stable snake_case word, one for each class.
        exit_code: the exit code of the command line for this class.
        message: what failed, what was expected and what came, what was done about it.
        facts: the named values the message was made from.
    """

    kind: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, **facts: object) -> None:
        super().__init__(message)
        self.message = message
        self.facts = facts

    def __str__(self) -> str:  # a KeyError among the bases would put it in quotes
        return self.message


# What was asked for cannot be understood.


class UsageError(ZooError, ValueError):
    """The arguments contradict each other or make no sense."""

    kind = "usage"
    exit_code = 2


class InvalidStub(UsageError):
    """A stub does not follow the grammar."""

    kind = "invalid_stub"


class InvalidName(UsageError):
    """A tag or a remote cannot be called so."""

    kind = "invalid_name"


class InvalidConfig(UsageError):
    """The store's config.toml, or a value for it, cannot be read."""

    kind = "invalid_config"


class MissingExtra(ZooError, ImportError):
    """An optional package is needed for this, and is not installed."""

    kind = "missing_extra"


# What was asked for is not there.


class NotFound(ZooError):
    """Something named is not there."""

    kind = "not_found"
    exit_code = 6


class UnknownStub(NotFound, ValueError):
    """No ref and no source has this stub."""

    kind = "unknown_stub"


class UnknownRevision(NotFound):
    """The stub is known, but not with this tag, revision or snapshot id."""

    kind = "unknown_revision"


class UnknownPath(NotFound, KeyError):
    """A snapshot or the file system has no such path."""

    kind = "unknown_path"


class Ambiguous(NotFound, ValueError):
    """A short name, an id prefix or a choice fits more than one thing."""

    kind = "ambiguous"


class UnknownChoice(NotFound, KeyError, ValueError):
    """A model has no recipe, checkpoint, deployment or engine of this name."""

    kind = "unknown_choice"


class UnknownRemote(NotFound):
    """No remote has this name."""

    kind = "unknown_remote"


class NotACheckout(NotFound):
    """The directory was not made by a checkout."""

    kind = "not_a_checkout"


# What was asked for is there, and is not given to everyone.


class NoAccess(ZooError):
    """A source does not let whoever asks have the model."""

    kind = "no_access"


class GatedModel(NoAccess):
    """One has to ask for access to the model first."""

    kind = "gated"


class DisabledModel(NoAccess):
    """The source has taken the model away."""

    kind = "disabled"


class TokenRefused(NoAccess):
    """The source does not know the token that was sent."""

    kind = "token_refused"


# The store itself cannot be used.


class NoStore(ZooError):
    """There is no store at this place, or something else is."""

    kind = "no_store"
    exit_code = 10


class NewerFormat(ZooError):
    """The store or the zoo was written by a newer zoostore."""

    kind = "newer_format"


class StoreBusy(ZooError):
    """Another process holds what is needed."""

    kind = "busy"
    exit_code = 11


class SweptAway(StoreBusy):
    """What a writer relied on was removed by `gc` before a name led to it."""

    kind = "swept_away"


class NetworkFileSystem(ZooError):
    """The index would be on a file system that several machines write to."""

    kind = "network_file_system"


class ReadOnlyStore(ZooError):
    """The store cannot be written to by this user."""

    kind = "read_only"


# Content is not what its name says.


class DamagedContent(ZooError):
    """Bytes differ from what their oid, their size or their format promises."""

    kind = "damaged"
    exit_code = 5


class MissingObject(DamagedContent):
    """An object that a snapshot needs is not in the store."""

    kind = "missing_object"


class WrongContent(DamagedContent):
    """A source sent other bytes than it promised."""

    kind = "wrong_content"


class MalformedObject(DamagedContent):
    """A tree, a snapshot, a pack or a catalog is not in its one encoding."""

    kind = "malformed"


class UnsafePath(MalformedObject):
    """A name or a link target could reach outside its directory, or hide another name."""

    kind = "unsafe_path"


class UnsafeArchive(MalformedObject):
    """An archive holds what could be written outside its folder, or more than it may."""

    kind = "unsafe_archive"


# The answer would have needed the network.


class NeededNetwork(ZooError):
    """Offline, and what was asked for is not here."""

    kind = "offline"
    exit_code = 4


class TransferFailed(ZooError):
    """A source could not be read: no connection, a bad status, a short body."""

    kind = "transfer_failed"


# Going on would overwrite or contradict something.


class Conflict(ZooError):
    """Going on would lose something, so nothing was changed."""

    kind = "conflict"


class DirectoryNotEmpty(Conflict):
    """The target directory holds files and is not a checkout."""

    kind = "directory_not_empty"


class LocalChanges(Conflict):
    """Files in the checkout were edited, or stand where the snapshot's files go."""

    kind = "local_changes"


class Diverged(Conflict):
    """The ref has moved to a snapshot that this change does not follow."""

    kind = "diverged"


class TagExists(Conflict):
    """A tag is an immutable name, and this one is taken."""

    kind = "tag_exists"


class NothingToCommit(Conflict):
    """The checkout is the same as its snapshot."""

    kind = "nothing_to_commit"


class NothingLeft(Conflict):
    """The globs leave no file to work on."""

    kind = "nothing_left"


# A directory to be added holds something that a snapshot cannot keep.


class CannotAdd(ZooError):
    """A file in an added directory cannot be kept; nothing was added."""

    kind = "cannot_add"


class FileChanged(CannotAdd):
    """A file changed while it was read."""

    kind = "file_changed"


class UnreadableFile(CannotAdd):
    """A file cannot be read."""

    kind = "unreadable_file"


class SpecialFile(CannotAdd):
    """A socket, a device or a FIFO."""

    kind = "special_file"


class UnsafeName(CannotAdd):
    """A name or a link that no snapshot may hold."""

    kind = "unsafe_name"


# The file system said no.


class LinkModeUnavailable(ZooError):
    """The file system cannot make the kind of link that was asked for."""

    kind = "link_mode_unavailable"


class DiskFull(ZooError):
    """No space, or no quota, is left."""

    kind = "disk_full"


class FileSystemError(ZooError):
    """The operating system refused a file operation."""

    kind = "file_system"


# The machine said no.


class WorkerEnded(ZooError):
    """A process that was to help ended before it was done."""

    kind = "worker_ended"
