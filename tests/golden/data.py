"""Digests of shards, of the order and of an evaluation's report."""

import hashlib
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from raygan.pipeline.data.order import Order
from raygan.pipeline.evaluation.report import evaluate
from raygan.sharding.hashing import hashes, key_of
from raygan.sharding.journal import Journal
from raygan.sharding.options import ShardingOptions
from raygan.sharding.plan import limited, plan
from raygan.sharding.sources.detect import open_source
from raygan.sharding.storage.folder import Folder
from raygan.sharding.writer import write_shard
from tests.pipeline.small_datasets import write_dataset

SOURCE_SIZE = (178, 218)  # of the pictures, width and height in pixels
PICTURES = 24


def shards() -> dict[str, str]:
    """SHA-256 of every shard of the same pictures, by encoding; written without Ray."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        source = _source(Path(folder) / "source")
        for encoding in ("npy", "jpg", "png", "webp"):
            options = ShardingOptions.model_validate({"encoding": encoding, "samples_per_shard": 7, "size": 32})
            opened = open_source(str(source), options.seed, options.held_out)
            counts = limited(opened.totals, ("train", "valid", "test"), None)
            journal = Journal(Folder(f"{folder}/{encoding}"), "golden")
            for shard in plan(counts, opened.totals, options.samples_per_shard, options.lanes):
                written = write_shard(opened, journal, options, shard)
                found[f"{encoding}/{shard.name}"] = written.entry.sha256
            found[f"{encoding}/source"] = opened.digest
    return found


def _source(folder: Path) -> Path:
    """CelebA's layout: pictures of blocks of one colour, drawn by our own hash."""
    width, height = SOURCE_SIZE
    (folder / "img_align_celeba").mkdir(parents=True)
    names = [f"{number:06d}.png" for number in range(1, PICTURES + 1)]
    for number, name in enumerate(names):
        blocks = hashes(key_of(number), 0, 12 * 10 * 3).astype(np.uint8).reshape(12, 10, 3)
        pixels = blocks.repeat(19, 0).repeat(18, 1)[:height, :width]
        Image.fromarray(pixels).save(folder / "img_align_celeba" / name)
    partition = "".join(f"{name} {number % 5 // 3 + number % 5 // 4}\n" for number, name in enumerate(names))
    (folder / "list_eval_partition.txt").write_text(partition)
    rows = "".join(f"{name} {1 if number % 2 else -1} {1 if number % 3 else -1}\n" for number, name in enumerate(names))
    (folder / "list_attr_celeba.txt").write_text(f"{PICTURES}\nSmiling Male\n{rows}")
    return folder


def order() -> dict[str, str]:
    """Digests of what is shown, and which images are flipped, over three epochs."""
    found = {}
    counts = [30, 31, 30, 29, 7]
    for seed, window, lanes in ((0, 32, 1), (7, 2, 1), (7, 2, 3)):
        endless = Order(counts, seed, window, lanes)
        digest = hashlib.sha256()
        for position in range(0, 3 * sum(counts), 16):
            for part in (*endless.batch(position, 16), endless.coins(position, 16)):
                digest.update(part.tobytes())
        found[f"seed {seed}, window {window}, lanes {lanes}"] = digest.hexdigest()
    return found


def report() -> dict[str, Any]:
    """The report on random images against a random data set, whole."""
    with tempfile.TemporaryDirectory() as folder:
        real = write_dataset(Path(folder) / "real", [120, 100], size=32)
        drawn = Path(folder) / "drawn.npy"
        np.save(drawn, np.random.default_rng(1).integers(0, 200, (150, 32, 32, 3), np.uint8))
        metrics = ("fid", "kid", "kid_subsets", "pr", "dc")
        found = evaluate(drawn, str(real), metrics=metrics, resamples=5, cache=Path(folder) / "cache")
    return found.model_dump(mode="json")
