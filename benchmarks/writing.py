"""Writing shards: images per second and core, against other writers and against decoding alone, in one run.

    python -m benchmarks.writing [--source CELEBA] [--images 6000] [--json]

Every writer reads the same JPEG files and stores the same 64-pixel images with their attributes. The first row is the
usual way (PIL and webdataset's ShardWriter); the other peers get our decode, crop and resize, so that only the writing
differs. Rates are images per CPU second of one process, the best of four rounds in which all take turns, so that a
machine that slows down for a while slows all of them; two workers against one is wall time on a warm local Ray.
The faces of SOURCE are repeated until there are enough; without it, 1,000 are drawn. What decoding costs, and so its
share, depends on them: photographs take longer than drawn faces.

Peers, left out if missing: pip install mosaicml-streaming litdata datasets
"""

import argparse
import importlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
from PIL import Image

from raygan.sharding.convert import convert
from raygan.sharding.format.images import decode
from raygan.sharding.format.manifest import SPLITS
from raygan.sharding.journal import Journal
from raygan.sharding.options import ShardingOptions
from raygan.sharding.plan import plan
from raygan.sharding.sources.detect import open_source
from raygan.sharding.sources.source import Source
from raygan.sharding.storage.folder import Folder
from raygan.sharding.synthetic import synthesize
from raygan.sharding.writer import prepare, write_shard

OPTIONS = ShardingOptions()
DRAWN = 1_000
SCALED = 4  # times as many images where workers are counted: two write 6,000 within a second
ROUNDS = 4
DECODING = "decode alone (simplejpeg)"
Writer = Callable[[Source, Path], None]


def ours(source: Source, out: Path) -> None:
    journal = Journal(Folder(str(out)), "benchmark")
    for shard in plan(source.totals, source.totals, OPTIONS.samples_per_shard, 1):
        write_shard(source, journal, OPTIONS, shard)


def shardwriter_pil(source: Source, out: Path) -> None:
    import io

    import webdataset

    with webdataset.ShardWriter(str(out / "%06d.tar"), maxcount=OPTIONS.samples_per_shard, verbose=0) as writer:
        for row in range(len(source)):
            image = Image.open(io.BytesIO(source.read(row))).convert("RGB")
            image = image.crop((0, 20, 178, 198)).resize((64, 64), Image.Resampling.BICUBIC)
            key, annotation = source.keys[row].decode(), _annotation(source, row)
            writer.write({"__key__": key, "npy": np.asarray(image), "json": annotation})


def shardwriter(source: Source, out: Path) -> None:
    import webdataset

    with webdataset.ShardWriter(str(out / "%06d.tar"), maxcount=OPTIONS.samples_per_shard, verbose=0) as writer:
        for row in range(len(source)):
            image = prepare(source.read(row), OPTIONS)
            writer.write({"__key__": source.keys[row].decode(), "npy": image, "json": _annotation(source, row)})


def mosaic(source: Source, out: Path) -> None:
    from streaming import MDSWriter

    with MDSWriter(out=str(out), columns={"key": "str", "image": "bytes", "attributes": "bytes"}) as writer:
        for row in range(len(source)):
            image = prepare(source.read(row), OPTIONS)
            attributes = source.values[row].tobytes()
            writer.write({"key": source.keys[row].decode(), "image": image.tobytes(), "attributes": attributes})


def litdata(source: Source, out: Path) -> None:
    from litdata.streaming.writer import BinaryWriter

    writer = BinaryWriter(str(out), chunk_bytes="16MB")
    for row in range(len(source)):
        image = prepare(source.read(row), OPTIONS)
        writer[row] = {"key": source.keys[row].decode(), "image": image, "attributes": source.values[row]}
    writer.done()
    writer.merge()


def parquet(source: Source, out: Path) -> None:
    import datasets

    def rows() -> Any:
        for row in range(len(source)):
            image = prepare(source.read(row), OPTIONS)
            yield {
                "key": source.keys[row].decode(),
                "image": image.tobytes(),
                "attributes": source.values[row].tobytes(),
            }

    datasets.disable_progress_bars()
    made = datasets.Dataset.from_generator(rows, cache_dir=str(out / "cache"))
    made.to_parquet(str(out / "train.parquet"))


def _annotation(source: Source, row: int) -> dict[str, Any]:
    attributes = dict(zip(source.attributes, source.values[row].tolist(), strict=True))
    return {"key": source.keys[row].decode(), "attributes": attributes}


