"""Run by torchrun in test_adversarial.py: trains on some ranks and leaves rank 0's losses and weights in a file."""

import sys

import torch
import torch.distributed as dist

from raygan.pipeline.config import Config, Discriminator, Generator
from raygan.pipeline.distributed import DistributedContext
from raygan.pipeline.objectives.adversarial.objective import AdversarialObjective

STEPS = 20


def config(batch: int) -> Config:
    return Config(
        batch=batch,
        latent=6,
        generator=Generator(width=4, normalisation="group"),
        discriminator=Discriminator(width=4, normalisation="none", spectral_gain=32),
        r1=0.5,
        balance=1.5,
        augment=("colour", "translation", "cutout"),
        decay="linear",
        images=10_000,
        ema_half_life=50,
    )


def trained(batch: int, place: DistributedContext) -> tuple[dict[str, float], list[torch.Tensor]]:
    """The measures, and all weights after STEPS steps on the same images for every world size."""
    adversaries = AdversarialObjective(config(batch), 32, place)
    images = torch.randint(0, 256, (batch, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    first, count = place.share(batch)
    for step in range(STEPS):
        adversaries.step(images.roll(step, 0)[first : first + count], step * batch)
    weights = [*adversaries.generator.parameters(), *adversaries.discriminator.parameters()]
    return adversaries.measures(), [w.detach() for w in (*weights, *adversaries.average.parameters())]


if __name__ == "__main__":
    dist.init_process_group("gloo")
    place = DistributedContext(dist.get_rank(), dist.get_world_size())
    results = {batch: trained(batch, place) for batch in map(int, sys.argv[2:])}
    if place.leads:
        torch.save(results, sys.argv[1])
    dist.destroy_process_group()
