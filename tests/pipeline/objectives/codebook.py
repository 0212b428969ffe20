"""An objective that no file of the product knows: one learned vector per image, which the generator turns into it.

Generative latent optimisation: Bojanowski et al., arXiv 1707.05776. An image finds its vector by the sum of its pixels.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from raygan.pipeline.config import Config, ObjectiveSettings
from raygan.pipeline.distributed import DistributedContext
from raygan.pipeline.models.ema import averaged
from raygan.pipeline.objectives.generator import GeneratorObjective, adam, new_generator, set_adam
from raygan.pipeline.objectives.metrics import MetricMeans
from raygan.pipeline.objectives.schedule import learning_rate_factor


class Codebook(ObjectiveSettings):
    implementation: ClassVar[str] = "tests.pipeline.objectives.codebook:CodebookObjective"
    prefix: ClassVar[str] = "codebook"
    kind: str = "tests.pipeline.objectives.codebook:Codebook"
    vectors: int = 64


class CodebookObjective(GeneratorObjective):
    def __init__(self, config: Config, size: int, context: DistributedContext, rows: Tensor | None = None) -> None:
        super().__init__(config, size, context, rows)
        torch.manual_seed(config.seed)
        self.generator = new_generator(config, size, context.device, rows)
        self.average = averaged(self.generator, config.batch, config.ema_half_life)
        self.means = MetricMeans(["loss/reconstruction"], context.device)
        self.vectors = nn.Embedding(config.dotted()["codebook.vectors"], config.latent)
        self.decoder = nn.Sequential(self.vectors, self.generator)
        self.optimizer = adam(self.decoder, config.generator)
        self._decode = context.averaging_gradients(self.decoder)

    def step(self, images: Tensor, position: int, attributes: Tensor | None = None) -> None:
        self.set_learning_rates(position)
        self.optimizer.zero_grad()
        numbers = images.long().sum((1, 2, 3)) % self.vectors.num_embeddings
        loss = (self._decode(numbers) - (images.float() / 127.5 - 1)).square().mean()
        (loss * len(images) * self.context.world_size / self.config.batch).backward()
        self.optimizer.step()
        self.average.update_parameters(self.generator)
        self.means.add("loss/reconstruction", loss, len(images))

    def set_learning_rates(self, position: int) -> None:
        set_adam(self.optimizer, self.config.generator, learning_rate_factor(self.config, position))

    def parts(self) -> dict[str, Any]:
        own = {"vectors": self.vectors, "optimizer": self.optimizer}
        return {"generator": self.generator, "average": self.average, **own}
