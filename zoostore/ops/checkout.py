"""checkout: lay a snapshot out in a directory, touching only what differs."""

import contextlib
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, Self

from zoostore.errors import (
    DirectoryNotEmpty,
    NotACheckout,
    UnsafePath,
    UsageError,
)
from zoostore.files.globs import Selector, selector
from zoostore.files.links import AUTO, COPY, LINK_MODES, SYMLINK
from zoostore.files.spool import Spool
from zoostore.files.staging import BESIDE, Staging
from zoostore.objects.listing import Listing
from zoostore.objects.paths import why_not_on_windows
from zoostore.objects.tree import Kind
from zoostore.ops.bringing import Brought
from zoostore.ops.history import Found
from zoostore.ops.known_checkouts import remember_checkout
from zoostore.ops.laying import Layer, folder_of, laid_at, tensors_of
from zoostore.ops.layout_plan import Plan, plan
from zoostore.ops.open_folders import OpenFolders
from zoostore.ops.pulled import Pulled
from zoostore.ops.records import NO_STAMP, Records, Tracked
from zoostore.ops.resuming import resume
from zoostore.ops.status import tracking_of
from zoostore.ops.tracking import NOTHING_TRACKED, Tracking
from zoostore.ops.working import CheckoutState, WorkingDirectory
from zoostore.progress import Progress
from zoostore.store.objectstore import ObjectStore


class CheckoutOptions(NamedTuple):
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

    def as_before(self, directory: Path) -> Self:
        """The same, but in a checkout that holds copies or symbolic links these again."""
        working = WorkingDirectory(directory)
        if not working.is_checkout() or working.state().link not in (COPY, SYMLINK):
            return self
        return self._replace(link=working.state().link)

    def selector(self) -> Selector:
        return selector(self.include, self.exclude)


class CheckedOut(NamedTuple):
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
    linked: Mapping[str, int] = MappingProxyType({})
    kept: int = 0
    removed: int = 0
    previous: str = ""


def checkout(
    store: ObjectStore,
    brought: Brought,
    directory: Path,
    options: CheckoutOptions,
    progress: Progress,
) -> CheckedOut:
    """Lay a snapshot out. A new directory appears whole or not at all.

    Args:
        brought: what to lay out.

    Raises:
        DirectoryNotEmpty: the directory holds other things than a checkout.
        LocalChanges: edited or untracked files stand in the way.
        LinkModeUnavailable: the link mode asked for does not work there.
        DamagedContent: an object is missing or damaged; nothing was laid out.
    """
    store.layout.require_apart(directory)
    working = WorkingDirectory(directory)
    tracking = _tracking(store, working, options)
    _check_platform(brought.listing)
    if directory.exists():
        return _bring_up(store, brought, working, tracking, options, progress)
    return _lay_anew(store, brought, directory, options, progress)


def _bring_up(
    store: ObjectStore,
    brought: Brought,
    working: WorkingDirectory,
    tracking: Tracking,
    options: CheckoutOptions,
    progress: Progress,
) -> CheckedOut:
    """Have a directory that is there hold a snapshot, touching only what differs."""
    found, wanted, pulled = brought
    root = working.root
    is_chosen = options.selector()
    todo = plan(root, tracking, wanted, is_chosen, store.threads, force=options.force)
    todo.require_no_conflicts(root)
    before = working.state() if working.is_checkout() else None
    layer = Layer(store, options.link, progress, before.link if before else COPY)
    alone = tensors_of(store, wanted)
    remember_checkout(store, root, found.id)
    _lay_again(root, todo, wanted, is_chosen, alone)
    progress.begin("checking out", sum(entry.size for entry in todo.write.values()))
    laid = _update(layer, working, todo, alone, force=options.force)
    with Staging(working.folder) as staging, Spool(staging.unnamed_file) as spool:
        records = Records(spool)
        folders = OpenFolders(records)
        for path, entry in folders.see_all(wanted.items(), is_chosen):
            if entry.kind is not Kind.DIRECTORY:
                folders.learn(path, laid.get(path) or todo.kept(path))
        working.record(_state(store, found, options, layer.mode), records)
    progress.end()
    return CheckedOut(
        pulled,
        root,
        todo.files,
        todo.size,
        layer.mode,
        layer.linked,
        todo.kept_paths,
        len(todo.remove),
        f"{before.stub}@{before.snapshot}" if before else "",
    )


