"""Whatever is typed, a command ends with an exit code and words, never with a traceback."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zoostore import Store
from zoostore.cli.main import run
from zoostore.cli.verbs import VERBS

EXIT_CODES = {0, 1, 2, 3, 4, 5, 6, 10, 11}
OPTIONS = ["--json", "-q", "-v", "-m", "--meta", "--link", "--to", "--as", "--include", "--exclude"]
OPTIONS += ["--force", "--verify", "--dry-run", "--exit-code", "--name", "--help", "-x", "--", "-"]
WORDS = ["zoo:a", "a", "zoo:a@v1", "zoo:a@~1", "zoo:none", "hf:x/y", "mlp-512-digits-base"]
WORDS += ["model", "work", "v1", "f", "k=v", "copy", "add", "ls", "rm", "show", "builtin", "bash"]

# Nothing that leads out of the folder it is run in, and nothing that no process can be given.
junk = st.text(
    st.characters(exclude_characters="/~.\0", exclude_categories=["Cs"])
    | st.sampled_from("\udc80\udcff\x1b\n@?~%"),
    max_size=12,
).map(lambda text: text.replace("~", ""))
arguments = st.lists(st.sampled_from(OPTIONS) | st.sampled_from(WORDS) | junk, max_size=5)
commands = st.tuples(
    st.lists(st.sampled_from(["--json", "-q", "--offline", "--no-progress"]), max_size=2),
    st.lists(st.sampled_from([*VERBS, "remote"]) | junk, min_size=1, max_size=1),
    arguments,
)


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder of its own to be in, with a store, a model and a checkout."""
    before, home = os.getcwd(), os.environ["ZOOSTORE_HOME"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "model").mkdir()
        (folder / "model/f").write_bytes(b"f")
        os.environ |= {"ZOOSTORE_HOME": f"{name}/store", "ZOOSTORE_OFFLINE": "1"}
        os.chdir(folder)
        try:
            store = Store()
            store.add("model", "zoo:a")
            store.tag("zoo:a", "v1")
            store.checkout("zoo:a", "work")
            yield folder
        finally:
            os.chdir(before)
            os.environ["ZOOSTORE_HOME"] = home
            del os.environ["ZOOSTORE_OFFLINE"]


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(commands)
def test_no_arguments_lead_to_a_failure_of_zoostore_itself(
    command: tuple[list[str], list[str], list[str]],
) -> None:
    line = [argument for part in command for argument in part]
    shown, talk = io.BytesIO(), io.BytesIO()
    out = io.TextIOWrapper(shown, "utf-8", write_through=True)
    err = io.TextIOWrapper(talk, "utf-8", errors="backslashreplace", write_through=True)

    with scratch(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(line)
        assert Store().verify().is_clean

    said = shown.getvalue() + talk.getvalue()
    assert code in EXIT_CODES
    assert b"zoostore itself failed" not in said
    assert b"Traceback" not in said or "-v" in line
