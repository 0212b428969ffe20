"""Images per CPU-second, shuffled, in one process: raygan's reader, a gather from RAM, and other libraries.

    python -m benchmarks.reading [--images 7500] [--folder FOLDER] [--json]

Draws faces, converts their train split to npy and to jpg shards (32 shards, as many as the default window mixes), and
writes the same pixels in each library's own format. Everything is in the page cache. A reader's images are summed up
and compared with the gather's: lossless ones must agree in every byte, JPEGs in the mean pixel to within 1 of 255.
Summing up is not counted. Peers are not dependencies of raygan; what is not installed is skipped:

    pip install mosaicml-streaming litdata wids
"""

import argparse
import importlib.util
import itertools
import json
import tempfile
import time
import warnings
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from raygan.pipeline.data.dataset import DataSet
from raygan.pipeline.data.reader import Reader, sequential
from raygan.sharding.convert import convert
from raygan.sharding.format.images import encode
from raygan.sharding.format.manifest import Manifest
from raygan.sharding.hashing import permutation
from raygan.sharding.options import ShardingOptions
from raygan.sharding.synthetic import synthesize

Bytes = NDArray[np.uint8]
Make = Callable[[], Iterator[Bytes]]  # endless batches, uint8 [BATCH, size, size, 3]
BATCH, SHARDS, SECONDS = 128, 32, 1.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=7500, help="faces to draw; four fifths of them are read")
    parser.add_argument("--folder", type=Path, help="where to keep the data for the next time")
    parser.add_argument("--json", action="store_true", help="end with one JSON line")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory(prefix="raygan-reading-") as temporary:
        folder = options.folder or Path(temporary)
        prepare(folder, options.images)
        rates = measure(folder)
    ram = rates["gather from RAM"]
    assert ram is not None, "it needs no library"
    print(f"\n{'reader':34}{'images/CPU-s':>14}{'of RAM':>9}")
    for name, rate in rates.items():
        print(f"{name:34}" + (f"{rate:14,.0f}{rate / ram:9.3f}" if rate else f"{'not installed, skipped':>23}"))
    if options.json:
        npy, jpg, peer_jpg = (rates[name] or 0 for name in ("raygan npy", "raygan jpg", "webdataset jpg"))
        peers = [rate for name, rate in rates.items() if rate and not name.startswith(("raygan", "gather"))]
        ratios = {
            "npy_vs_ram": npy / ram,
            "jpg_vs_webdataset_jpg": jpg / peer_jpg,
            "npy_vs_best_peer": npy / max(peers),
        }
        print(json.dumps({name: round(ratio, 3) for name, ratio in ratios.items()}))


def measure(folder: Path) -> dict[str, float | None]:
    """Images per CPU-second of every reader; None for a peer that is not installed."""
    data = DataSet.open(str(folder / "npy"))
    samples = data.manifest.samples("train")
    pixels = torch.cat(list(sequential(data, "train", 0, samples, 1024))).permute(0, 2, 3, 1)
    array = pixels.contiguous()
    readers: dict[str, tuple[Make, str]] = {
        "gather from RAM": (lambda: from_ram(array), ""),
        "raygan npy": (lambda: raygan(folder / "npy"), ""),
        "raygan npy, flips": (lambda: raygan(folder / "npy", flip=True), ""),
        "raygan npy, cache=device (cpu)": (lambda: raygan(folder / "npy", cache="device"), ""),
        "raygan jpg": (lambda: raygan(folder / "jpg"), ""),
        "webdataset npy, raw bytes": (lambda: webdataset_npy(folder / "npy"), "webdataset"),
        "webdataset jpg": (lambda: webdataset_jpg(folder / "jpg"), "webdataset"),
        "wids npy": (lambda: wids_npy(folder / "npy"), "wids"),
        "Mosaic MDS": (lambda: mosaic(folder / "mds", array.numpy()), "streaming"),
        "litdata": (lambda: litdata(folder / "litdata", array.numpy()), "litdata"),
        "folder of jpg, torchvision": (lambda: folder_of_jpg(folder / "folder", array.numpy()), "torchvision"),
    }
    expected = fingerprint(from_ram(array), samples)
    rates: dict[str, float | None] = {}
    for name, (make, library) in readers.items():
        if library and importlib.util.find_spec(library) is None:
            rates[name] = None
            continue
        found = fingerprint(make(), samples)
        lossless = "jpg" not in name and "flip" not in name
        if abs(found[0] - expected[0]) > 1 or (lossless and found != expected):
            raise SystemExit(f"{name} gave other images: {found} instead of {expected}")
        rates[name] = rate(make())
    return rates


def fingerprint(batches: Iterator[Bytes], samples: int) -> tuple[float, int]:
    """Mean pixel and the sum of the images' CRC-32 over the first whole batches of an epoch, whatever their order.

    The last batch of an epoch is cut to what is left of it.
    """
    total, crc, left = 0, 0, samples
    for batch in batches:
        images = batch[:left]
        total += int(images.sum(dtype=np.int64))
        crc += sum(zlib.crc32(np.ascontiguousarray(image).data) for image in images)
        left -= len(images)
        if not left:
            break
    return round(total / samples / images[0].size, 4), crc


