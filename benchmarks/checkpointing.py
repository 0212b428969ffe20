"""How long a checkpoint holds training up, next to a step, and next to writing it before training continues.

python -m benchmarks.checkpointing [--width 64] [--batch 128] [--rounds 5] [--device cpu] [--json]
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from raygan.pipeline.config import Adversarial, Config, Discriminator, Generator
from raygan.pipeline.distributed import DistributedContext
from raygan.pipeline.objectives.adversarial.objective import AdversarialObjective
from raygan.pipeline.training import checkpoint
from raygan.pipeline.training.checkpoint_manager import CheckpointManager
from raygan.sharding.storage.folder import Folder


def seconds(work: Callable[[], object], rounds: int, device: torch.device) -> float:
    """The median of some rounds."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    config = Config(
        batch=arguments.batch,
        generator=Generator(width=arguments.width),
        objective=Adversarial(discriminator=Discriminator(width=arguments.width)),
    )
    device = torch.device(arguments.device)
    objective = AdversarialObjective(config, 64, DistributedContext(device=device))
    images = torch.randint(0, 256, (arguments.batch, 3, 64, 64), dtype=torch.uint8, device=device)
    positions = iter(range(0, 10**9, arguments.batch))

    def taken() -> checkpoint.Snapshot:
        return checkpoint.snapshot(objective, next(positions), "", {}, {})

    def step() -> None:
        objective.step(images, next(positions))

    step()  # the optimizers have no state before
    with tempfile.TemporaryDirectory() as folder:
        manager = CheckpointManager(Folder(folder), keep=2)

        def beside() -> None:
            manager.save(taken())

        def before_continuing() -> None:
            checkpoint.write(Path(folder, "one"), taken())

        alone = seconds(step, arguments.rounds, device)
        stalls = []
        for _ in range(arguments.rounds):
            stalls.append(seconds(beside, 1, device))
            manager.wait()
        manager.save(taken())
        while_writing = seconds(step, 1, device)
        manager.wait()
        manager.close()
        whole = seconds(before_continuing, arguments.rounds, device)
    found = {
        "megabytes": len(taken().state) / 1e6,
        "step": alone,
        "step while one is written": while_writing,
        "held up, written beside training": statistics.median(stalls),
        "held up, written before training continues": whole,
    }
    print(f"{found['megabytes']:.0f} MB of state, width {arguments.width}, batch {arguments.batch}, {device.type}\n")
    print(f"{'':42}{'seconds':>9}{'steps':>8}")
    for name, value in found.items():
        if name != "megabytes":
            print(f"{name:42}{value:9.3f}{value / alone:8.2f}")
    if arguments.json:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
