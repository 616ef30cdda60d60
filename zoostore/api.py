"""Store: the whole of zoostore in Python. The command line calls nothing else.

Reads the clock, so that what is below need not.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from zoostore import environment
from zoostore.digest import Oid
from zoostore.files.disk import errors_named
from zoostore.opened import Opened, again_if_swept
from zoostore.progress import Progress, Silent

if TYPE_CHECKING:
    from os import PathLike

    from zoostore.files.globs import Selector
    from zoostore.getting import Getter
    from zoostore.ops.adopt import Adopted
    from zoostore.ops.browse import Contents, LogEntry, ModelFile, Shown
    from zoostore.ops.checkout import CheckedOut
    from zoostore.ops.diff import Diff
    from zoostore.ops.du import Usage
    from zoostore.ops.gc import Collected
    from zoostore.ops.history import Found
    from zoostore.ops.models import Model
    from zoostore.ops.publish import Published
    from zoostore.ops.pulled import Pulled
    from zoostore.ops.recording import Note, Recorded
    from zoostore.ops.repair import Repaired
    from zoostore.ops.search import Search
    from zoostore.ops.status import Status
    from zoostore.ops.verify import Verified
    from zoostore.ops.working import WorkingDirectory
    from zoostore.source_book import SourceBook
    from zoostore.sources.catalog import Listed
    from zoostore.stubs import Stub


class Store:
    """A store of models.

    Nothing is read or written until a method is called. Methods that change something
    make the store if there is none; the others raise `NoStore`.

    Args:
        path: its folder; None: what `ZOOSTORE_HOME` says, else the user's cache folder.
        offline: send nothing; None: what `ZOOSTORE_OFFLINE` or `HF_HUB_OFFLINE` say.
        progress: is told how far long work is.
    """

    def __init__(
        self,
        path: str | PathLike[str] | None = None,
        *,
        offline: bool | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.path = Path(path) if path is not None else environment.home()
        self._offline = offline
        self._progress: Progress = progress or Silent()
        self._opened = Opened(self.path)

    @classmethod
    def of_checkout(
        cls,
        directory: str | PathLike[str] = ".",
        *,
        offline: bool | None = None,
        progress: Progress | None = None,
    ) -> Store:
        """The store that a checkout was made from; the usual one if that is gone.

        Raises:
            NotACheckout: the directory is in no checkout.
        """
        from zoostore.ops.working import WorkingDirectory
        from zoostore.store.layout import is_store

        recorded = Path(WorkingDirectory.containing(Path(directory)).state().store)
        # A folder must not become a store because somebody wrote its path into a checkout.
        path = recorded if is_store(recorded) else None
        return cls(path, offline=offline, progress=progress)

    def __reduce__(self) -> tuple[Any, ...]:
        # Another process opens the store anew; what is told of progress stays behind.
        return functools.partial(Store, offline=self._offline), (self.path,)

    def __repr__(self) -> str:
        return f"Store({str(self.path)!r})"

    # Changing what the store holds

    def add(
        self,
        directory: str | PathLike[str],
        stub: str,
        *,
        message: str = "",
        metadata: Mapping[str, str] | None = None,
        time: int | None = None,
    ) -> Recorded:
        """Import a directory as a new snapshot of a stub.

        Args:
            time: of the snapshot, in seconds since 1970-01-01 UTC; None: now.

        Raises:
            CannotAdd: something in the directory cannot be kept; nothing was added.
            UsageError: it is no directory, or the stub names a revision.
        """
        from zoostore.ops.add import add
        from zoostore.ops.recording import ref_to_write

        _parsed(stub)  # nothing is made for a name that cannot be
        with errors_named():
            store = self._opened.writable()
            note = self._note(message, metadata, time)
            name = ref_to_write(store, stub)
            return again_if_swept(lambda: add(store, Path(directory), name, note, self._progress))

    def commit(
        self,
        directory: str | PathLike[str] = ".",
        *,
        message: str,
        stub: str | None = None,
        metadata: Mapping[str, str] | None = None,
        time: int | None = None,
    ) -> Recorded:
        """Record what changed in a checkout as a child of its snapshot.

        Args:
            stub: a new name for it; None: the name it was checked out by.

        Raises:
            NotACheckout: the directory is in no checkout.
            NothingToCommit: it is the same as its snapshot.
            Diverged: the name has moved on; nothing was committed.
        """
        from zoostore.ops.commit import commit
        from zoostore.ops.recording import ref_to_write
        from zoostore.ops.working import WorkingDirectory

        with errors_named():
            working = WorkingDirectory.containing(Path(directory))
            store = self._opened.writable()
            name = ref_to_write(store, stub) if stub else None
            note = self._note(message, metadata, time)
            stub_here = _parsed(_pinned(working))
            complete = functools.partial(self._getter.complete, store)
            return again_if_swept(
                lambda: self._getter.again_if_healed(
                    [stub_here],
                    lambda: commit(store, working, name, note, complete, self._progress),
                )
            )

    def adopt(
        self, directory: str | PathLike[str], *, stub: str | None = None, relink: bool = False
    ) -> Adopted:
        """Import what another tool keeps: the cache of the Hugging Face Hub, of SparseZoo, of
        Ollama, or any folder of weights. Nothing is copied where the file system makes links.

        The cache stays as it is. To adopt it twice is to adopt it once.

        Args:
            stub: the name of the model, where the folder is one and does not say it.
            relink: make the cache's files links to the store's objects, which saves the space
                that they take twice; files that a hard link replaces become read-only.

        Raises:
            UsageError: it is no directory, or holds the store, or is in it; or the stub makes no
                sense.
        """
        from zoostore.caches.detect import read_cache
        from zoostore.ops.adopt import adopt
        from zoostore.ops.known_caches import remember_cache

        with errors_named():
            store = self._opened.writable()
            store.layout.require_apart(Path(directory))
            cache = read_cache(Path(directory), stub=stub)
            now = int(time.time())
            remember_cache(store.layout, Path(directory), stub)
            return again_if_swept(
                lambda: adopt(store, cache, now, self._progress, replace_by_links=relink)
            )

    def pull(
        self,
        stub: str,
        *,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        force: bool = False,
        dry_run: bool = False,
    ) -> Pulled:
        """Bring a model here from a remote or the built-in zoo, moving only what is not here.

        Args:
            include, exclude: globs as in .gitignore; what they leave out stays where it is.
            force: follow the source even where the model was changed here.
            dry_run: only say what would be moved.

        Raises:
            UnknownStub, UnknownRevision: no source has it.
            NeededNetwork: offline, and it is not here.
            Diverged: it was changed here, and the source's does not follow that.
        """
        from zoostore.files.globs import selector
        from zoostore.ops.pull import plan_pull, pull
        from zoostore.ops.pulled import Pulled

        parsed = _parsed(stub)
        selector(include, exclude)  # what cannot be read is refused before anything is made
        if dry_run and not self._opened.exists():
            plan = functools.partial(Store.pull, stub=stub, include=include, exclude=exclude)
            return self._planned_without_store(plan)
        with errors_named():
            chosen = selector(include, [*exclude, *self._getter.left_out(parsed)])
            store = self._opened.for_reading()
            with self._book.sources(parsed) as sources:
                if dry_run:
                    todo = plan_pull(store, sources, parsed, chosen, self._progress)
                    return todo if isinstance(todo, Pulled) else todo.summary()
                store.names.require_writable()
                now = int(time.time())
                return again_if_swept(
                    lambda: pull(store, sources, parsed, chosen, now, self._progress, force=force)
                )

    def pull_url(
        self,
        url: str,
        stub: str,
        *,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        force: bool = False,
        dry_run: bool = False,
    ) -> Pulled:
        """Bring what a plain address leads to here, as a model of this name.

        Args:
            url: `https://…`, perhaps with `#sha256=…` or `#blake3=…` behind it, which the content
                must have then. A `.tar`, `.tar.gz`, `.tgz` or `.zip` is unpacked.
            stub: the name.
            force: even if the name is that of something else; its snapshots stay.
            dry_run: only say what would be moved.

        Raises:
            UsageError: the address or the stub makes no sense, or there are globs.
            NeededNetwork: offline, and it is not here.
            Diverged: the name is taken by what did not come from there.
            WrongContent: what came is not what the address says.
            TransferFailed: it is not to be had.
            UnsafeArchive, MalformedObject: it cannot be unpacked.
        """
        from zoostore.errors import UsageError
        from zoostore.ops.pull import alone
        from zoostore.ops.pull_url import pull_url
        from zoostore.ops.recording import ref_to_write
        from zoostore.sources.url import parse_url

        file = parse_url(url)
        _parsed(stub)
        if include or exclude:
            raise UsageError("Globs choose files of a model, and an address is pulled as a whole.")
        if dry_run and not self._opened.exists():
            return self._planned_without_store(
                functools.partial(Store.pull_url, url=url, stub=stub)
            )
        with errors_named():
            store = self._opened.writable()
            name = ref_to_write(store, stub)
            folder = store.layout.downloads
            start = None if self._book.is_offline else lambda: self._book.start_downloads(folder)
            options = {"force": force, "dry_run": dry_run}
            with alone(store, name, self._progress) as has_waited:
                options["has_waited"] = has_waited
                now = int(time.time())
                return again_if_swept(
                    lambda: pull_url(store, file, name, start, now, self._progress, **options)
                )

    def checkout(
        self,
        stub: str,
        directory: str | PathLike[str] | None = None,
        *,
        link: str | None = None,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        force: bool = False,
        verify: bool = False,
    ) -> CheckedOut:
        """Lay a snapshot out in a directory, pulling what is missing first.

        Args:
            directory: None: the model's short name, in the current directory.
            link: `auto`, `reflink`, `hardlink`, `symlink` or `copy`; None: an existing
                checkout stays as it is, and a new one is made as configured.
            include, exclude: globs as in .gitignore.
            force: overwrite edited files, and untracked ones that stand in the way.
            verify: read every object again before it is used.

        Raises:
            DirectoryNotEmpty: the directory holds other things than a checkout.
            LocalChanges: something would be lost; nothing was changed.
            DamagedContent: an object is missing or damaged, and no source has it.
            And what `pull` raises.
        """
        from zoostore.ops.checkout import CheckoutOptions, checkout, require_outside_checkouts

        parsed = _parsed(stub)
        with errors_named():
            store = self._opened.for_reading()
            mode = link or self._opened.config().link
            options = CheckoutOptions(mode, tuple(include), tuple(exclude), force, verify)
            options.check()
            options = options._replace(exclude=(*exclude, *self._getter.left_out(parsed)))
            if directory is not None:
                require_outside_checkouts(Path(directory))
            brought = self._getter.bring(store, parsed, options.selector(), verify=options.verify)
            stub = brought.found.stub
            target = Path(directory) if directory is not None else Path(_short_name(stub))
            require_outside_checkouts(target)
            if link is None:
                options = options.as_before(target)
            return checkout(store, brought, target, options, self._progress)

    def tag(self, stub: str, name: str) -> Oid:
        """Give a snapshot an immutable name; the snapshot's id.

        Raises:
            TagExists: the name is taken by another snapshot.
            InvalidName: the name cannot be a tag.
        """
        from zoostore.ops.names import tag
        from zoostore.stubs import check_tag_name

        check_tag_name(name)
        with errors_named():
            store, now = self._opened.writable(), int(time.time())
            return again_if_swept(lambda: tag(store, _parsed(stub), name, now))

    def remove(self, stub: str) -> Oid:
        """Forget a ref and its tags; the snapshot it pointed to. Its objects stay until gc."""
        from zoostore.ops.names import remove
        from zoostore.ops.recording import ref_to_write

        with errors_named():
            store = self._opened.objects()
            return remove(store, ref_to_write(store, stub), int(time.time()))

    # Freeing space

    def gc(
        self,
        *,
        yes: bool = False,
        grace: float | None = None,
        max_size: int | None = None,
        keep_recent: int | None = None,
    ) -> Collected:
        """Find what no name, no checkout and no work in progress needs, and free it if told to.

        Args:
            yes: remove it; without, only say what would go.
            grace: for how many seconds to keep what a name led to before it moved, and what a
                command left that did not end; None: two weeks. What `remove` let go of goes
                at once.
            max_size: let go of pulled models, the longest unused first, until what is kept fits
                so many bytes.
            keep_recent: keep so many snapshots of each model's history, and those with a tag.

        Raises:
            UsageError: a number makes no sense.
            DamagedContent: what a model needs cannot be read; nothing was removed.
            StoreBusy: another process does the same.
        """
        from zoostore.errors import UsageError
        from zoostore.ops.gc import GRACE_SECONDS, Options, gc

        if min(grace or 0, max_size or 0) < 0 or (keep_recent is not None and keep_recent < 1):
            raise UsageError(
                "A size or a time is negative, or not even one snapshot is to be kept."
            )
        options = Options(GRACE_SECONDS if grace is None else grace, max_size, keep_recent)
        with errors_named():
            return gc(self._opened.objects(), options, time.time(), dry_run=not yes)

    # Single files, for those who need no directory

    def bring(self, stub: str, paths: Iterable[str]) -> Pulled:
        """Have some files of a snapshot here, without laying them out.

        Args:
            paths: of files and links, as the snapshot has them.

        Raises: what `checkout` raises.
        """
        with errors_named():
            return self._getter.bring(
                self._opened.for_reading(), _parsed(stub), _only(paths)
            ).pulled

    def materialize(
        self,
        stub: str,
        paths: Iterable[str],
        directory: str | PathLike[str] | None = None,
        *,
        link: str | None = None,
        overwrite: bool = False,
    ) -> Path:
        """Lay some files of a snapshot out where programs can read them; the folder's path.

        Nothing but the files is put there: to work on a model, check it out.

        Args:
            paths: of files and links, as the snapshot has them, and of folders that are empty.
                The files that an ONNX model among them keeps its tensors in come along.
            directory: None: the store's own place for this snapshot.
            link: as for `checkout`; None: in a directory that was named, files of their own
                (reflinks or copies), and in the store's place as configured.
            overwrite: replace what has another content.

        Raises:
            LocalChanges: other files stand in the directory where these go.
            ReadOnlyStore: there is no directory, and the store cannot be written to.
            And what `checkout` raises.
        """
        from zoostore.ops.laying import Layer, tensors_of
        from zoostore.ops.materialize import materialize, place_of
        from zoostore.stubs import Stub

        chosen = set(paths)
        with errors_named():
            store = self._opened.for_reading()
            found, listing, _ = self._getter.bring(store, _parsed(stub), _only(chosen))
            target = None if directory is None else Path(directory)
            if target is None:
                store.names.require_writable()
            place = place_of(store, found.id, target)
            wanted = {path: entry for path, entry in listing.items() if path in chosen}
            tensors = tensors_of(store, wanted) & listing.keys() - chosen
            if tensors:
                self._getter.bring(store, Stub(found.stub, str(found.id)), _only(tensors))
                wanted |= {path: listing[path] for path in tensors}
            layer = Layer(store, link or self._opened.config().link, self._progress)
            self._progress.begin("laying out", sum(entry.size for entry in wanted.values()))
            materialize(
                store,
                found.id,
                wanted,
                place,
                layer,
                overwrite=overwrite,
                own_files=target is not None and link is None,
            )
            self._progress.end()
            return place.root

    def unpack(self, oid: Oid, archive: Path, folder: Path) -> None:
        """Have what an archive holds, that `materialize` laid out, as files in a folder.

        Args:
            oid: the archive's content.

        Raises:
            LocalChanges: other files stand where its files go, and the folder is not the
                store's own place.
            UnsafeArchive, MalformedObject: it cannot be unpacked.
        """
        from zoostore.ops.unpacking import unpack_archive

        with errors_named():
            store = self._opened.objects()
            is_own = archive.is_relative_to(store.layout.checkouts)
            unpack_archive(store, oid, archive, folder, is_own=is_own)

    def place_of(self, snapshot: Oid) -> Path:
        """Where `materialize` lays a snapshot out if it is not told where."""
        return self._opened.layout.checkout(snapshot)

    # Looking

    def locate(self, stub: str) -> tuple[str, Oid]:
        """The full name and the snapshot's id that a stub means, here or else at a source.

        Raises:
            UnknownStub, UnknownRevision: nobody has it.
            NeededNetwork: offline, and it is not here.
        """
        from zoostore.ops.asking import locate

        with errors_named():
            return self._getter.here_or_there(
                _parsed(stub),
                lambda _, found: (found.stub, found.id),
                lambda sources, stub: locate(sources, stub).value,
            )

    def contents(self, stub: str) -> Contents:
        """A snapshot with its files, here or else at a source. Raises what `locate` raises."""
        with errors_named():
            return self._getter.contents(_parsed(stub))

    def url_of(self, stub: str, oid: Oid) -> str | None:
        """Where a file of a model can be fetched; None if no remote that can be asked has it.

        What a zoo keeps in a pack has the pack's address, with the object's id behind a `#`.
        """
        from zoostore.errors import ZooError

        with errors_named(), self._book.sources() as sources:
            for source in sources.usable():
                with contextlib.suppress(ZooError):
                    url = source.url_of(stub, oid)
                    if url:
                        return url
        return None

    def search(self, text: str = "", *, tag: str = "", **facets: str) -> Search:
        """The models here and in the catalogs of the remotes whose names fit.

        Args:
            text: words that stand anywhere in the stub.
            tag: a tag that the model has.
            facets: parts of the stub: `domain`, `sub_domain`, `architecture`,
                `sub_architecture`, `framework`, `repo`, `dataset`, `training_scheme`,
                `sparse_tag`, or of that `sparse_name`, `sparse_category`, `sparse_target`.

        Raises:
            UsageError: a facet is none of these.
        """
        from zoostore.errors import UsageError
        from zoostore.ops.search import Query, search
        from zoostore.stubs import FACETS

        unknown = facets.keys() - set(FACETS)
        if unknown:
            raise UsageError(f"Stubs have no {', '.join(sorted(unknown))}; they have {FACETS}.")
        with errors_named(), self._book.sources() as sources:
            store = self._opened.objects() if self._opened.exists() else None
            return search(store, sources, Query(facets, text.split(), tag))

    def snapshots(self) -> list[Model]:
        """Every model here, with the snapshot it points to."""
        from zoostore.ops.models import models

        with errors_named():
            return models(self._opened.names())

    def snapshot(self, stub: str) -> Shown:
        """What a stub means here. Raises `UnknownStub` or `UnknownRevision`."""
        from zoostore.ops.browse import Shown

        with errors_named():
            found = self._find(stub)
            tags = self._opened.objects().names.tags(found.stub)
            facets = _parsed(found.stub).facets
            return Shown(found.stub, found.id, found.snapshot, tags, facets)

    def files(self, stub: str) -> list[ModelFile]:
        """The files of a snapshot, sorted by path."""
        from zoostore.ops.browse import files

        with errors_named():
            return list(files(self._opened.objects(), self._find(stub)))

    def each_file(self, stub: str) -> Iterator[ModelFile]:
        """The same, one after the other, for who does not want all in memory."""
        from zoostore.ops.browse import files

        with errors_named():
            yield from files(self._opened.objects(), self._find(stub))

    def log(self, stub: str) -> list[LogEntry]:
        """A snapshot and its history, the newest first."""
        from zoostore.ops.browse import log

        with errors_named():
            return list(log(self._opened.objects(), self._find(stub)))

    def open(self, oid: Oid) -> BinaryIO:
        """An object as a binary file.

        Raises:
            MissingObject: it is not here.
            DamagedContent: it is, and is not what its id says.
        """
        with errors_named():
            return self._opened.objects().open(oid)

    def has(self, oid: Oid) -> bool:
        """Whether an object is here and, as far as its file's stamp can tell, intact."""
        with errors_named():
            return self._opened.exists() and self._opened.objects().has(oid)

    def open_file(self, stub: str, path: str) -> BinaryIO:
        """A file of a snapshot, to be read. Raises `UnknownPath` if it has none of this path."""
        from zoostore.ops.browse import entry_at

        with errors_named():
            store = self._opened.objects()
            found, entry = self._getter.again_if_healed(
                [_parsed(stub)],
                lambda: (found := self._find(stub), entry_at(store, found, path)),
            )
            self._getter.complete(store, found, {path: entry})
            return store.open(entry.oid)

    def status(self, directory: str | PathLike[str] = ".") -> Status:
        """What in a checkout differs from its snapshot."""
        from zoostore.ops.status import status
        from zoostore.ops.working import WorkingDirectory

        with errors_named():
            return status(self._opened.objects(), WorkingDirectory.containing(Path(directory)))

    def diff(self, before: str | PathLike[str], after: str | PathLike[str] | None = None) -> Diff:
        """What must be done to the first to get the second.

        Args:
            before, after: a text is a stub, a path a directory. If there is no `after`, a
                stub is compared with the checkout that the current directory is in, and a
                checkout with what is in it now.
        """
        from zoostore.ops.diff import diff, directory_listing
        from zoostore.ops.working import WorkingDirectory

        with errors_named():
            if after is None and isinstance(before, str):
                after = WorkingDirectory.containing(Path.cwd()).root
            elif after is None:
                working = WorkingDirectory.containing(Path(before))
                before, after = _pinned(working), working.root
            first, second = (
                self._getter.contents(_parsed(side)).listing
                if isinstance(side, str)
                else directory_listing(self._opened.objects, Path(side))
                for side in (before, after)
            )
            return diff(first, second)

    def du(self, stubs: Iterable[str] = ()) -> Usage:
        """What models take, what they share, and what removing one would free."""
        from zoostore.ops.du import du

        with errors_named():
            names = [self._find(stub).stub for stub in stubs]
            return du(self._opened.objects(), names, time.time())

    def verify(self, stubs: Iterable[str] = (), *, threads: int | None = None) -> Verified:
        """Read everything again, or what some models need, and say what is damaged or missing.

        Nothing is changed but what the index believes: what was found damaged is looked at again
        before it is used, and so replaced.

        Args:
            threads: how many files are read at a time; None: as suits the disk, eight at most.

        Raises:
            UsageError: that many threads make no sense.
        """
        from zoostore.errors import UsageError
        from zoostore.ops.verify import verify

        if threads is not None and threads < 1:
            raise UsageError("verify needs at least one thread.")
        with errors_named():
            names = [self._model(stub) for stub in stubs]
            return verify(self._opened.objects(), names, self._progress, threads)

    def repair(
        self, stubs: Iterable[str] = (), *, drop: bool = False, dry_run: bool = False
    ) -> Repaired:
        """Verify, set aside what is damaged, and get it back from whoever has it.

        Looked for is it in the store itself, in checkouts and adopted caches, at the remotes and
        the built-in zoo, and where a model came from. Nothing that might be good is removed.

        Args:
            stubs: repair what these models need; none: everything.
            drop: give up what nobody has. A model that lacks files is in part from then on; of
                one that cannot be read at all, the newest earlier snapshot takes the place.
            dry_run: only say what is damaged.

        Raises:
            ReadOnlyStore: the store cannot be written to.
        """
        from zoostore.ops.repair import repair

        with errors_named():
            store = self._opened.objects()
            names = [self._model(stub) for stub in stubs]
            return repair(
                store,
                names,
                lambda name: self._book.sources(_parsed(name)),
                int(time.time()),
                self._progress,
                drop=drop,
                dry_run=dry_run,
            )

    def _model(self, stub: str) -> str:
        """The full name of a model here, though its snapshots may be damaged."""
        from zoostore.ops.history import ref_name

        return ref_name(self._opened.objects(), _parsed(stub)) or self._find(stub).stub

    # Publishing, and remotes

    def publish(
        self, stubs: Iterable[str], directory: str | PathLike[str], *, name: str = ""
    ) -> Published:
        """Write models, each with its tags, as a zoo that any static web server can hold.

        Raises:
            DirectoryNotEmpty: the directory holds other things than a zoo.
            DamagedContent: an object is missing or damaged; the zoo is as it was.
        """
        from zoostore.objects.walking import flatten
        from zoostore.ops.history import Found, find
        from zoostore.ops.publish import publish_models

        with errors_named():
            store, names = self._opened.objects(), [_parsed(stub) for stub in stubs]

            def publish() -> Published:
                found = [find(store, stub) for stub in names]
                for model in found:
                    for oid in {model.id, *store.names.tags(model.stub).values()}:
                        snapshot = store.snapshot(oid)
                        listing = flatten(store.tree, snapshot.tree)
                        self._getter.complete(store, Found(model.stub, oid, snapshot), listing)
                return publish_models(store, found, Path(directory), name, self._progress)

            return self._getter.again_if_healed(names, publish)

    def remotes(self) -> dict[str, str]:
        """The remotes by name, in the order in which they are asked."""
        return {source.name: source.address for source in self._book.zoos()}

    def add_remote(self, name: str, url: str) -> None:
        """Name a published zoo: a URL, or the path of a directory."""
        from zoostore.config import add_remote

        with errors_named():
            add_remote(self._opened.writable().layout.config, name, _absolute(url))

    def remove_remote(self, name: str) -> None:
        """Forget a remote. Raises `UnknownRemote` if there is none of this name."""
        from zoostore.config import remove_remote

        with errors_named():
            remove_remote(self._opened.objects().layout.config, name)

    def catalog(self, remote: str) -> list[Listed]:
        """What a remote, or the built-in zoo, has to pull.

        Raises:
            UnknownRemote: there is none of this name.
            NeededNetwork: offline, and it is not on a disk here.
        """
        from zoostore.errors import NeededNetwork, UnknownRemote

        with errors_named():
            for zoo in self._book.zoos():
                if zoo.name == remote:
                    if zoo.needs_network and self._book.is_offline:
                        raise NeededNetwork(f"The remote {remote} was not asked: offline.")
                    with contextlib.closing(zoo):
                        return list(zoo.catalog.values())
        raise UnknownRemote(f"There is no remote {remote!r}.", name=remote)

    @property
    def absent_alternates(self) -> tuple[str, ...]:
        """Why alternates could not be looked in, as far as any was needed."""
        return self._opened.absent_alternates

    # What stands behind it

    @functools.cached_property
    def _book(self) -> SourceBook:
        from zoostore.source_book import SourceBook

        return SourceBook(self._opened, self._progress, offline=self._offline)

    @functools.cached_property
    def _getter(self) -> Getter:
        from zoostore.getting import Getter

        return Getter(self._opened, self._book, self._progress)

    def _find(self, stub: str) -> Found:
        from zoostore.ops.history import find

        return find(self._opened.objects(), _parsed(stub))

    def _planned_without_store(self, plan: Callable[..., Pulled]) -> Pulled:
        """What a pull into a store that is not there yet would bring."""
        import tempfile

        with tempfile.TemporaryDirectory() as scratch:
            empty = Store(Path(scratch) / "store", offline=self._offline)
            empty._opened.writable()
            return plan(empty, dry_run=True)

    @staticmethod
    def _note(message: str, metadata: Mapping[str, str] | None, moment: int | None) -> Note:
        from zoostore.ops.recording import Note

        return Note(int(time.time()) if moment is None else moment, message, dict(metadata or {}))


def _parsed(text: str) -> Stub:
    from zoostore.stubs import parse_stub

    return parse_stub(text)


def _only(paths: Iterable[str]) -> Selector:
    chosen = frozenset(paths)
    return lambda path, kind: path in chosen


def _pinned(working: WorkingDirectory) -> str:
    state = working.state()
    return f"{state.stub}@{state.snapshot}"


def _short_name(stub: str) -> str:
    return _parsed(stub).short_name


def _absolute(url: str) -> str:
    return url if "://" in url or not url else str(Path(url).absolute())