def rate(batches: Iterator[Bytes]) -> float:
    """Images per CPU-second of the whole process, its threads included; the best of three stretches."""
    next(batches)
    rates = []
    for _ in range(3):
        images, started = 0, time.process_time()
        while time.process_time() - started < SECONDS:
            images += sum(len(next(batches)) for _ in range(8))
        rates.append(images / (time.process_time() - started))
    return max(rates)


def prepare(folder: Path, images: int) -> None:
    """Draws and converts what is not there yet."""
    if not (folder / "faces" / "list_attr_celeba.txt").exists():
        print(f"drawing {images:,} faces", flush=True)
        synthesize(folder / "faces", images)
    for encoding in ("npy", "jpg"):
        print(f"{encoding} shards", flush=True)
        options = ShardingOptions(encoding=encoding, split="train", samples_per_shard=-(-images * 4 // 5 // SHARDS))
        convert(str(folder / "faces"), str(folder / encoding), options)


def from_ram(array: torch.Tensor) -> Iterator[Bytes]:
    for epoch in itertools.count():
        order = torch.from_numpy(permutation(epoch, len(array)))
        for first in range(0, len(array), BATCH):
            yield array.index_select(0, order[first : first + BATCH]).numpy()


def raygan(folder: Path, **options: object) -> Iterator[Bytes]:
    with Reader(DataSet.open(str(folder)), "train", BATCH, **options) as reader:  # type: ignore[arg-type]
        for batch in reader:
            yield batch.images.permute(0, 2, 3, 1).numpy()


def batched(samples: Iterator[Bytes]) -> Iterator[Bytes]:
    while True:
        yield np.stack(list(itertools.islice(samples, BATCH)))


def webdataset_samples(folder: Path) -> Iterator[dict]:
    import webdataset

    paths = [str(path) for path in sorted(folder.glob("train-*.tar"))]
    while True:
        yield from webdataset.WebDataset(paths, shardshuffle=False, empty_check=False).shuffle(1000)


def webdataset_npy(folder: Path) -> Iterator[Bytes]:
    return batched(np.frombuffer(s["npy"], np.uint8, offset=128).reshape(64, 64, 3) for s in webdataset_samples(folder))


def webdataset_jpg(folder: Path) -> Iterator[Bytes]:
    from webdataset.autodecode import imagehandler

    decode = imagehandler("rgb8")
    return batched(decode("jpg", sample["jpg"]) for sample in webdataset_samples(folder))


def wids_npy(folder: Path) -> Iterator[Bytes]:
    import wids

    entries = Manifest.load(folder).shards
    shards = [{"url": str(folder / entry.name), "nsamples": entry.count} for entry in entries]
    data = wids.ShardListDataset(shards, transformations=[], lru_size=SHARDS + 1, keep=True)
    order = itertools.chain.from_iterable(permutation(epoch, len(data)).tolist() for epoch in itertools.count())
    return batched(np.frombuffer(data[i][".npy"].getvalue(), np.uint8, offset=128).reshape(64, 64, 3) for i in order)


def mosaic(folder: Path, array: Bytes) -> Iterator[Bytes]:
    from streaming import MDSWriter, StreamingDataset

    if not folder.exists():
        with MDSWriter(out=str(folder), columns={"image": "ndarray:uint8:64,64,3"}) as writer:
            for image in array:
                writer.write({"image": image})
    data = StreamingDataset(local=str(folder), shuffle=True, batch_size=BATCH)
    return batched(sample["image"] for _ in itertools.count() for sample in data)


def litdata(folder: Path, array: Bytes) -> Iterator[Bytes]:
    from litdata import StreamingDataset
    from litdata.streaming.cache import Cache

    if not folder.exists():
        cache = Cache(str(folder), chunk_bytes="16MB")
        for index, image in enumerate(array):
            cache[index] = image
        cache.done()
        cache.merge()
    data = StreamingDataset(str(folder), shuffle=True)
    return batched(sample for _ in itertools.count() for sample in data)


def folder_of_jpg(folder: Path, array: Bytes) -> Iterator[Bytes]:
    from torchvision.io import ImageReadMode, decode_jpeg, read_file

    if not folder.exists():
        folder.mkdir()
        for index, image in enumerate(array):
            (folder / f"{index:06}.jpg").write_bytes(encode(image, "jpg"))
    paths = sorted(map(str, folder.iterdir()))
    order = itertools.chain.from_iterable(permutation(epoch, len(paths)).tolist() for epoch in itertools.count())
    images = (decode_jpeg(read_file(paths[index]), ImageReadMode.RGB) for index in order)
    return batched(image.permute(1, 2, 0).numpy() for image in images)


if __name__ == "__main__":
    main()
