"""Draws a CelebA-shaped data set of illustrated faces: the embedded default that needs no download."""

from raygan.sharding.synthetic.attributes import ATTRIBUTES
from raygan.sharding.synthetic.dataset import synthesize

__all__ = ["ATTRIBUTES", "synthesize"]
