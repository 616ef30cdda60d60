"""What is missing: a mapping and a set of what is left, in less memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoostore import reread
from zoostore.digest import Oid, hash_bytes
from zoostore.errors import MalformedObject
from zoostore.files import spool
from zoostore.objects.tree import Entry, Kind
from zoostore.ops.missing import Missing

NUMBERS = st.integers(0, 40)


def oid(number: int) -> Oid:
    return hash_bytes(b"%d" % number)


def listing_of(numbers: list[int]) -> dict[str, Entry]:
    return {
        f"f{at}": Entry(Kind.FILE, number * 1000, oid(number)) for at, number in enumerate(numbers)
    }


@pytest.mark.parametrize("few", [0, 10_000])
@given(numbers=st.lists(NUMBERS), here=st.sets(NUMBERS), data=st.data())
def test_what_is_left_is_what_did_not_come(
    few: int, numbers: list[int], here: set[int], data: st.DataObject
) -> None:
    wanted = [number for number in numbers if number not in here]
    listing = listing_of(numbers)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reread, "FEW", few)
        patch.setattr(spool, "_IN_MEMORY", 1 + few * 1000)
        missing = Missing(listing, ((oid(number), number * 1000) for number in wanted))
        left = set(wanted)
        assert (missing.count, missing.size) == (len(left), sum(left) * 1000)
        for number in data.draw(st.permutations(sorted(left))) if left else ():
            assert {each for _, each, _ in missing.items()} == set(map(oid, left))
            assert all(listing[path].oid == each for path, each, _ in missing.items())
            assert missing.size_of(oid(number)) == number * 1000
            assert missing.size_left == sum(left) * 1000
            assert missing.sizes() == {other * 1000 for other in left}
            assert oid(number) in missing
            missing.came(oid(number))
            left.discard(number)
            assert oid(number) not in missing
            assert len(missing) == len(left)
        assert not missing
        assert sorted(size for _, size in missing.named()) == sorted(
            number * 1000 for number in set(wanted)
        )


def test_what_did_not_come_is_iterated_while_others_come() -> None:
    missing = Missing(listing_of(list(range(50))), ((oid(n), n * 1000) for n in range(50)))

    seen = []
    for each in missing:
        seen.append(each)
        missing.came(each)
        if len(seen) == 1:
            missing.came(oid(49))

    assert seen == [oid(number) for number in range(49)]
    with pytest.raises(KeyError):
        missing.came(oid(3))
    with pytest.raises(KeyError):
        missing.size_of(oid(99))


def test_a_content_of_two_sizes_is_refused() -> None:
    with pytest.raises(MalformedObject, match="two different sizes"):
        Missing({}, [(oid(1), 5), (oid(2), 5), (oid(1), 6)])
