"""The order at 400 million images on 1,024 workers, and how well it shuffles CelebA. Computes; reads no images.

    python -m benchmarks.order [--json]

The first table runs the real order of one node's workers through whole windows and counts the shards they touch. A
shard is loaded again in each epoch unless the node's disk keeps it; `kept` is what the disk must hold for that. The
second table compares windows with a full permutation of the split.
"""

import argparse
import json
import statistics
import time
import tracemalloc
from collections.abc import Iterable

import numpy as np

from raygan.pipeline.data.order import WINDOW, Order
from raygan.sharding.format.shard import Layout

SHARDS, PER_SHARD, RANKS, PER_NODE, LANES = 100_000, 4_000, 1_024, 8, 64
BATCH = 64 * RANKS
IMAGES_PER_SECOND = 1_000_000
CELEBA_TRAIN, CELEBA_PER_SHARD, CELEBA_BATCH = 162_770, 1_024, 128
ATTRIBUTES = tuple(f"attribute_{i:02}" for i in range(40))


def table(title: str, rows: list[dict[str, object]]) -> None:
    """Prints the rows under their keys, right-aligned."""
    texts = [
        list(rows[0]),
        *(
            [f"{v:,.4g}" if isinstance(v, float) else f"{v:,}" if isinstance(v, int) else str(v) for v in row.values()]
            for row in rows
        ),
    ]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    print(f"\n{title}")
    for text in texts:
        print("  ".join(cell.rjust(width) for cell, width in zip(text, widths, strict=True)))


def scale(window: int, lanes: int) -> dict[str, object]:
    """What one rank and one node do in the order of 400 million images."""
    counts = np.full(SHARDS, PER_SHARD)
    shard_bytes = PER_SHARD * Layout("train", 64, 6, ATTRIBUTES).stride
    epoch = SHARDS * PER_SHARD
    rank = RANKS // 2 + 3
    positions = np.random.default_rng(0).integers(0, 1000 * epoch, 20).tolist()
    Order(counts, 0, window, lanes).slice(positions[0], BATCH, rank, RANKS)

    seeks = []
    for position in positions:
        started = time.perf_counter()
        Order(counts, 0, window, lanes).slice(position, BATCH, rank, RANKS)
        seeks.append(time.perf_counter() - started)

    tracemalloc.start()
    order = Order(counts, 0, window, lanes)
    order.slice(positions[0], BATCH, rank, RANKS)
    memory, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    # Whole windows from the start of an epoch; 16 of them end with a batch.
    window_images, windows = window * PER_SHARD * lanes, 16
    node = rank // PER_NODE * PER_NODE
    touched_by_rank = loads(order, range(0, windows * window_images, BATCH), [rank])
    touched_by_node = loads(order, range(0, windows * window_images, BATCH), range(node, node + PER_NODE))
    hours = windows * window_images / IMAGES_PER_SECOND / 3600
    per_node = touched_by_node / hours
    return {
        "window": window,
        "lanes": lanes,
        "table MB": memory / 1e6,
        "peak MB": peak / 1e6,
        "seek ms": statistics.median(seeks) * 1e3,
        "shards/rank/h": round(touched_by_rank / hours),
        "shards/node/h": round(per_node),
        "node MB/s": per_node * shard_bytes / 3600 / 1e6,
        "window s": window_images / IMAGES_PER_SECOND,
        "two windows GB": 2 * window * shard_bytes / 1e9,
        "kept GB": shard_bytes * SHARDS / lanes / 1e9,
    }


def loads(order: Order, positions: Iterable[int], ranks: Iterable[int]) -> int:
    """How often a window of these ranks needs a shard, over the batches at `positions`."""
    ranks, needed = list(ranks), set()
    for position in positions:
        for rank in ranks:
            shards, _ = order.slice(position, BATCH, rank, RANKS)
            spans = order.spans(position, BATCH, rank, RANKS)
            turns = np.concatenate([np.arange(span.first, span.first + span.size) for span in spans])
            pairs = np.stack([turns // (order.window * PER_SHARD), shards], 1)
            needed |= set(map(tuple, np.unique(pairs, axis=0).tolist()))
    return len(needed)


def quality(window: int) -> dict[str, object]:
    """How far the images of CelebA's train split move from their position in storage in one epoch."""
    shards = -(-CELEBA_TRAIN // CELEBA_PER_SHARD)
    starts = np.array([CELEBA_TRAIN * i // shards for i in range(shards + 1)])
    travelled, together, adjacent = [], [], []
    for seed in range(5):
        shard, row = Order(np.diff(starts), seed, window).batch(0, CELEBA_TRAIN)
        shown_at = np.empty(CELEBA_TRAIN, np.int64)
        shown_at[starts[shard] + row] = np.arange(CELEBA_TRAIN)
        travelled.append(np.abs(shown_at - np.arange(CELEBA_TRAIN)).mean() / CELEBA_TRAIN)
        together.append((shown_at[1:] // CELEBA_BATCH == shown_at[:-1] // CELEBA_BATCH).mean())
        adjacent.append((np.abs(np.diff(shown_at)) == 1).mean())
    return {
        "window": window if window < shards else f"{window} (all)",
        "pool": min(window * CELEBA_PER_SHARD, CELEBA_TRAIN),
        "mean distance / split": float(np.mean(travelled)),
        "neighbours in one batch": float(np.mean(together)),
        "neighbours adjacent": float(np.mean(adjacent)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="end with one JSON line")
    options = parser.parse_args()
    print(
        f"{SHARDS * PER_SHARD:,} images in {SHARDS:,} shards, {RANKS:,} ranks, {PER_NODE} to a node, global batch "
        f"{BATCH:,}, {IMAGES_PER_SECOND:,} images/s. The default window is {WINDOW}."
    )
    scales = [scale(window, LANES) for window in (4, 16, 32, 64)] + [scale(WINDOW, 1)]
    table("One rank and one node; the last row is the order without lanes", scales)
    qualities = [quality(window) for window in (1, 4, 16, 32, 64, 159)]
    table(f"Shuffling {CELEBA_TRAIN:,} images in shards of {CELEBA_PER_SHARD:,}, batch {CELEBA_BATCH}", qualities)
    if options.json:
        chosen = next(row for row in scales if row["window"] == WINDOW)
        print(json.dumps({"order": chosen, "without_lanes": scales[-1], "quality": qualities}))


if __name__ == "__main__":
    main()
