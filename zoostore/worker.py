"""A second process, for work of which threads would each hold up the other.

Threads take turns at running Python, so for a hundred thousand small files two are slower than
one. A worker has an interpreter of its own. It is started without what this process was started
with: no site, no environment, no program of the user's that would be run once more.
"""

from __future__ import annotations

import contextlib
import io
import os
import struct
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any, NamedTuple, Self, TypeAlias, TypeVar

from zoostore.errors import WorkerEnded

K = TypeVar("K")
T = TypeVar("T")

_PIPE_BYTES = 1 << 20
_LENGTH = struct.Struct(">Q")

_START = """
import pickle, sys
sys.stdin.buffer.read(8)  # how long it is
sys.path[:], sys.dont_write_bytecode, sys.pycache_prefix = pickle.load(sys.stdin.buffer)
from zoostore.worker import serve
serve()
"""

Program: TypeAlias = Callable[[Iterator[Any]], Iterator[object]]
"""What a worker does: it makes results of the orders that come in, each before the next is read."""


class Raised(NamedTuple):
    """What a program gives in place of a result, to have an error raised where it is waited for."""

    error: Exception


def do_pieces(pieces: Iterator[Callable[[], object]]) -> Iterator[object]:
    """The program of most workers: each order is a function, and its result what that returns."""
    for piece in pieces:
        try:
            yield piece()
        except Exception as error:
            yield Raised(error)


class Worker:
    """A process that works for this one. Use as a context; at its end, it is ended.

    Orders and results are pickled: functions are known by their names.

    Args:
        program: makes results of orders; it ends with the first error that it raises.
    """

    def __init__(self, program: Program = do_pieces) -> None:
        # Imported here: most commands do without.
        import subprocess

        self._process = subprocess.Popen(
            [sys.executable, "-IS", "-X", f"utf8={sys.flags.utf8_mode}", "-c", _START],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            # Ctrl-C is for the process that somebody started, which ends this one.
            process_group=0,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        assert isinstance(self._process.stdin, io.FileIO)
        assert isinstance(self._process.stdout, io.FileIO)
        self._orders = io.BufferedWriter(self._process.stdin)
        # Not buffered: the pipe alone tells whether there is another result.
        self._results = self._process.stdout
        _widen(self._results.fileno())
        above = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        path = [*sys.path, above]
        self._send((path, sys.dont_write_bytecode, sys.pycache_prefix))
        self._send(program)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End it, whatever it is at."""
        self._process.kill()
        with contextlib.suppress(OSError):  # what it was not told goes down with it
            self._orders.close()
        self._results.close()
        self._process.wait()

    def begin(self, order: object) -> None:
        """Have it do something.

        It may be given more before the result was taken, as long as all of those that wait are
        fewer than 64 KiB together: it does not read on while it cannot get rid of a result.

        Raises:
            WorkerEnded: it is gone.
        """
        self._send(order)

    def _send(self, what: object) -> None:
        try:
            _write(self._orders, what)
        except OSError:
            while True:  # what it said before it ended, if that is why, or that it ended
                self.result()

    def is_ready(self) -> bool:
        """Whether the result is there, so that it need not be waited for."""
        import select

        try:
            return bool(select.select([self._results], [], [], 0)[0])
        except OSError:  # Windows: nobody can tell
            return True

    def result(self) -> Any:
        """What the first order comes to of which that was not asked yet. Raises what it raised.

        Raises:
            WorkerEnded: it is gone.
        """
        try:
            result = _read(self._results)
        except (EOFError, OSError) as error:
            raise self._ended() from error
        if isinstance(result, Raised):
            raise result.error
        return result

    def _ended(self) -> WorkerEnded:
        self._process.kill()
        code = self._process.wait()
        return WorkerEnded(
            f"A process that was to help with small files ended with {code} before its time; "
            "what was being done was given up.",
            code=code,
        )


def _widen(pipe: int) -> None:
    """Let a pipe hold as much as most results have: it is read three times as fast."""
    with contextlib.suppress(ImportError, AttributeError, OSError):  # Linux only, and not always
        import fcntl

        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def hire(program: Program = do_pieces) -> Worker | None:
    """A worker, where there is a Python to start."""
    if not os.path.basename(sys.executable or "").startswith("python"):
        return None
    return Worker(program)


@contextlib.contextmanager
def hired(*, when: bool) -> Iterator[Worker | None]:
    """A worker for pieces of work, where it is worth one, and where there is a Python to start."""
    worker = hire() if when else None
    with worker or contextlib.nullcontext():
        yield worker


def shared(
    worker: Worker | None, work: Iterable[tuple[K, Callable[[], T]]]
) -> Iterator[tuple[K, T]]:
    """What pieces of work come to, in no order: some are done here, while the worker is at one."""
    theirs: list[K] = []
    for key, piece in work:
        if worker is None:
            yield key, piece()
            continue
        if theirs and worker.is_ready():
            yield theirs.pop(), worker.result()
        if theirs:
            yield key, piece()
        else:
            worker.begin(piece)
            theirs.append(key)
    for key in theirs:
        assert worker is not None
        yield key, worker.result()


def serve() -> None:
    """Be a worker: do what comes in, one order after the other, until no more can come."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    assert isinstance(sys.stdin.buffer, io.BufferedReader)
    orders, results = _arriving(sys.stdin.buffer), sys.stdout.buffer
    sys.stdout = sys.stderr  # what something may print is no result
    with contextlib.suppress(OSError, StopIteration):  # nobody is there any more
        for result in _outcomes(next(orders), orders):
            _write(results, result)


def _arriving(file: io.BufferedReader) -> Iterator[Any]:
    with contextlib.suppress(EOFError):  # that one has ended, or was killed in mid-sentence
        while True:
            yield _read(file)


def _outcomes(program: Program, orders: Iterator[Any]) -> Iterator[object]:
    try:
        yield from program(orders)
    except Exception as error:
        yield Raised(error)


def _write(pipe: IO[bytes] | io.BufferedWriter, value: object) -> None:
    import pickle

    data = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    pipe.write(_LENGTH.pack(len(data)))
    pipe.write(data)
    pipe.flush()


def _read(pipe: io.FileIO | io.BufferedReader) -> Any:
    """The next value, and not a byte more.

    Raises:
        EOFError: there is none, or only the beginning of one.
    """
    import pickle

    (length,) = _LENGTH.unpack(_read_exactly(pipe, _LENGTH.size))
    return pickle.loads(_read_exactly(pipe, length))


def _read_exactly(pipe: io.FileIO | io.BufferedReader, size: int) -> bytearray:
    data = bytearray(size)
    rest = memoryview(data)
    while rest:
        count = pipe.readinto(rest)
        if not count:
            raise EOFError
        rest = rest[count:]
    return data
