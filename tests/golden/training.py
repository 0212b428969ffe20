"""Digests of the final states of short runs. It runs in one process, or on several ranks under torchrun."""

import hashlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from raygan.pipeline.config import Config, Discriminator, Generator, article, celeba64, smoke
from raygan.pipeline.distributed import DistributedContext
from raygan.pipeline.training import checkpoint
from raygan.pipeline.training.loop import work
from tests.pipeline.small_datasets import write_dataset
from tests.pipeline.training.sessions import PlainSession

PARTS = {
    "generator": "generator",
    "discriminator": "discriminator",
    "average": "average",
    "generator_optimizer": "generator_optimizer",
    "discriminator_optimizer": "discriminator_optimizer",
    "equilibrium": "equilibrium",
}


def smoke_run() -> Config:
    return smoke()


def celeba64_run() -> Config:
    """In fp32, narrow, with its penalty, flips and rates."""
    preset = celeba64()
    return preset.model_copy(
        update={
            "precision": "fp32",
            "images": 192,
            "batch": 16,
            "log_every": 64,
            "generator": preset.generator.model_copy(update={"width": 4}),
            "discriminator": preset.discriminator.model_copy(update={"width": 4}),
            "evaluation": smoke().evaluation,
            "checkpoints": smoke().checkpoints,
        }
    )


def article_run() -> Config:
    """With --balance auto, which follows the discriminator's accuracy."""
    return article().model_copy(
        update={
            "balance": "auto",
            "images": 320,
            "batch": 16,
            "log_every": 64,
            "generator": Generator(width=4, learning_rate=1e-3),
            "discriminator": Discriminator(width=4, learning_rate=1e-3),
            "evaluation": smoke().evaluation,
            "checkpoints": smoke().checkpoints,
        }
    )


def conditional_run() -> Config:
    return smoke().model_copy(update={"attributes": ("Smiling", "Male"), "balance": 1.5, "loss": "hinge"})


RUNS = {"smoke": smoke_run, "celeba64": celeba64_run, "article": article_run, "conditional": conditional_run}


def trained(config: Config, folder: Path, place: DistributedContext) -> dict[str, Any]:
    """What is left of a run: digests of its parts, its last curves and its scores. Only rank 0 knows."""
    size = 64 if config.preset == "celeba64" else 32
    shards = folder / f"shards-{size}-{place.rank}"
    if not shards.exists():
        write_dataset(shards, [40, 41, 30], size=size)
    session = PlainSession(folder / f"run-{place.rank}")
    work(config, str(shards), place, session)
    if not place.leads:
        return {}
    state = torch.load(session.checkpoint(config.images) / checkpoint.STATE, weights_only=True)
    curves = [
        (position, {k: v for k, v in sorted(p.items()) if not k.startswith("speed/")}) for position, p in session.points
    ]
    faces = hashlib.sha256(session.images[-1][1].tobytes()).hexdigest()
    return {name: digest(state[part]) for name, part in PARTS.items()} | {"curves": curves, "faces": faces}


def digest(state: Any) -> str:
    """SHA-256 of all tensors and numbers in it, in the order of their names."""
    found = hashlib.sha256()
    for name, value in sorted(_leaves(state, "")):
        found.update(name.encode())
        found.update(value.contiguous().numpy().tobytes() if isinstance(value, Tensor) else repr(value).encode())
    return found.hexdigest()


def _leaves(value: Any, name: str) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() for leaf in _leaves(inner, f"{name}/{key}")]
    if isinstance(value, list | tuple):
        return [leaf for index, inner in enumerate(value) for leaf in _leaves(inner, f"{name}/{index}")]
    return [(name, value)]


def all_runs() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        return {name: trained(run(), Path(folder) / name, DistributedContext()) for name, run in RUNS.items()}


if __name__ == "__main__":  # under torchrun: one run on all ranks; rank 0 leaves what is left of it in a file
    torch.set_num_threads(1)
    torch.backends.mkldnn.set_flags(False)
    dist.init_process_group("gloo")
    ranks = DistributedContext(dist.get_rank(), dist.get_world_size())
    with tempfile.TemporaryDirectory() as scratch:
        left = trained(smoke(), Path(scratch), ranks)
    if ranks.leads:
        Path(sys.argv[1]).write_text(json.dumps(left))
    dist.destroy_process_group()
