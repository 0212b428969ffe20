"""The gather copies what a plain loop would."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from raygan.pipeline.data.gather import gather


@given(
    counts=st.lists(st.integers(1, 20), min_size=1, max_size=5),
    length=st.integers(1, 300),
    gap=st.integers(0, 40),
    picks=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), max_size=40),
)
@settings(max_examples=100, deadline=None)
def test_rows_of_several_strided_arrays_arrive_in_the_order_asked_for(
    counts: list[int], length: int, gap: int, picks: list[tuple[int, int]]
) -> None:
    random = np.random.default_rng(0)
    blocks = [random.integers(0, 256, (count, length + gap), np.uint8) for count in counts]
    arrays = [block[:, :length] for block in blocks]
    chosen = [(array % len(arrays), row) for array, row in picks]
    chosen = [(array, row % len(arrays[array])) for array, row in chosen]
    addresses = np.array([arrays[array][row:].ctypes.data for array, row in chosen], np.int64)
    out = np.zeros((len(chosen), length), np.uint8)
    gather(addresses, out)
    for copied, (array, row) in zip(out, chosen, strict=True):
        assert np.array_equal(copied, arrays[array][row])
