"""git, and git with large files in git-lfs."""

from __future__ import annotations

from pathlib import Path

from benchmarks.measuring import Command, run
from benchmarks.tools.base import Tool, then_sync

_ENV = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_AUTHOR_NAME": "bench",
    "GIT_AUTHOR_EMAIL": "bench@localhost",
    "GIT_COMMITTER_NAME": "bench",
    "GIT_COMMITTER_EMAIL": "bench@localhost",
}
_SETTINGS = {
    "core.bare": "false",  # or it would refuse a work tree
    "core.fsync": "all",
    "core.fsyncMethod": "fsync",
    "gc.auto": "0",  # it would go on in the background, beside the next tool
}
_ADD = 'git --git-dir="$0" --work-tree=. add -A && git --git-dir="$0" commit -q --allow-empty -m x'
_LARGE = ["*.bin", "*.onnx", "*.safetensors"]


class Git(Tool):
    """git with its own repository elsewhere, so that the source is not copied beforehand."""

    name = "git"
    program = "git"
    durability = "itself: core.fsync=all, core.fsyncMethod=fsync"

    def make(self, place: Path, source: Path) -> None:
        run(_git("init", "-q", "--bare", str(place)))
        for key, value in _SETTINGS.items():
            run(_git(f"--git-dir={place}", "config", key, value))

    def add(self, place: Path, source: Path) -> Command:
        return Command(["sh", "-c", _ADD, str(place)], source, _ENV)

    def checkout(self, place: Path, target: Path) -> Command:
        return _git(f"--git-dir={place}", "worktree", "add", "-q", "-f", "--detach", str(target))

    def status(self, place: Path, laid_out: Path) -> Command:
        return _git("-C", str(laid_out), "status", "--porcelain")

    def verify(self, place: Path) -> Command | None:
        return _git(f"--git-dir={place}", "fsck", "--full", "--no-progress")

    def listing(self, place: Path) -> Command:
        return _git(f"--git-dir={place}", "branch")


class GitLfs(Git):
    """git with the weights, by their suffixes, in git-lfs."""

    name = "git-lfs"
    program = "git-lfs"
    durability = "core.fsync=all for git's own; sync for git-lfs, which does not fsync"

    def make(self, place: Path, source: Path) -> None:
        super().make(place, source)
        run(_git(f"--git-dir={place}", "lfs", "install", "--local"))
        lines = [f"{glob} filter=lfs diff=lfs merge=lfs -text\n" for glob in _LARGE]
        (place / "info" / "attributes").write_text("".join(lines))

    def add(self, place: Path, source: Path) -> Command:
        return then_sync(super().add(place, source), place)

    def verify(self, place: Path) -> Command:
        return _git(f"--git-dir={place}", "lfs", "fsck")


def _git(*arguments: str) -> Command:
    return Command(["git", *arguments], env=_ENV)
