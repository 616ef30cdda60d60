"""What a tool that keeps files is asked for in a benchmark."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from benchmarks.measuring import Command

_VERSION = re.compile(r"(?<![\w.])\d+(?:\.\d+)*")
_VERSION_SECONDS = 30


class Tool:
    """A tool beside which zoostore is measured, or zoostore itself.

    A tool keeps what it is given at a place, an empty folder of its own. A verb that it does
    not have gives None.

    Attributes:
        name: what it is called in the tables, with how it was set up.
        program: what must be on the PATH.
        durability: what makes that which was added survive a power cut.
        version_argument: what makes it say its version.
        skips: why it is absent from rows where one would look for it, by verb.
    """

    name: str
    program: str
    durability: str
    version_argument = "--version"
    skips: dict[str, str] = {}  # noqa: RUF012 - set by classes, and only read

    def version(self) -> str | None:
        """Its version; None if it is not installed."""
        if shutil.which(self.program) is None:
            return None
        done = subprocess.run(
            [self.program, self.version_argument],
            capture_output=True,
            text=True,
            timeout=_VERSION_SECONDS,
            check=False,
        )
        found = _VERSION.search(done.stdout + done.stderr)
        return found[0] if found else "unknown"

    def start(self) -> Command | None:
        """Start, say the version, and end."""
        return Command([self.program, self.version_argument])

    def make(self, place: Path, source: Path) -> None:
        """Get a place ready to take a source in."""

    def add(self, place: Path, source: Path) -> Command | None:
        """Take a folder in, durably."""
        return None

    def add_again(self, place: Path, source: Path) -> Command | None:
        """Take in what is there already."""
        return self.add(place, source)

    def adopt(self, place: Path, source: Path) -> Command | None:
        """Take a folder in by link, without copying."""
        return None

    def checkout(self, place: Path, target: Path) -> Command | None:
        """Lay out what was added, in a folder that does not exist."""
        return None

    def laid_out(self, place: Path, source: Path, target: Path) -> Path:
        """The folder that `checkout` lays the files of a source out in."""
        return target

    def status(self, place: Path, laid_out: Path) -> Command | None:
        """Say whether what was laid out is unchanged."""
        return None

    def verify(self, place: Path) -> Command | None:
        """Read everything that was added, and compare it with its hashes."""
        return None

    def listing(self, place: Path) -> Command | None:
        """List what there is."""
        return None


def then_sync(command: Command, folder: Path) -> Command:
    """A command, and then what it wrote made durable, for tools that do not see to it."""
    program = '"$@" && sync -f "$0"'
    return Command(["sh", "-c", program, str(folder), *command.arguments], command.cwd, command.env)
