"""checkout: lay a snapshot out in a directory, touching only what differs."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from zoostore.errors import (
    DirectoryNotEmpty,
    LinkModeUnavailable,
    NotACheckout,
    UnsafePath,
    UsageError,
)
from zoostore.files.globs import Selector, selector
from zoostore.files.links import (
    AUTO,
    COPY,
    HARDLINK,
    LINK_MODES,
    LINKERS,
    REFLINK,
    SYMLINK,
    choose_mode,
    is_unavailable,
)
from zoostore.files.scan import found_at
from zoostore.files.staging import Staging
from zoostore.objects.listing import Listing, leaves, totals, walk
from zoostore.objects.paths import why_not_on_windows
from zoostore.objects.tree import Entry, Kind
from zoostore.ops.history import Found
from zoostore.ops.layout_plan import Plan, plan
from zoostore.ops.pull import Pulled
from zoostore.ops.status import tracking_of
from zoostore.ops.working import (
    NO_STAMP,
    CheckoutState,
    Tracked,
    Tracking,
    WorkingDirectory,
    laid_out,
)
from zoostore.progress import Progress
from zoostore.store.objectstore import ObjectStore


@dataclass(frozen=True, slots=True)
class CheckoutOptions:
    """How to lay a snapshot out.

    Attributes:
        link: a link mode, or `auto`.
        include, exclude: globs, as in .gitignore.
        force: overwrite what was edited or stands in the way.
        verify: read every object again before it is used.
    """

    link: str = AUTO
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    force: bool = False
    verify: bool = False

    def check(self) -> None:
        """Raises `UsageError` if there is no such link mode, or a glob cannot be read."""
        if self.link not in (AUTO, *LINK_MODES):
            raise UsageError(f"There is no link mode {self.link!r}; there are {LINK_MODES}.")
        self.selector()

    def as_before(self, directory: Path) -> CheckoutOptions:
        """The same, but in a checkout that holds copies or symbolic links these again."""
        working = WorkingDirectory(directory)
        if not working.is_checkout() or working.state().link not in (COPY, SYMLINK):
            return self
        return replace(self, link=working.state().link)

    def selector(self) -> Selector:
        return selector(self.include, self.exclude)


@dataclass(frozen=True, slots=True)
class CheckedOut:
    """What a checkout did.

    Attributes:
        pulled: what had to be brought here first.
        directory: where it was laid out.
        files, size: what was chosen of the snapshot; `size` in bytes.
        link: the mode used for large objects: what `auto` found to work; `copy` if there
            were none.
        linked: how many files were laid out in each mode; small objects count as copies.
        previous: the stub and the snapshot that the directory was a checkout of; empty if none.
        kept: how many paths were already as they should be, or stay edited.
        removed: how many were taken away.
    """

    pulled: Pulled
    directory: Path
    files: int
    size: int
    link: str
    linked: Mapping[str, int] = field(default_factory=dict)
    kept: int = 0
    removed: int = 0
    previous: str = ""


def checkout(
    store: ObjectStore,
    found: Found,
    pulled: Pulled,
    directory: Path,
    options: CheckoutOptions,
    progress: Progress,
) -> CheckedOut:
    """Lay a snapshot out. A new directory appears whole or not at all.

    Args:
        found: what to lay out; `pulled` is what was done to have it here.

    Raises:
        DirectoryNotEmpty: the directory holds other things than a checkout.
        LocalChanges: edited or untracked files stand in the way.
        LinkModeUnavailable: the link mode asked for does not work there.
        DamagedContent: an object is missing or damaged; nothing was laid out.
    """
    store.layout.require_apart(directory)
    working = WorkingDirectory(directory)
    tracking = _tracking(store, working, options)
    wanted = _sharing(tracking, walk(store.tree, found.snapshot.tree))
    _check_platform(wanted)
    todo = plan(directory, tracking, wanted, options.selector(), force=options.force)
    todo.require_no_conflicts(directory)
    before = working.state() if working.is_checkout() else None
    layer = _Layer(store, options, before.link if before else COPY, progress)
    if directory.exists():
        paths = layer.update(working, todo)
        _record(store, working, found, layer, paths)
    else:
        layer.create(directory, todo, lambda new, paths: _record(store, new, found, layer, paths))
    chosen = {**todo.write, **{path: tracked.entry for path, tracked in todo.keep.items()}}
    return CheckedOut(
        pulled,
        directory,
        *totals(chosen),
        layer.mode,
        layer.linked,
        len(todo.keep),
        len(todo.remove),
        f"{before.stub}@{before.snapshot}" if before else "",
    )


def require_outside_checkouts(directory: Path) -> None:
    """Refuse to make a checkout within another: that one would take it for content.

    Raises:
        UsageError: the directory is none yet, and is below a checkout.
    """
    if WorkingDirectory(directory).is_checkout():
        return
    try:
        outer = WorkingDirectory.containing(directory / os.pardir)
    except NotACheckout:
        return
    raise UsageError(
        f"{directory} would be within the checkout {outer.root}; nothing was changed. To move that "
        f"one to another snapshot, name it: {outer.root}.",
        path=str(directory),
    )


def _tracking(store: ObjectStore, working: WorkingDirectory, options: CheckoutOptions) -> Tracking:
    if working.is_checkout():
        return tracking_of(store, working)
    root = working.root
    if os.path.lexists(root) and not root.is_dir():
        raise DirectoryNotEmpty(
            f"{root} is there, and is no directory; nothing was changed.", path=str(root)
        )
    if root.exists() and any(root.iterdir()) and not options.force:
        raise DirectoryNotEmpty(
            f"{root} is not empty, and is no checkout; nothing was changed.", path=str(root)
        )
    return Tracking({}, 0)


def _sharing(tracking: Tracking, entries: Iterable[tuple[str, Entry]]) -> dict[str, Entry]:
    """A listing that does not hold again in memory what is known of the checkout already."""
    shared = {}
    for path, entry in leaves(entries):
        known = tracking.paths.get(path)
        shared[path] = known.entry if known is not None and known.entry == entry else entry
    return shared


def _check_platform(wanted: Listing) -> None:
    if os.name != "nt":
        return
    for path in wanted:
        for name in path.split("/"):
            reason = why_not_on_windows(name)
            if reason:
                raise UnsafePath(f"{path!r} cannot be laid out here: {name!r} {reason}.", path=path)


def _record(
    store: ObjectStore,
    working: WorkingDirectory,
    found: Found,
    layer: _Layer,
    paths: Mapping[str, Tracked],
) -> None:
    state = CheckoutState(
        found.stub,
        str(found.id),
        str(store.layout.root.absolute()),
        layer.mode,
        tuple(layer.options.include),
        tuple(layer.options.exclude),
    )
    working.record(state, dict(sorted(paths.items())))


class _Layer:
    """Lays entries out below one directory, in one link mode found by trying."""

    def __init__(
        self, store: ObjectStore, options: CheckoutOptions, previous: str, progress: Progress
    ) -> None:
        self.options = options
        self._found: str | None = None
        self._previous = previous
        self._store = store
        self._progress = progress
        self._made: set[Path] = set()
        self.linked = dict.fromkeys(LINK_MODES, 0)

    @property
    def mode(self) -> str:
        """How large objects were laid out, now or, if none was, before."""
        return self._found or self._previous

    def create(
        self,
        directory: Path,
        todo: Plan,
        record: Callable[[WorkingDirectory, Mapping[str, Tracked]], None],
    ) -> None:
        """Lay a new directory out aside, and give it its name when it is whole."""
        directory.parent.mkdir(parents=True, exist_ok=True)
        staging = Staging(directory.parent, prefix=".zoostore-")
        try:
            staged = staging.new_path()
            staged.mkdir()
            laid = self._lay_all(staged, todo.write, staged)
            record(WorkingDirectory(staged), {**todo.left_out, **laid})
            os.rename(staged, directory)
        finally:
            staging.close()

    def update(self, working: WorkingDirectory, todo: Plan) -> dict[str, Tracked]:
        """Bring an existing directory up to the plan, each file replaced in one step.

        All that is new is made ready in the checkout's own folder first, so that what
        can fail fails before anything is touched.
        """
        working.folder.mkdir(exist_ok=True)
        staging = Staging(working.folder)
        try:
            ready = {}
            self._progress.begin("checking out", _bytes(todo.write))
            for path, entry in todo.write.items():
                if entry.kind is not Kind.DIRECTORY:
                    ready[path] = staging.new_path()
                    self._lay(entry, ready[path], ready[path].parent)
            self._progress.end()
            if not self.options.force:
                todo.require_untouched(working.root)
            _remove(working.root, todo.remove, todo.directories())
            laid = {}
            for path, entry in todo.write.items():
                target = working.root / path
                self._make_folder(target if entry.kind is Kind.DIRECTORY else target.parent)
                if path in ready:
                    os.replace(ready[path], target)
                laid[path] = _laid(entry, target)
        finally:
            staging.close()
            if not working.is_checkout():
                _remove_if_empty(working.folder)
        return {**todo.left_out, **todo.keep, **laid}

    def _lay_all(self, root: Path, entries: Mapping[str, Entry], stage: Path) -> dict[str, Tracked]:
        self._progress.begin("checking out", _bytes(entries))
        laid = {}
        for path, entry in entries.items():
            target = root / path
            self._make_folder(target if entry.kind is Kind.DIRECTORY else target.parent)
            if entry.kind is not Kind.DIRECTORY:
                self._lay(entry, target, stage)
            laid[path] = _laid(entry, target)
        self._progress.end()
        return laid

    def _make_folder(self, folder: Path) -> None:
        if folder not in self._made:
            folder.mkdir(parents=True, exist_ok=True)
            self._made.add(folder)

    def _lay(self, entry: Entry, target: Path, stage: Path) -> None:
        if entry.kind is Kind.LINK:
            os.symlink(entry.target, target)
            self._progress.advance(entry.size)
            return
        source = self._store.loose_path(entry.oid)
        permissions = 0o777 if entry.kind is Kind.EXECUTABLE else 0o666
        if source is None:
            _write(target, self._store.read(entry.oid), permissions)
            self.linked[COPY] += 1
        else:
            self._link(source, target, permissions, stage)
        self._progress.advance(entry.size)

    def _link(self, source: Path, target: Path, permissions: int, stage: Path) -> None:
        if self._found is None:
            self._found = choose_mode(self.options.link, source, stage)
        mode = self._found
        # A name that shares the object's inode shares its permissions, which are not executable.
        if permissions & stat.S_IXUSR and mode not in (COPY, REFLINK):
            mode = COPY
        # Somebody made the object executable through such a name: theirs is left as it is.
        if mode == HARDLINK and os.stat(source).st_mode & stat.S_IXUSR:
            mode = COPY
        try:
            LINKERS[mode](source, target, permissions)
        except OSError as error:
            # An object has as many names as the file system allows: then it is copied.
            if mode != HARDLINK or not is_unavailable(error):
                raise
            if self.options.link != AUTO:
                raise LinkModeUnavailable(
                    f"{source} cannot be hard-linked once more: {error.strerror}.", mode=mode
                ) from error
            mode = COPY
            LINKERS[mode](source, target, permissions)
        self.linked[mode] += 1


def _laid(entry: Entry, target: Path) -> Tracked:
    if entry.kind is Kind.DIRECTORY:
        return laid_out(entry, NO_STAMP)
    # Where an object was laid out as a link to it, the object's own stamp is what counts.
    status = os.stat(target, follow_symlinks=entry.kind.is_file)
    return laid_out(entry, found_at("", status).lasting_stamp)


def _write(target: Path, data: bytes, permissions: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(target, flags, permissions)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
    finally:
        os.close(descriptor)


def _remove(root: Path, paths: Sequence[str], needed: set[str]) -> None:
    """Take files away, and the folders that they leave empty."""
    folders = set()
    for path in paths:
        target = root / path
        if target.is_dir() and not target.is_symlink():
            folders.add(path)
        else:
            target.unlink(missing_ok=True)
        parent = path.rpartition("/")[0]
        while parent:
            folders.add(parent)
            parent = parent.rpartition("/")[0]
    for folder in sorted(folders - needed, key=len, reverse=True):
        _remove_if_empty(root / folder)


def _remove_if_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):  # it still holds something
        os.rmdir(folder)


def _bytes(entries: Mapping[str, Entry]) -> int:
    return sum(entry.size for entry in entries.values())
