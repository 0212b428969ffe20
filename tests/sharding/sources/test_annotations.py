"""Annotation tables are read as they were written, and what is wrong in one is named by its line."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raygan.sharding.errors import UserError
from raygan.sharding.sources.annotations import read_bits, read_numbers

UNHURRIED = settings(deadline=None)
NAMES = st.lists(st.text("abcdefghij0123456789_-", min_size=1, max_size=8), min_size=1, max_size=30, unique=True)


@UNHURRIED
@given(NAMES, st.integers(1, 8), st.booleans(), st.booleans(), st.sampled_from(["\n", "\r\n"]), st.data())
def test_a_table_of_bits_is_read_as_it_was_written(
    names: list[str], width: int, commas: bool, head: bool, newline: str, data: st.DataObject
) -> None:
    rows = {name: data.draw(st.lists(st.sampled_from([-1, 1]), min_size=width, max_size=width)) for name in names}
    columns = [f"Column_{i}" for i in range(width)]
    if commas:
        lines = [",".join(["image_id", *columns]), *(",".join([f"{n}.jpg", *map(str, v)]) for n, v in rows.items())]
    else:
        lines = [str(len(rows))] * head + [" ".join(columns)]
        lines += [f"{n}.jpg " + " ".join(f"{x:2d}" for x in v) + " " * head for n, v in rows.items()]
    table = read_bits(newline.join([*lines, ""]).encode(), "table")
    assert table.columns == tuple(columns)
    assert table.rows == {name.encode(): bytes(x > 0 for x in values) for name, values in rows.items()}
    assert table.doubled == frozenset()


@UNHURRIED
@given(NAMES, st.data())
def test_a_row_of_another_length_is_named_by_its_line(names: list[str], data: st.DataObject) -> None:
    lines = [f"{name}.jpg 1 -1 1" for name in names]
    place = data.draw(st.integers(0, len(names)))
    lines.insert(place, "extra.jpg 1 -1")
    if len(names) == 1 and place == 0:
        return  # with two rows, nobody knows which is the odd one
    with pytest.raises(UserError, match=r"table:\d+: "):
        read_bits("\n".join(["A B C", *lines]).encode(), "table")


@UNHURRIED
@given(st.binary(max_size=300))
def test_any_bytes_give_a_table_or_a_plain_refusal(data: bytes) -> None:
    for read in (read_bits, read_numbers):
        with contextlib.suppress(UserError):
            assert len({len(row) for row in read(data, "table").rows.values()}) <= 1
