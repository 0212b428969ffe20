"""The hash that every order, flip and latent is drawn from: frozen, because NumPy's own generators may change.

splitmix64 is from Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014, figure 16;
its output for 0, 1, 2, ... times GAMMA is the published stream of a generator seeded with 0.
"""

import numpy as np
from numpy.typing import NDArray

GAMMA = np.uint64(0x9E3779B97F4A7C15)
_M1 = np.uint64(0xBF58476D1CE4E5B9)
_M2 = np.uint64(0x94D049BB133111EB)
_MASK = (1 << 64) - 1


def splitmix64(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Mixes each 64-bit word of `x` (uint64, any shape) into an independent-looking one of the same shape."""
    z = x + GAMMA
    z = (z ^ (z >> np.uint64(30))) * _M1
    z = (z ^ (z >> np.uint64(27))) * _M2
    return z ^ (z >> np.uint64(31))


def key_of(*words: int) -> int:
    """One 64-bit key from whole numbers (a seed, an epoch, a purpose); their order matters."""
    key = np.zeros(1, np.uint64)
    for word in words:
        key = splitmix64(key ^ np.uint64(word & _MASK))
    return int(key[0])


def hashes(key: int, first: int, count: int) -> NDArray[np.uint64]:
    """The keyed hashes of the counters first, ..., first + count - 1, as uint64 [count]."""
    counters = np.arange(first, first + count, dtype=np.uint64)
    return splitmix64(splitmix64(counters) ^ np.uint64(key & _MASK))


def permutation(key: int, count: int) -> NDArray[np.int64]:
    """A permutation of range(count) that depends on nothing but `key` and `count`, as int64 [count].

    The hash of a key is one-to-one, so no two counters are equal and any sort gives the same order.
    """
    return np.argsort(hashes(key, 0, count))
