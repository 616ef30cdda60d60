"""Commands that are cut off, and calls that fail, at some of all positions.

At every position, and in every way, it is `python -m tests.crashes`: a quarter of an hour.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.crashes.commands import COMMANDS
from tests.crashes.shim import compiler
from tests.crashes.sweeps import Setting, set_up, sweep

pytestmark = pytest.mark.skipif(compiler() is None, reason="there is no C compiler")

STEP = 16
"""Every so many positions; for a command that makes forty calls, three of them."""


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setting]:
    with set_up(tmp_path_factory.mktemp("sweeps")) as found:
        yield found


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_is_cut_off_loses_nothing(setting: Setting, command: str) -> None:
    swept = sweep(setting, command, ("before", "torn", "ENOSPC"), STEP)

    assert not swept.failures
    assert swept.tried["before"] > 0


def test_the_power_may_go(setting: Setting) -> None:
    swept = sweep(setting, "add", ("power",), 2 * STEP)

    assert not swept.failures
    assert swept.tried["power"] > 0
