"""Reading one repository in a cache of the Hugging Face Hub: its refs and its snapshots.

    models--org--name/refs/main                      a commit, 40 hex digits
    models--org--name/snapshots/COMMIT/config.json   a link to ../../blobs/ETAG, or a plain file
    models--org--name/blobs/ETAG                     the bytes, or a link to ../../blobs/ab/abc…
    models--org--name/trees/COMMIT.json              all files of the commit (`hub_listing`)

The etag of a large file is its sha256, that of any other its Git blob id.
Source: huggingface_hub 2.4, `file_download.py` and `utils/_shared_blobs.py`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from zoostore.caches.base import CachedFile, CachedModel
from zoostore.caches.gathering import Gathered
from zoostore.caches.hub_blobs import HubBlobs, as_listed
from zoostore.caches.hub_listing import MAX_LISTING_BYTES, decode_listing
from zoostore.caches.places import files_below, read_small
from zoostore.errors import CannotAdd, InvalidStub, MalformedObject, UnsafePath
from zoostore.files.scan import Found
from zoostore.sources.hub_answers import Listed, is_commit
from zoostore.stubs import parse_stub

_BLOBS, _REFS, _SNAPSHOTS, _TREES = "blobs", "refs", "snapshots", "trees"
_MAIN = "main"
_INCOMPLETE = ".incomplete"
_MAX_REF_BYTES = 100


class HubRepository:
    """A repository's folder in a cache.

    Args:
        folder: it, with no link among its parts.
        stub: what it is called.
        within: the folders that its links may lead into.
        problems: gets what is passed over, by path.
    """

    def __init__(
        self, folder: Path, stub: str, within: tuple[Path, ...], problems: dict[str, str]
    ) -> None:
        self._folder = folder
        self._stub = stub
        self._within = within
        self._problems = problems
        blobs = folder / _BLOBS if self._is_folder(_BLOBS) else None
        self._blobs = HubBlobs(blobs, within)

    def models(self) -> list[CachedModel]:
        """Its snapshots that have files, the current one first, the others by commit.

        The current one is what `refs/main` names. If that is not here, it is what the ref that
        was written last names, and without refs the snapshot that was changed last.
        """
        self._note_downloads()
        refs = dict(self._refs())
        commits = list(self._commits())
        current = self._current(refs, commits) if commits else ""
        names: dict[str, list[str]] = {commit: [] for commit in commits}
        for ref in sorted(refs.keys() - {_MAIN}):
            names.get(refs[ref], []).append(ref)
        models = [
            self._model(commit, is_current=commit == current, names=tuple(names[commit]))
            for commit in sorted(commits, key=lambda commit: (commit != current, commit))
        ]
        return [model for model in models if model.files]

    def _refs(self) -> Iterator[tuple[str, str]]:
        for found in self._files_below(_REFS):
            path = self._folder / _REFS / found.path
            try:
                text = read_small(path, self._within, _MAX_REF_BYTES)
                commit = text.decode("ascii", "replace").strip()
                parse_stub(f"{self._stub}@{found.path}")
            except CannotAdd as error:
                self._note(path, error.message)
                continue
            except InvalidStub:
                self._note(path, "Its name cannot be one of a revision.")
                continue
            if is_commit(commit):
                yield found.path, commit
            else:
                self._note(path, "It holds no commit.")

    def _commits(self) -> Iterator[str]:
        folder = self._folder / _SNAPSHOTS
        for name in self._names(_SNAPSHOTS):
            is_folder = stat.S_ISDIR(os.lstat(folder / name).st_mode)
            if is_folder and is_commit(name):
                yield name
            else:
                what = "Its name is no commit." if is_folder else "It is no folder of a snapshot."
                self._note(folder / name, what)

    def _current(self, refs: Mapping[str, str], commits: list[str]) -> str:
        if refs.get(_MAIN) in commits:
            return refs[_MAIN]
        here = [ref for ref, commit in refs.items() if commit in commits]
        if here:
            return refs[max(here, key=lambda ref: self._changed(_REFS, ref))]
        return max(commits, key=lambda commit: self._changed(_SNAPSHOTS, commit))

    def _changed(self, folder: str, name: str) -> tuple[int, str]:
        return os.lstat(self._folder / folder / name).st_mtime_ns, name

    def _model(self, commit: str, *, is_current: bool, names: tuple[str, ...]) -> CachedModel:
        listing = self._listing(commit)
        gathered = Gathered()
        snapshot = self._folder / _SNAPSHOTS / commit
        for found in self._files_below(f"{_SNAPSHOTS}/{commit}"):
            try:
                gathered.add(found.path, self._file(snapshot, found, listing))
            except (CannotAdd, UnsafePath) as error:
                self._note(snapshot / found.path, error.message)
        files = gathered.files
        left_out = None if listing is None else len(listing.keys() - files.keys())
        return CachedModel(self._stub, commit, files, left_out, is_current, names)

    def _listing(self, commit: str) -> Mapping[str, Listed] | None:
        path = self._folder / _TREES / f"{commit}.json"
        if not os.path.lexists(path):
            return None
        try:
            return decode_listing(read_small(path, self._within, MAX_LISTING_BYTES))
        except (CannotAdd, MalformedObject) as error:
            self._note(path, error.message)
            return None

    def _file(
        self, snapshot: Path, found: Found, listing: Mapping[str, Listed] | None
    ) -> CachedFile:
        if listing is None:
            return self._blobs.find(snapshot, found)
        if found.path not in listing:
            raise CannotAdd("The commit has no such file.", path=found.path)
        return as_listed(self._blobs.find(snapshot, found), listing[found.path])

    def _note_downloads(self) -> None:
        for name in self._names(_BLOBS):
            if name.endswith(_INCOMPLETE):
                self._note(self._folder / _BLOBS / name, "It is a download that did not end.")

    def _files_below(self, name: str) -> Iterator[Found]:
        return (
            files_below(self._folder / name, self._problems) if self._is_folder(name) else iter(())
        )

    def _names(self, name: str) -> list[str]:
        try:
            return sorted(os.listdir(self._folder / name)) if self._is_folder(name) else []
        except OSError as error:
            self._note(self._folder / name, f"It cannot be read: {error.strerror}.")
            return []

    def _is_folder(self, name: str) -> bool:
        folder = self._folder / name
        if not os.path.lexists(folder):
            return False
        if not stat.S_ISDIR(os.lstat(folder).st_mode):
            self._note(folder, "It is no folder.")
            return False
        return True

    def _note(self, path: Path, why: str) -> None:
        self._problems[str(path)] = why
