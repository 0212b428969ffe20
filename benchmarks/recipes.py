"""What each setting of a preset is worth: the preset as it is, and with one setting changed, trained and scored alike.

    python -m benchmarks.recipes SHARDS OUT [--preset celeba64] [--width 32] [--images 192000] [--seeds 3]
        [--only NAME ...] [--extractor file:PATH] [--count 2000] [--processes 2] [--json]

Each run is one process of one thread, without Ray. OUT keeps its checkpoint and its generated faces (NAME-SEED.npy, and
NAME-SEED.last.npy of the last weights in place of their average), so the same command does only what is missing. The
scores are those of `raygan evaluate` against the training split.
"""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.training import QuietSession
from raygan.pipeline.config import PRESETS, Config, Weights
from raygan.pipeline.data.dataset import DataSet
from raygan.pipeline.distributed import DistributedContext
from raygan.pipeline.training import checkpoint, loop

VARIANTS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "radford": {"preset": "radford"},
    "article": {"preset": "article"},
    "transposed convolutions": {"generator": {"upsampling": "transposed"}},
    "no penalty": {"r1": 0},
    "ten times the penalty": {"r1": 1.0},
    "no flips": {"flip": False},
    "linear decay": {"decay": "linear"},
    "batch norm in D": {"discriminator": {"normalisation": "batch"}, "r1": 0},
    "hinge, spectral gain 32": {"loss": "hinge", "r1": 0, "discriminator": {"spectral_gain": 32}},
    "relativistic": {"loss": "relativistic"},
    "least squares": {"loss": "least-squares"},
    "rates halved": {"rate": 0.5},
    "rates doubled": {"rate": 2.0},
    "two G updates": {"balance": 0.5},
    "two D updates": {"balance": 2.0},
    "DiffAugment": {"augment": ("colour", "translation", "cutout")},
    "fp32": {"precision": "fp32"},
}
KINDS: tuple[Weights, ...] = ("average", "last")  # the last weights are those of the same run without an average


def configured(preset: str, change: dict[str, Any], arguments: argparse.Namespace, seed: int) -> Config:
    change = dict(change)
    values = PRESETS[change.pop("preset", preset)]().model_dump()
    rate = change.pop("rate", 1.0)
    for network in ("generator", "discriminator"):
        values[network] |= change.pop(network, {})
        values[network] |= {"width": arguments.width}
        values[network]["learning_rate"] *= rate
    never = {"every": 10**12}
    values |= {"images": arguments.images, "seed": seed, "checkpoints": values["checkpoints"] | never}
    values |= {"evaluation": values["evaluation"] | never | {"count": 2}, "batch": arguments.batch or values["batch"]}
    return Config.model_validate(values | change)


def file_name(variant: str, seed: int) -> str:
    return f"{variant.replace(',', '').replace(' ', '-')}-{seed}"


def run_one(arguments: argparse.Namespace) -> None:
    """In a process of its own: trains a variant and leaves its faces."""
    config = configured(arguments.preset, VARIANTS[arguments.one], arguments, arguments.seed)
    folder = Path(arguments.out) / file_name(arguments.one, arguments.seed)
    session, start = QuietSession(), time.monotonic()
    loop.train(config, DataSet.open(arguments.shards), DistributedContext(), session)
    assert session.last is not None
    checkpoint.write(folder, session.last)
    draw(arguments, folder)
    report = {"images_per_second": statistics.median(session.throughputs), "seconds": time.monotonic() - start}
    folder.with_suffix(".json").write_text(json.dumps(report))


def draw(arguments: argparse.Namespace, folder: Path) -> None:
    """Leaves the faces of the last weights, then those of their average, which say that the run is done."""
    for weights in reversed(KINDS):
        images = checkpoint.load_sampler(folder, weights=weights).draw(0, arguments.count)
        np.save(faces_file(folder, weights), images.permute(0, 2, 3, 1).numpy())


def faces_file(folder: Path, weights: Weights) -> Path:
    return folder.with_suffix(".npy" if weights == "average" else ".last.npy")


def start(arguments: argparse.Namespace, name: str, seed: int) -> None:
    if (Path(arguments.out) / f"{file_name(name, seed)}.npy").exists():
        return
    command = [sys.executable, "-m", "benchmarks.recipes", *sys.argv[1:], "--one", name, "--seed", str(seed)]
    subprocess.run(command, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"})


def scores(arguments: argparse.Namespace, name: str, weights: Weights) -> Iterator[dict[str, float]]:
    from raygan.pipeline.evaluation.report import evaluate

    for seed in range(arguments.seeds):
        images = str(faces_file(Path(arguments.out) / file_name(name, seed), weights))
        report = evaluate(images, arguments.shards, "train", extractor=arguments.extractor, count=arguments.count)
        yield report.scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shards")
    parser.add_argument("out")
    parser.add_argument("--preset", default="celeba64")
    parser.add_argument("--only", nargs="*", default=list(VARIANTS), metavar="NAME", help=", ".join(VARIANTS))
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--batch", type=int, help="default: the preset's")
    parser.add_argument("--images", type=int, default=192_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--extractor", default="randconv")
    parser.add_argument("--count", type=int, default=2_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        run_one(arguments)
        return
    Path(arguments.out).mkdir(parents=True, exist_ok=True)
    jobs = [(name, seed) for seed in range(arguments.seeds) for name in arguments.only]
    with ThreadPoolExecutor(arguments.processes) as pool:
        list(pool.map(lambda job: start(arguments, *job), jobs))

    print(
        f"{arguments.images:,} images, width {arguments.width}, {arguments.count:,} faces of the average, or the last"
    )
    medians: dict[str, dict[str, float]] = {}
    for name, weights in itertools.product(arguments.only, KINDS):
        found = list(scores(arguments, name, weights))
        row = name if weights == "average" else f"{name}: {weights}"
        medians[row] = {key: statistics.median(values[key] for values in found) for key in found[0]}
        each = "   ".join(f"{key} " + " ".join(f"{values[key]:.4g}" for values in found) for key in found[0])
        print(f"{row:32}{each}")
    if arguments.json:
        print(json.dumps(medians))


if __name__ == "__main__":
    main()
