"""Run by torchrun in test_adversarial.py: trains on some ranks and leaves rank 0's losses and weights in a file."""

import sys

import torch
import torch.distributed as dist

from raygan.pipeline.config import Adversarial, Config, Discriminator, Generator
from raygan.pipeline.distributed import DistributedContext
from raygan.pipeline.objectives.adversarial.objective import AdversarialObjective

STEPS = 20


def config(batch: int) -> Config:
    discriminator = Discriminator(width=4, normalisation="none", spectral_gain=32)
    augment = ("colour", "translation", "cutout")
    return Config(
        batch=batch,
        objective=Adversarial(discriminator=discriminator, r1=0.5, balance=1.5, augment=augment),
        latent=6,
        generator=Generator(width=4, normalisation="group"),
        decay="linear",
        images=10_000,
        ema_half_life=50,
    )


def trained(batch: int, context: DistributedContext) -> tuple[dict[str, float], list[torch.Tensor]]:
    """The metrics, and all weights after STEPS steps on the same images for every world size."""
    objective = AdversarialObjective(config(batch), 32, context)
    images = torch.randint(0, 256, (batch, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    first, count = context.share(batch)
    for step in range(STEPS):
        objective.step(images.roll(step, 0)[first : first + count], step * batch)
    weights = [*objective.generator.parameters(), *objective.discriminator.parameters()]
    return objective.metrics(), [w.detach() for w in (*weights, *objective.average.parameters())]


if __name__ == "__main__":
    dist.init_process_group("gloo")
    context = DistributedContext(dist.get_rank(), dist.get_world_size())
    results = {batch: trained(batch, context) for batch in map(int, sys.argv[2:])}
    if context.is_main:
        torch.save(results, sys.argv[1])
    dist.destroy_process_group()
