"""What the choices that leave the recipe alone are worth: precision, memory layout, optimizer, compiling, accumulation.

    python -m benchmarks.stepping [--preset celeba64] [--width 32] [--batch 64] [--images 6400] [--rounds 3] [--json]

Each row changes one thing of the first and trains on random images that lie on the device already. Rounds alternate,
the median of each row is compared. Compiling is done, and counted, before the first round.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from raygan.pipeline.config import PRESETS, Config
from raygan.pipeline.distributed import DistributedContext
from raygan.pipeline.objectives.adversarial.objective import AdversarialObjective

SIZE = 64
Change = Callable[[AdversarialObjective], None]


def as_it_is(objective: AdversarialObjective) -> None:
    """The preset's own choices."""


def contiguous(objective: AdversarialObjective) -> None:
    for network in (objective.generator, objective.discriminator):
        network.to(memory_format=torch.contiguous_format)


def unfused(objective: AdversarialObjective) -> None:
    for optimizer in (objective.generator_optimizer, objective.discriminator_optimizer):
        for group in optimizer.param_groups:
            group["fused"] = False


ROWS: dict[str, tuple[dict[str, object], Change]] = {
    "as it is": ({}, as_it_is),
    "fp32": ({"precision": "fp32"}, as_it_is),
    "bf16": ({"precision": "bf16"}, as_it_is),
    "contiguous, not channels_last": ({}, contiguous),
    "Adam not fused": ({}, unfused),
    "accumulate 2": ({"accumulate": 2}, as_it_is),
    "accumulate 4": ({"accumulate": 4}, as_it_is),
    "compiled": ({"compile": True}, as_it_is),
}


class Row:
    """One variant, warm."""

    def __init__(self, config: Config, change: Change, real: Tensor) -> None:
        self.real, self.position = real, 0
        self.objective = AdversarialObjective(config, SIZE, DistributedContext(device=real.device))
        change(self.objective)
        if change is contiguous:
            self.real = real.contiguous()
        started = time.perf_counter()
        self.train(config.batch * self.objective.settings.penalty_every * 2)
        self.warm_up = time.perf_counter() - started

    def train(self, images: int) -> float:
        """Images per second."""
        started, batch = time.perf_counter(), self.objective.config.batch
        for _ in range(images // batch):
            self.objective.step(self.real, self.position)
            self.position += batch
        self.objective.metrics()  # waits for the device
        return images / (time.perf_counter() - started)


def configured(arguments: argparse.Namespace) -> Config:
    values = PRESETS[arguments.preset]().model_dump()
    for network in ("generator", "discriminator"):
        values[network]["width"] = arguments.width
    return Config.model_validate(values | {"batch": arguments.batch or values["batch"]})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="celeba64", choices=PRESETS)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--batch", type=int, help="default: the preset's")
    parser.add_argument("--images", type=int, default=6_400, help="of each row in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=list(ROWS), choices=ROWS, metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    arguments = parser.parse_args()
    config = configured(arguments)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    real = torch.randint(0, 256, (config.batch, 3, SIZE, SIZE), dtype=torch.uint8, device=device)
    real = real.contiguous(memory_format=torch.channels_last)
    rows = {}
    for name in arguments.only:
        changed, change = ROWS[name]
        rows[name] = Row(Config.model_validate(config.model_dump() | changed), change, real)
    paces: dict[str, list[float]] = {name: [] for name in rows}
    for _ in range(arguments.rounds):
        for name, row in rows.items():
            paces[name].append(row.train(arguments.images))

    medians = {name: statistics.median(each) for name, each in paces.items()}
    first = medians[arguments.only[0]]
    print(
        f"{config.preset}, width {arguments.width}, batch {config.batch}, {device}, {torch.get_num_threads()} threads"
    )
    print(f"{'':32}{'images/s':>10}{'ratio':>8}{'first steps, s':>16}")
    for name, median in medians.items():
        print(f"{name:32}{median:10,.0f}{median / first:8.2f}{rows[name].warm_up:16.1f}")
    if arguments.json:
        print(json.dumps({name: round(median / first, 3) for name, median in medians.items()}))


if __name__ == "__main__":
    main()
