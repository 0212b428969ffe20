"""A generator whose file imports helper modules of its own, for test_model.py."""

from typing import TYPE_CHECKING

import torch

import tests.pipeline.tracking.networks.blocks
from raygan.pipeline.models import layers

if TYPE_CHECKING:
    from raygan.pipeline.config import Config  # never runs, so a model does not carry it


class Mixer(torch.nn.Module):
    """Latents, float32 [b, latent], to images, float32 [b, 3, 8, 8]."""

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.config: Config | None = None
        self.seed = layers.LatentInput(latent, uniform=False, attributes=0)
        self.block = tests.pipeline.tracking.networks.blocks.Block(self.seed.features)

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        images: torch.Tensor = self.block(self.seed(latents)).unflatten(1, (3, 8, 8))
        return images
