"""Draws a CelebA-shaped data set of illustrated faces: the embedded default that needs no download."""

from sharding.synthetic.attributes import ATTRIBUTES
from sharding.synthetic.dataset import synthesize

__all__ = ["ATTRIBUTES", "synthesize"]
