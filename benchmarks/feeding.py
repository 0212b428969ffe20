"""Whether the reader keeps a training step fed: images per second and the share of time spent waiting for data.

    python -m benchmarks.feeding SHARDS [--width 16] [--batch 128] [--seconds 30] [--json]

Trains the DCGAN of the preset `radford` in one process on a split `train`, on a GPU if there is one (then at width 64,
batch 512, in bf16), once for each place to keep the images: the shards' page cache, and the device's memory.
"""

import argparse
import json
import time
from contextlib import nullcontext
from typing import Literal

import torch

from raygan.pipeline.config import Adversarial, Config, Discriminator, Generator
from raygan.pipeline.data.dataset import DataSet
from raygan.pipeline.data.reader import Reader
from raygan.pipeline.distributed import DistributedContext
from raygan.pipeline.objectives.adversarial.objective import AdversarialObjective


def main() -> None:
    gpu = torch.cuda.is_available()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shards", help="folder of a data set")
    parser.add_argument("--width", type=int, default=64 if gpu else 16)
    parser.add_argument("--batch", type=int, default=512 if gpu else 128)
    parser.add_argument("--seconds", type=float, default=30, help="of training for each row")
    parser.add_argument("--json", action="store_true", help="end with one JSON line")
    options = parser.parse_args()
    device = torch.device("cuda" if gpu else "cpu")
    print(f"{device}, width {options.width}, batch {options.batch}, {torch.get_num_threads()} threads")
    print(f"{'images from':14}{'images/s':>12}{'waiting':>10}")
    figures = {}
    for cache in ("none", "device"):
        speed, waiting = feed(options, device, cache)
        figures[cache] = {"images_per_second": round(speed), "waiting": round(waiting, 5)}
        print(f"{'shards' if cache == 'none' else 'cache=device':14}{speed:12,.0f}{waiting:10.3%}")
    if options.json:
        print(json.dumps(figures))


def feed(options: argparse.Namespace, device: torch.device, cache: Literal["none", "device"]) -> tuple[float, float]:
    """Images per second, and the share of the time that the loop waited for its next batch."""
    generator, discriminator = Generator(width=options.width), Discriminator(width=options.width)
    adversarial = Adversarial(discriminator=discriminator)
    config = Config(batch=options.batch, generator=generator, objective=adversarial, flip=True)
    data = DataSet.open(options.shards)
    objective = AdversarialObjective(config, data.manifest.size, DistributedContext(device=device))
    bf16 = torch.autocast("cuda", torch.bfloat16) if device.type == "cuda" else nullcontext()
    with Reader(data, "train", options.batch, device=device, flip=True, cache=cache) as reader, bf16:
        position = 0
        for _ in range(5):  # warm up
            objective.step(next(reader).images, position)
            position += options.batch
        waited, warm, started = reader.waited, position, time.perf_counter()
        while time.perf_counter() - started < options.seconds:
            objective.step(next(reader).images, position)
            position += options.batch
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds = time.perf_counter() - started
        return (position - warm) / seconds, (reader.waited - waited) / seconds


if __name__ == "__main__":
    main()
