"""Two readers on one node, and what of their mapped shards is in memory. Run as a program: FOLDER; prints JSON.

A process of its own, since it forks: each of its two children reads an epoch of the data set's split train.
"""

import json
import multiprocessing
import sys
from itertools import islice
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier

import psutil

from raygan.pipeline.data.dataset import DataSet
from raygan.pipeline.data.reader import Reader
from raygan.sharding.format.manifest import Manifest

BATCH = 100


def mapped_shards() -> tuple[int, int]:
    """Bytes of this process's mapped tars: those in memory, and those divided by how many processes map them."""
    tars = [area for area in psutil.Process().memory_maps() if area.path.endswith(".tar")]
    return sum(tar.rss for tar in tars), sum(tar.pss for tar in tars)


def read(folder: str, both: Barrier, found: SimpleQueue) -> None:
    batches = -(-Manifest.load(folder).samples("train") // BATCH)
    with Reader(DataSet.open(folder), "train", BATCH) as reader:
        for _ in islice(reader, batches):
            pass
        both.wait()
        found.put(mapped_shards())
        both.wait()  # neither lets go of its maps before the other has looked


def main(folder: str) -> None:
    fork = multiprocessing.get_context("fork")
    both, found = fork.Barrier(2), fork.SimpleQueue()
    readers = [fork.Process(target=read, args=(folder, both, found)) for _ in range(2)]
    for reader in readers:
        reader.start()
    print(json.dumps([found.get() for _ in readers]))
    for reader in readers:
        reader.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
