"""Images per second of our worker against the bare loop that a user would write, on the same networks, in one run.

    python -m benchmarks.training [--shards DIR] [--width 32] [--batch 64] [--images 12800] [--rounds 3] [--json]

One worker: `loop.train` whole (reader, metrics, averaging, the article's fresh fakes) on two threads, against the loop
of the DCGAN tutorials on the same threads: images in memory, one set of fakes for both updates, no averaging.
Two workers: two DDP ranks of one thread each, against two bare loops of one thread each that run side by side and
share nothing, which is the most that two cores can do. Rounds alternate; the median round of each is compared.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch import nn

from raygan.pipeline.config import Adversarial, Checkpoints, Config, Discriminator, Evaluation, Generator
from raygan.pipeline.data.dataset import DataSet
from raygan.pipeline.distributed import DistributedContext
from raygan.pipeline.models import dcgan
from raygan.pipeline.objectives.base import Objective
from raygan.pipeline.training import loop
from raygan.pipeline.training.checkpoint import Snapshot
from raygan.pipeline.training.session import Session
from raygan.sharding.format.manifest import Manifest
from raygan.sharding.storage.folder import Folder

LATENT = 100
WARM_UP = 640  # images


class QuietSession(Session):
    """A Session for loops that are timed: it keeps the throughput and the last checkpoint, and nothing else.

    `throughputs`: images per second, one for each time that metrics were written.
    """

    stopping = preempted = False

    def __init__(self) -> None:
        self.throughputs: list[float] = []
        self.last: Snapshot | None = None

    def checkpoints(self) -> Sequence[Folder]:
        return ()

    def metrics(self, values: dict[str, float], position: int) -> None:
        if "speed/images_per_second" in values:
            self.throughputs.append(values["speed/images_per_second"])

    def image(self, name: str, image: np.ndarray, position: int) -> None:
        pass

    def warn(self, message: str, position: int) -> None:
        pass

    def evaluate_in_background(self, objective: Objective, position: int) -> None:
        pass

    def save(self, snapshot: Snapshot) -> None:
        self.last = snapshot


def ours(shards: str, width: int, batch: int, images: int, context: DistributedContext) -> float:
    """Images per second after the first WARM_UP images."""
    config = Config(
        images=WARM_UP + images,
        batch=batch,
        latent=LATENT,
        generator=Generator(width=width),
        objective=Adversarial(discriminator=Discriminator(width=width)),
        log_every=WARM_UP,
        evaluation=Evaluation(every=10**9, count=2),
        checkpoints=Checkpoints(every=10**9),
    )
    session = QuietSession()
    loop.train(config, DataSet.open(shards), context, session)
    laps = session.throughputs[1:]
    return statistics.harmonic_mean(laps)


def bare(width: int, batch: int, images: int) -> float:
    """The tutorials' loop on random images; images per second after the first WARM_UP images."""
    generator = dcgan.Generator(64, LATENT, width, "batch")
    discriminator = dcgan.Discriminator(64, width, "batch")
    optimizers = [torch.optim.Adam(n.parameters(), lr=2e-4, betas=(0.5, 0.999)) for n in (generator, discriminator)]
    entropy, real, fake = nn.BCEWithLogitsLoss(), torch.ones(batch), torch.zeros(batch)
    data = torch.rand(2048, 3, 64, 64) * 2 - 1
    start = 0.0
    for step in range((WARM_UP + images) // batch):
        if step == WARM_UP // batch:
            start = time.perf_counter()
        shown = data[torch.randint(len(data), (batch,))]
        drawn = generator(torch.randn(batch, LATENT))
        discriminator.zero_grad()
        (entropy(discriminator(shown), real) + entropy(discriminator(drawn.detach()), fake)).backward()
        optimizers[1].step()
        generator.zero_grad()
        entropy(discriminator(drawn), real).backward()
        optimizers[0].step()
    return images / (time.perf_counter() - start)


def role(arguments: argparse.Namespace) -> None:
    """What one of the processes below does: prints its images per second."""
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    if arguments.role == "bare":
        print(bare(arguments.width, arguments.batch, arguments.images))
        return
    context = DistributedContext()
    if "RANK" in os.environ:
        dist.init_process_group("gloo")
        context = DistributedContext(dist.get_rank(), dist.get_world_size())
    print(ours(arguments.shards, arguments.width, arguments.batch * context.world_size, arguments.images, context))


def throughput(arguments: argparse.Namespace, what: str, processes: int, images: int) -> float:
    """Images per second of `processes` processes together."""
    port = str(20_000 + os.getpid() % 20_000)
    started = []
    for rank in range(processes):
        environment = os.environ | {"OMP_NUM_THREADS": str(2 // processes)}
        if what == "ours" and processes > 1:
            environment |= {
                "RANK": str(rank),
                "WORLD_SIZE": str(processes),
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": port,
            }
        command = [
            sys.executable,
            "-m",
            "benchmarks.training",
            "--role",
            what,
            "--shards",
            arguments.shards,
            "--images",
            str(images),
        ]
        command += ["--width", str(arguments.width), "--batch", str(arguments.batch)]
        started.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True))
    figures = [float(process.communicate()[0].split()[-1]) for process in started]
    return figures[0] if what == "ours" else sum(figures)


def drawn(folder: Path) -> str:
    from raygan.sharding.convert import convert
    from raygan.sharding.options import ShardingOptions
    from raygan.sharding.synthetic import synthesize

    synthesize(folder / "faces", 1000)
    convert(str(folder / "faces"), str(folder / "shards"), ShardingOptions())
    return str(folder / "shards")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", help="a data set of 64 pixels; without one, faces are drawn")
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--batch", type=int, default=64, help="per worker")
    parser.add_argument("--images", type=int, default=12_800, help="per worker and round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--role", choices=["ours", "bare"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.role:
        role(arguments)
        return
    with tempfile.TemporaryDirectory() as folder:
        arguments.shards = arguments.shards or drawn(Path(folder))
        Manifest.load(arguments.shards)
        figures: dict[tuple[str, int], list[float]] = {}
        for _ in range(arguments.rounds):
            for processes in (1, 2):
                for what in ("bare", "ours"):
                    images = arguments.images * (processes if what == "ours" else 1)
                    figures.setdefault((what, processes), []).append(throughput(arguments, what, processes, images))
    median = {case: statistics.median(values) for case, values in figures.items()}
    one, two = median["ours", 1] / median["bare", 1], median["ours", 2] / median["bare", 2]
    print(f"width {arguments.width}, batch {arguments.batch} per worker, median of {arguments.rounds} rounds\n")
    print(f"{'images/s':38}{'bare loop':>12}{'raygan':>12}{'ratio':>8}")
    print(f"{'one process, two threads':38}{median['bare', 1]:12.0f}{median['ours', 1]:12.0f}{one:8.2f}")
    print(f"{'two processes, one thread each':38}{median['bare', 2]:12.0f}{median['ours', 2]:12.0f}{two:8.2f}")
    if arguments.json:
        print(json.dumps({"one_worker_vs_bare": round(one, 3), "two_workers_vs_two_independent": round(two, 3)}))


if __name__ == "__main__":
    main()
