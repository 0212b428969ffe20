"""A hundred SIGKILLs at random instants, without Ray: python -m tests.faults.hundred [--kills 100] [--seed 0]

Every run (the smoke preset, 1,024 images) is killed up to ten times, each within 1.5 seconds of its process' start, and
continues in a new process; its end is compared, bit for bit, with that of a run that was not killed.
"""

import argparse
import random
import tempfile
from pathlib import Path

import torch

from raygan.pipeline.config import smoke
from raygan.pipeline.training import runs
from raygan.sharding.storage.folder import Folder
from tests.faults.harness import COUNTS, equal, final_state
from tests.faults.kills import run_with_kills
from tests.pipeline.small_datasets import write_dataset

KILLS_PER_RUN = 10
LIFE = 1.5  # seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # a pool of threads would not survive the forks
    chance = random.Random(arguments.seed)
    config = smoke().model_copy(update={"images": 1024})
    kills = torn = number = unequal = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shards = str(write_dataset(folder / "shards", COUNTS, size=32))
        whole = Folder(str(folder / "whole"))
        run_with_kills(config, shards, whole, chance, most=0, life=0)
        expected = final_state(runs.checkpoints(whole)[0])
        while kills < arguments.kills:
            number += 1
            here = Folder(str(folder / f"run-{number}"))
            most = min(KILLS_PER_RUN, arguments.kills - kills)
            killed = run_with_kills(config, shards, here, chance, most, LIFE)
            kills, torn = kills + killed.kills, torn + killed.during_a_write
            unequal += not equal(final_state(runs.checkpoints(here)[0]), expected)
            print(f"{kills} kills in {number} runs, {unequal} with another end", flush=True)
    print(f"\n{kills} kills in {number} runs; {torn} left a checkpoint half written; {unequal} runs ended otherwise")


if __name__ == "__main__":
    main()
