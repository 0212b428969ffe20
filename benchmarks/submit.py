"""Seconds from `raygan submit` to the first training step, next to what Ray alone takes for less.

    python -m benchmarks.submit [--rounds 3] [--json]

On a cluster of a head and one node on this machine, three commands in turn:

- bare: `ray job submit` of a script that imports torch, until its first line is on the client's screen;
- Ray Train: the same of a script whose one TorchTrainer worker takes a step of Adam, until it has (torch
  imports its compiler for the first optimizer);
- raygan: `raygan submit -- train` with one worker, until rank 0 has written the losses of its first step.

Nothing is kept warm between them but the disk cache and the cluster. The median round of each is compared.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from raygan.sharding.convert import convert
from raygan.sharding.options import ShardingOptions
from raygan.sharding.synthetic import synthesize
from tests.cluster.nodes import BIN, Cluster

BARE = "import torch; print('ready', flush=True)"
TRAIN = """
import sys
from ray.train import ScalingConfig, RunConfig
from ray.train.torch import TorchTrainer

def loop(config):
    import pathlib, torch
    layer = torch.nn.Linear(8, 1)
    optimizer = torch.optim.Adam(layer.parameters())
    layer(torch.ones(4, 8)).sum().backward()
    optimizer.step()
    pathlib.Path(config["done"]).touch()

config, one, run = {"done": sys.argv[1]}, ScalingConfig(num_workers=1), RunConfig(storage_path=sys.argv[2])
TorchTrainer(loop, train_loop_config=config, scaling_config=one, run_config=run).fit()
"""


class Stopwatch:
    """Starts commands of a client of `cluster`, and tells when something has come of them."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self._folder = folder
        self._environment = cluster.environment | {"RAY_ADDRESS": cluster.dashboard, "PYTHONUNBUFFERED": "1"}

    def seconds(self, command: list[str], done: Callable[[str], bool]) -> float:
        """Until `done`, which is given what the command has printed; the command then runs to its end."""
        output = self._folder / "output"
        begin = time.perf_counter()
        with output.open("w") as out:
            process = subprocess.Popen(command, env=self._environment, stdout=out, stderr=out)
        while not done(output.read_text()):
            if process.poll():
                sys.exit(output.read_text())
            time.sleep(0.02)
        seconds = time.perf_counter() - begin
        if process.wait():
            sys.exit(output.read_text())
        return seconds


def bare(watch: Stopwatch, folder: Path, number: int) -> float:
    command = [str(BIN / "ray"), "job", "submit", "--", "python", str(folder / "bare.py")]
    return watch.seconds(command, lambda output: "\nready" in output)


def ray_train(watch: Stopwatch, folder: Path, number: int) -> float:
    done = folder / f"done-{number}"
    command = [str(BIN / "ray"), "job", "submit", "--", "python", str(folder / "train.py"), str(done), str(folder)]
    return watch.seconds(command, lambda output: done.exists())


def raygan(watch: Stopwatch, folder: Path, number: int) -> float:
    name = f"run-{number}"
    settings = ["--preset", "smoke", "--log-every", "16", "--images", "64", "--evaluation.every", "1000000"]
    folders = ["--shards", str(folder / "shards"), "--runs", str(folder / "runs")]
    command = [str(BIN / "raygan"), "submit", "--name", name, "--", "train", *folders, *settings]

    def stepped(output: str) -> bool:
        with suppress(FileNotFoundError):  # delivered meanwhile
            written = (folder / "runs" / name).glob("spool*/records.jsonl")
            return any("loss/" in record.read_text() for record in written)
        return False

    return watch.seconds(command, stepped)


def measure(folder: Path, rounds: int) -> dict[str, list[float]]:
    (folder / "bare.py").write_text(BARE)
    (folder / "train.py").write_text(TRAIN)
    synthesize(folder / "faces", 80)
    convert(str(folder / "faces"), str(folder / "shards"), ShardingOptions(size=32))
    cluster = Cluster("benchmark-token-0123456789", {"RAYGAN_CACHE": str(folder / "cache")})
    results: dict[str, list[float]] = {"bare": [], "Ray Train": [], "raygan": []}
    try:
        cluster.add("--num-cpus=2")
        watch = Stopwatch(cluster, folder)
        bare(watch, folder, -1)  # the first job of a cluster starts more than a job
        for number in range(rounds):
            for name, take in (("bare", bare), ("Ray Train", ray_train), ("raygan", raygan)):
                results[name].append(take(watch, folder, number))
                print(f"round {number + 1}: {name} {results[name][-1]:.1f} s", file=sys.stderr, flush=True)
    finally:
        cluster.close()
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="end with one JSON line")
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory(prefix="raygan-benchmark-") as folder:
        results = measure(Path(folder), arguments.rounds)
    median = {name: statistics.median(seconds) for name, seconds in results.items()}
    print(f"\n{'':36}{'seconds':>9}{'of bare':>9}   (median of {arguments.rounds})")
    for name, what in (
        ("bare", "import torch"),
        ("Ray Train", "first step of Ray Train"),
        ("raygan", "first step of raygan"),
    ):
        print(f"{name:11}{what:25}{median[name]:9.1f}{median[name] / median['bare']:9.2f}")
    if arguments.json:
        ratios = {
            "raygan_vs_bare": median["raygan"] / median["bare"],
            "raygan_vs_ray_train": median["raygan"] / median["Ray Train"],
        }
        print(json.dumps({name: round(ratio, 3) for name, ratio in ratios.items()}))


if __name__ == "__main__":
    main()
