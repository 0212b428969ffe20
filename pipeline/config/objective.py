"""What the settings of every objective have in common, and how a configuration chooses among them.

An objective's settings are a class of their own. The built-in ones are listed in objectives.py; another one is chosen
by its import path, MODULE:CLASS.
"""

from collections.abc import Mapping
from typing import ClassVar

from raygan.pipeline.config.base import Settings


class ObjectiveSettings(Settings):
    """Settings of an objective. A subclass adds its fields and sets what is below.

    `kind` is what a configuration calls it. People write its settings under `prefix` (vae.beta), or beside those of
    the run where the prefix is empty (balance).
    """

    implementation: ClassVar[str]  # MODULE:CLASS of the Objective that these settings are of
    prefix: ClassVar[str] = ""
    fixed: ClassVar[tuple[str, ...]] = ()  # fields, dotted, that a resumed run keeps
    search_space: ClassVar[Mapping[str, str]] = {"generator.learning_rate": "5e-5:1e-3:log"}  # of a search by default

    kind: str

    @property
    def compares_images(self) -> str:
        """The setting that compares the images of a micro-batch with each other, so that it needs two; empty: none."""
        return ""