def _lay_anew(
    store: ObjectStore,
    brought: Brought,
    directory: Path,
    options: CheckoutOptions,
    progress: Progress,
) -> CheckedOut:
    """Lay a new directory out aside, and give it its name when it is whole."""
    found, wanted, pulled = brought
    layer = Layer(store, options.link, progress)
    alone = tensors_of(store, wanted)
    remember_checkout(store, directory, found.id)
    progress.begin("checking out", pulled.size)
    directory.parent.mkdir(parents=True, exist_ok=True)
    with Staging(directory.parent, prefix=BESIDE) as staging:
        staged = staging.new_path()
        staged.mkdir()
        with Spool(staging.unnamed_file) as spool:
            records = Records(spool)
            folders = OpenFolders(records)
            files = size = 0
            chosen = folders.see_all(wanted.items(), options.selector())
            for path, tracked in layer.lay_all(chosen, staged, alone):
                folders.learn(path, tracked)
                files += tracked.entry.kind is not Kind.DIRECTORY
                size += tracked.entry.size
            WorkingDirectory(staged).record(_state(store, found, options, layer.mode), records)
        os.rename(staged, directory)
    progress.end()
    return CheckedOut(pulled, directory, files, size, layer.mode, layer.linked)


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
        resume(store, working)
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
    return NOTHING_TRACKED


def _check_platform(wanted: Listing) -> None:
    if os.name != "nt":
        return
    for path in wanted:
        for name in path.split("/"):
            reason = why_not_on_windows(name)
            if reason:
                raise UnsafePath(f"{path!r} cannot be laid out here: {name!r} {reason}.", path=path)


def _state(store: ObjectStore, found: Found, options: CheckoutOptions, mode: str) -> CheckoutState:
    return CheckoutState(
        found.stub,
        str(found.id),
        str(store.layout.root.absolute()),
        mode,
        tuple(options.include),
        tuple(options.exclude),
    )


def _lay_again(
    root: Path, todo: Plan, wanted: Listing, is_chosen: Selector, alone: set[str]
) -> None:
    """Plan to replace the links at paths where no link may be any more."""
    for path in alone:
        entry = wanted.get(path)
        kept = todo.kept_at(path) if entry and is_chosen(path, entry.kind) else None
        if kept is None or kept.stamp == NO_STAMP:
            continue
        status = os.lstat(root / path)
        if stat.S_ISLNK(status.st_mode) or status.st_nlink > 1:
            todo.lay_again(path, kept)


def _update(
    layer: Layer, working: WorkingDirectory, todo: Plan, alone: set[str], *, force: bool
) -> dict[str, Tracked]:
    """Bring an existing directory up to the plan, each file replaced in one step.

    All that is new is made ready in the checkout's own folder first, so that what
    can fail fails before anything is touched.
    """
    working.folder.mkdir(exist_ok=True)
    staging = Staging(working.folder)
    try:
        ready = {}
        for path, entry in todo.write.items():
            if entry.kind is not Kind.DIRECTORY:
                ready[path] = staging.new_path()
                layer.lay(entry, str(ready[path]), ready[path].parent, alone=path in alone)
        if not force:
            todo.require_untouched(working.root)
        _remove(working.root, todo.remove, todo.directories())
        laid = {}
        for path, entry in todo.write.items():
            target = f"{working.root}/{path}"
            layer.make_folder(folder_of(entry, target))
            if path in ready:
                os.replace(ready[path], target)
            laid[path] = laid_at(entry, target)
    finally:
        staging.close()
        if not working.is_checkout():
            _remove_if_empty(working.folder)
    return laid


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
