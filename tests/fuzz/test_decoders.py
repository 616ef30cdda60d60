"""Every decoder, fed with bytes that are nearly right: a value, or the error that it documents.

`python -m tests.fuzz --examples 20000` does it for as long as one likes.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz import cached, names, objects, pages, store_files
from tests.fuzz.decoder import EXAMPLES, Decoder

with tempfile.TemporaryDirectory() as _made:
    DECODERS: dict[str, Decoder] = {
        **objects.DECODERS,
        **store_files.decoders(Path(_made)),
        **pages.DECODERS,
        **cached.DECODERS,
        **names.DECODERS,
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@pytest.mark.parametrize("name", DECODERS)
def test_a_decoder_takes_what_is_valid_and_what_was_found_before(name: str, folder: Path) -> None:
    decoder = DECODERS[name]
    decoder.decode(decoder.seeds[0], folder)
    for data in (*decoder.seeds, *decoder.found):
        decoder.check(data, folder)


@pytest.mark.parametrize("name", DECODERS)
@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
@given(data=st.data())
def test_a_decoder_gives_a_value_or_the_error_that_it_documents(
    name: str, folder: Path, data: st.DataObject
) -> None:
    decoder = DECODERS[name]

    decoder.check(data.draw(decoder.inputs), folder)
