"""Settings of the adversarial objective: a discriminator, its loss, and how often each network is updated."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from raygan.pipeline.config.base import AtCommas
from raygan.pipeline.config.models import Discriminator
from raygan.pipeline.config.objective import ObjectiveSettings

Augmentation = Literal["colour", "translation", "cutout"]


class Adversarial(ObjectiveSettings):
    """A generator trained against a discriminator."""

    implementation: ClassVar[str] = "raygan.pipeline.objectives.adversarial.objective:AdversarialObjective"
    fixed: ClassVar[tuple[str, ...]] = (
        "loss",
        "discriminator.width",
        "discriminator.normalisation",
        "discriminator.spectral_gain",
    )
    search_space: ClassVar[Mapping[str, str]] = {
        "discriminator.learning_rate": "5e-5:1e-3:log",
        "generator.learning_rate": "5e-5:1e-3:log",
        "balance": "0.5:5:log",
    }

    kind: Literal["adversarial"] = "adversarial"
    discriminator: Discriminator = Discriminator()
    loss: Literal["bce", "hinge", "least-squares", "relativistic", "wasserstein", "mmd"] = Field(
        "bce", description="bce: the article's, real = 1, fake = 0, non-saturating; mmd: repulsive and bounded."
    )
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="Taken from the label of real images; bce only.")
    balance: Annotated[float, Field(ge=0.05, le=20)] | Literal["auto"] = Field(
        1.0, description="Discriminator updates per generator update; auto: whichever keeps the target."
    )
    balance_target: float = Field(0.8, gt=0.5, lt=1, description="The discriminator's accuracy that auto keeps.")
    r1: float = Field(0.0, ge=0, description="Weight of the gradient penalty on real images; 0 is off.")
    gradient_penalty: float = Field(
        0.0, ge=0, description="Weight of the penalty on gradients unlike 1 between real images and fakes; 0 is off."
    )
    penalty_every: int = Field(4, ge=1, description="Discriminator updates per penalty (lazy regularisation).")
    augment: Annotated[tuple[Augmentation, ...], AtCommas] = Field(
        (), description="Changes to images before the discriminator sees them (DiffAugment): colour,translation,cutout."
    )

    @property
    def compares_images(self) -> str:
        """The mmd loss does."""
        return "`loss` mmd" if self.loss == "mmd" else ""

    @model_validator(mode="after")
    def _penalties_fit(self) -> "Adversarial":
        for name in ("r1", "gradient_penalty"):
            if not getattr(self, name):
                continue
            if self.discriminator.normalisation == "batch":
                raise ValueError(
                    f"`{name}` is of one image's gradient, which batch normalisation mixes with others': "
                    "set `discriminator.normalisation` none"
                )
            if self.loss == "mmd":
                raise ValueError(f"`{name}` is not defined for `loss` mmd: use `discriminator.spectral_gain`")
        return self

    @model_validator(mode="after")
    def _only_where_it_counts(self) -> "Adversarial":
        if self.label_smoothing and self.loss != "bce":
            raise ValueError(f"`label_smoothing` is for `loss` bce, not {self.loss}: leave it out")
        if self.loss == "wasserstein" and not (self.gradient_penalty or self.discriminator.spectral_gain):
            raise ValueError("`loss` wasserstein needs `gradient_penalty` 10 or `discriminator.spectral_gain` 1")
        return self
