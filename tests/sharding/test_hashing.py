import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from raygan.sharding.hashing import GAMMA, hashes, key_of, permutation, splitmix64


def test_splitmix64_gives_the_published_stream_of_seed_zero() -> None:
    states = np.arange(3, dtype=np.uint64) * GAMMA
    assert [hex(x) for x in splitmix64(states)] == ["0xe220a8397b1dcdaf", "0x6e789e6aa1b965f4", "0x6c45d188009454f"]


def test_keys_and_permutations_are_frozen() -> None:
    assert key_of(1, 2, 3) == 15020427595393229491
    assert permutation(key_of(7), 10).tolist() == [8, 2, 1, 0, 4, 6, 3, 9, 7, 5]


def test_the_order_of_the_words_of_a_key_matters() -> None:
    assert key_of(1, 2) != key_of(2, 1)


@given(st.integers(0, 2**64 - 1), st.integers(0, 500))
def test_a_permutation_holds_every_number_once(key: int, count: int) -> None:
    assert sorted(permutation(key, count).tolist()) == list(range(count))


@given(st.integers(0, 2**64 - 1), st.integers(0, 1000), st.integers(0, 50), st.integers(0, 50))
def test_hashes_do_not_depend_on_where_a_range_is_cut(key: int, first: int, a: int, b: int) -> None:
    whole = hashes(key, first, a + b)
    assert np.array_equal(whole, np.concatenate([hashes(key, first, a), hashes(key, first + a, b)]))
