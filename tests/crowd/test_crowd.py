"""A crowd of processes of mixed verbs on one store, for a few seconds; `python -m tests.crowd` is
the same for a minute, or as long as one likes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.crowd.crowd import run


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_crowd_leaves_a_store_in_which_all_is_where_it_was_put(tmp_path: Path) -> None:
    result = run(tmp_path, processes=5, seconds=6, seed=3)

    assert not result.wrong
    assert sum(result.done.values()) > 20