WRITERS: dict[str, tuple[str, Writer]] = {
    "raygan": ("sharding", ours),
    "webdataset ShardWriter, PIL": ("webdataset", shardwriter_pil),
    "webdataset ShardWriter, our images": ("webdataset", shardwriter),
    "Mosaic MDSWriter, our images": ("streaming", mosaic),
    "litdata BinaryWriter, our images": ("litdata", litdata),
    "datasets to parquet, our images": ("datasets", parquet),
}


def rates(source: Source) -> dict[str, float]:
    """Images per CPU second of this process, for each writer that is installed and for DECODING."""
    data = [source.read(row) for row in range(len(source))]

    def decoding(source: Source, out: Path) -> None:
        for one in data:
            decode(one)

    contenders: dict[str, Writer] = {DECODING: decoding}
    for name, (module, writer) in WRITERS.items():
        try:
            importlib.import_module(module)
            contenders[name] = writer
        except ImportError as error:
            print(f"{name}: skipped: {error}")
    best = dict.fromkeys(contenders, 0.0)
    for _ in range(ROUNDS):
        for name, writer in contenders.items():
            with tempfile.TemporaryDirectory() as out:
                started = time.process_time()
                writer(source, Path(out))
                best[name] = max(best[name], len(source) / (time.process_time() - started))
    return best


def scaling(source: str, folder: Path) -> list[float]:
    """Images per second of convert() on a local Ray of one core, and on one of two; the best of ROUNDS."""
    best = [0.0, 0.0]
    for turn in range(ROUNDS):
        for workers in (1, 2):
            best[workers - 1] = max(best[workers - 1], throughput(source, folder / f"{turn}-{workers}", workers))
    return best


def throughput(source: str, folder: Path, workers: int) -> float:
    """Images per second of wall time, from the first shard to the last.

    Reading the annotations before is the same for any number of workers and not counted.
    """
    import ray

    ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    options = OPTIONS.model_copy(update={"samples_per_shard": 256})
    convert(source, str(folder / "warm"), options.model_copy(update={"limit": 1024}))
    events: list[tuple[float, int]] = []
    convert(source, str(folder / "whole"), options, lambda done, *_: events.append((time.perf_counter(), done)))
    ray.shutdown()
    (first, before), (last, after) = events[0], events[-1]
    return (after - before) / (last - first)


def drawn(folder: Path) -> Source:
    synthesize(folder / "drawn", DRAWN)
    return open_source(str(folder / "drawn"))


def repeated(faces: Source, folder: Path, images: int) -> str:
    """CelebA of `images` images in `folder`: the faces again and again under new numbers."""
    pictures = folder / "img_align_celeba"
    pictures.mkdir(parents=True)
    splits = np.repeat(range(len(SPLITS)), [faces.totals[split] for split in SPLITS])
    attributes, partition = [str(images), " ".join(faces.attributes)], []
    for number in range(images):
        row = number % len(faces)
        name = f"{number + 1:06d}.jpg"
        (pictures / name).write_bytes(faces.read(row))
        attributes.append(f"{name} " + " ".join(f"{2 * bit - 1:2d}" for bit in faces.values[row].tolist()))
        partition.append(f"{name} {splits[row]}")
    (folder / "list_attr_celeba.txt").write_text("\n".join([*attributes, ""]))
    (folder / "list_eval_partition.txt").write_text("\n".join([*partition, ""]))
    return str(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", help="a CelebA folder; without one, faces are drawn")
    parser.add_argument("--images", type=int, default=6_000)
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    try:
        faces = open_source(arguments.source) if arguments.source else drawn(folder)
        source = open_source(repeated(faces, folder / "once", arguments.images))
        print(f"{len(source):,} images of {faces.kind}\n")
        found = rates(source)
        print(f"\n{'':36}images/s per core   raygan is   share of decode alone")
        for name, rate in found.items():
            print(f"{name:36}{rate:17,.0f}{found['raygan'] / rate:11.2f}x{rate / found[DECODING]:24.2f}")
        one, two = scaling(repeated(faces, folder / "often", SCALED * arguments.images), folder)
        print(f"\nconvert() with 1 worker {one:,.0f} images/s, with 2 workers {two:,.0f}: {two / one:.2f}x")
        print(f"all of CelebA (202,599 images) at that rate: {202_599 / two:.0f} s on 2 workers, after its tables")
        if arguments.json:
            ratios = {
                "vs_shardwriter_pil": found["raygan"] / found["webdataset ShardWriter, PIL"],
                "share_of_decode_limit": found["raygan"] / found[DECODING],
                "two_workers_vs_one": two / one,
            }
            print(json.dumps({name: round(ratio, 3) for name, ratio in ratios.items()}))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
