"""Images of a trained generator: a pure function of its weights and (seed, purpose, index)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from raygan.pipeline.models.layers import LatentInput
from raygan.pipeline.models.noise import Purpose, latents

BATCH = 256  # images drawn at once


class Sampler:
    """Draws with a network in evaluation mode; the image of an index never depends on the others.

    `network` takes latents, float32 [b, latent], and gives images, float32 [b, 3, size, size] in [-1, 1].
    `arguments`: those its class was made with, for a model registry.
    """

    def __init__(
        self,
        network: nn.Module,
        latent: int,
        device: torch.device,
        seed: int = 0,
        arguments: Mapping[str, Any] | None = None,
    ) -> None:
        self.network, self.latent, self.device, self.seed = network.eval(), latent, device, seed
        self.arguments = dict(arguments or {})
        self.wanted: dict[int, bool] = {}  # attributes of all images, by their index among the generator's

    @torch.no_grad()
    def draw(self, first: int, count: int, purpose: Purpose = Purpose.FACES) -> Tensor:
        """The images of the indices first, ..., first + count - 1, as uint8 [count, 3, size, size] on the CPU."""
        images = []
        for start in range(first, first + count, BATCH):
            noise = latents(self.seed, purpose, start, min(BATCH, first + count - start), self.latent)
            images.append(self._drawn(noise.to(self.device)))
        return torch.cat(images)

    def _drawn(self, noise: Tensor) -> Tensor:
        given: tuple[Tensor, ...] = ()
        if self.wanted:
            latent_input = next(part for part in self.network.modules() if isinstance(part, LatentInput))
            attributes = latent_input.attributes_from(noise)
            for column, has in self.wanted.items():
                attributes[:, column] = has
            given = (attributes,)
        images = self.network(noise, *given)
        return images.add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8).cpu()

    def sheet(self, count: int, columns: int) -> Tensor:
        """The first `count` images in rows, as uint8 [height, width, 3]: always the same latents."""
        return grid(self.draw(0, count), columns)

    @torch.no_grad()
    def interpolation(self, first: int, second: int, steps: int) -> Tensor:
        """`steps` images from one index to another, both included, as uint8 [steps, 3, size, size].

        The latents turn from one to the other at their own length: those on the straight line between them are
        shorter than any that the generator was trained on (White: Sampling Generative Networks, 2016).
        """
        start, end = (latents(self.seed, Purpose.FACES, index, 1, self.latent) for index in (first, second))
        along = torch.linspace(0, 1, steps)[:, None]
        noise = torch.lerp(start, end, along)
        length = torch.lerp(start.norm(), end.norm(), along)
        noise *= length / noise.norm(dim=1, keepdim=True).clamp(min=1e-6)
        return self._drawn(noise.to(self.device))

    def interpolations(self, count: int, steps: int) -> Tensor:
        """Rows of `steps` images, row i from image i to image i + 1, as uint8 [height, width, 3]."""
        return grid(torch.cat([self.interpolation(i, i + 1, steps) for i in range(count)]), steps)


def grid(images: Tensor, columns: int, gap: int = 2) -> Tensor:
    """Lays uint8 [n, 3, h, w] out in rows of `columns` on white, as uint8 [height, width, 3]."""
    count, channels, height, width = images.shape
    rows = -(-count // columns)
    sheet = torch.full((channels, rows * (height + gap) + gap, columns * (width + gap) + gap), 255, dtype=torch.uint8)
    for i, image in enumerate(images):
        top, left = gap + i // columns * (height + gap), gap + i % columns * (width + gap)
        sheet[:, top : top + height, left : left + width] = image
    return sheet.permute(1, 2, 0).contiguous()
