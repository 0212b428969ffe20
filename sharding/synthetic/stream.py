"""Random numbers for one face: a short stream from the frozen hash, so that a later NumPy draws the same pictures."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from raygan.sharding.hashing import hashes, key_of

T = TypeVar("T")
_BLOCK = 128


class Stream:
    """A sequence of draws that depends on nothing but the whole numbers that it is made from."""

    def __init__(self, *words: int) -> None:
        self._key = key_of(*words)
        self._taken = 0
        self._block: list[float] = []

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """A number in [low, high)."""
        index = self._taken % _BLOCK
        if index == 0:
            words = hashes(self._key, self._taken, _BLOCK) >> np.uint64(11)
            self._block = (words * 2.0**-53).tolist()
        self._taken += 1
        return low + (high - low) * self._block[index]

    def bell(self, low: float, high: float) -> float:
        """A number in [low, high) that is more often near the middle: the mean of three uniforms."""
        return (self.uniform(low, high) + self.uniform(low, high) + self.uniform(low, high)) / 3

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.uniform() < probability

    def pick(self, options: Sequence[T]) -> T:
        """One of the options, each as often as any other."""
        return options[int(self.uniform(0, len(options)))]

    def weighted(self, options: dict[T, float]) -> T:
        """One of the keys, with a probability in proportion to its weight."""
        point = self.uniform(0, sum(options.values()))
        for option, weight in options.items():
            point -= weight
            if point < 0:
                return option
        return option
