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

from raygan.pipeline.config import Config, article, celeba64, smoke
from raygan.pipeline.data.dataset import DataSet
from raygan.pipeline.distributed import DistributedContext
from raygan.pipeline.training import checkpoint, loop
from tests.pipeline.small_datasets import write_dataset
from tests.pipeline.training.sessions import PlainSession

PARTS = (
    "generator",
    "discriminator",
    "average",
    "generator_optimizer",
    "discriminator_optimizer",
    "equilibrium",
)

NARROW = {"width": 4, "learning_rate": 1e-3}
SHORT = {"batch": 16, "log_every": 64} | {
    name: value for name, value in smoke().dotted().items() if name.startswith(("evaluation.", "checkpoints."))
}


def smoke_run() -> Config:
    return smoke()


def celeba64_run() -> Config:
    """In fp32, narrow, with its penalty, flips and rates."""
    return celeba64().with_settings(
        SHORT | {"precision": "fp32", "images": 192, "generator.width": 4, "discriminator.width": 4}
    )


def article_run() -> Config:
    """With `balance` auto, which follows the discriminator's accuracy."""
    networks = {f"{name}.{field}": value for name in ("generator", "discriminator") for field, value in NARROW.items()}
    return article().with_settings(SHORT | networks | {"balance": "auto", "images": 320})


def conditional_run() -> Config:
    return smoke().with_settings({"attributes": ("Smiling", "Male"), "balance": 1.5, "loss": "hinge"})


RUNS = {"smoke": smoke_run, "celeba64": celeba64_run, "article": article_run, "conditional": conditional_run}


def trained(config: Config, folder: Path, context: DistributedContext) -> dict[str, Any]:
    """Digests of the parts of a run's final state and of its last images, and its curves; on rank 0 only."""
    size = 64 if config.preset == "celeba64" else 32
    shards = folder / f"shards-{size}-{context.rank}"
    if not shards.exists():
        write_dataset(shards, [40, 41, 30], size=size)
    session = PlainSession(folder / f"run-{context.rank}")
    loop.train(config, DataSet.open(str(shards)), context, session)
    if not context.is_main:
        return {}
    state = torch.load(session.checkpoint(config.images) / checkpoint.STATE, weights_only=True)
    curves = [
        (position, {k: v for k, v in sorted(p.items()) if not k.startswith("speed/")}) for position, p in session.points
    ]
    faces = hashlib.sha256(session.images[-1][1].tobytes()).hexdigest()
    return {name: digest(state[name]) for name in PARTS} | {"curves": curves, "faces": faces}


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


if __name__ == "__main__":  # under torchrun: one run on all ranks; rank 0 writes its results to a file
    torch.set_num_threads(1)
    torch.backends.mkldnn.set_flags(False)
    dist.init_process_group("gloo")
    ranks = DistributedContext(dist.get_rank(), dist.get_world_size())
    with tempfile.TemporaryDirectory() as scratch:
        results = trained(smoke(), Path(scratch), ranks)
    if ranks.is_main:
        Path(sys.argv[1]).write_text(json.dumps(results))
    dist.destroy_process_group()
