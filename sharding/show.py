"""Shows a data set: its properties in words, and a contact sheet of its images."""

import io

import numpy as np
from PIL import Image

from raygan.sharding.errors import UserError
from raygan.sharding.format.manifest import SPLITS, Crop, Manifest
from raygan.sharding.format.shard import open_shard
from raygan.sharding.storage.folder import Folder

CROPS: dict[Crop, str] = {  # whose published code uses it; FIDs of different crops do not compare
    178: "the largest centre square: mimicry",
    160: "pytorch-generative-model-collections",
    148: "PyTorch-VAE",
    140: "score_sde",
    108: "DCGAN-tensorflow",
    "none": "the whole image squeezed: Keras' DCGAN example",
}


def describe(manifest: Manifest) -> list[tuple[str, str]]:
    """The properties of a data set for a person to read: pairs of a label and a text."""
    sizes = sum(entry.bytes for entry in manifest.shards)
    per_split = [
        f"{manifest.samples(split):,} {split} in {len(manifest.shards_of(split))} shards"
        for split in SPLITS
        if manifest.shards_of(split)
    ]
    crop = f"{manifest.crop}" + (f" ({CROPS[manifest.crop]})" if manifest.crop in CROPS else "")
    facts = [
        ("source", manifest.kind),
        ("images", ", ".join(per_split)),
        ("format", f"{manifest.encoding}, {manifest.size}x{manifest.size}, {sizes / 1e6:,.1f} MB in all"),
        ("crop", f"{crop}, {manifest.resize} resize, antialiased"),
        ("attributes", ", ".join(manifest.attributes) or "none"),
        ("digest", manifest.digest),
    ]
    if manifest.mean and manifest.deviation:
        pairs = zip(manifest.mean, manifest.deviation, strict=True)
        facts.insert(4, ("channels", ", ".join(f"{mean:.1f} ± {deviation:.1f}" for mean, deviation in pairs)))
    if manifest.lanes > 1:
        facts.insert(2, ("lanes", str(manifest.lanes)))
    if manifest.rejects:
        facts.append(("rejects", f"{manifest.rejects} images left out, see rejects.jsonl"))
    return facts


def contact_sheet(folder: str, split: str | None = None, columns: int = 10, rows: int = 8) -> bytes:
    """A PNG of images spread evenly over a split (default: the first that has any), `columns` by `rows` of them.

    Raises UserError if there is no data set or the split is empty, RunError if a shard is damaged.
    """
    manifest = Manifest.load(folder)
    chosen = split or next((name for name in SPLITS if manifest.samples(name)), SPLITS[0])
    total = manifest.samples(chosen)
    if not total:
        raise UserError(f"{folder}: no images in the split {chosen}; choose another")
    chosen_rows = np.unique(np.linspace(0, total - 1, columns * rows).astype(int))
    images, first = [], 0
    for entry in manifest.shards_of(chosen):
        rows_here = chosen_rows[(chosen_rows >= first) & (chosen_rows < first + entry.count)] - first
        first += entry.count
        if len(rows_here):
            with Folder(folder).on_disk(entry.name) as path:
                shard = open_shard(path, entry, manifest)
                images += [shard.image(int(row)) for row in rows_here]
    size = images[0].shape[0]
    sheet = np.full((-(-len(images) // columns) * (size + 2) + 2, columns * (size + 2) + 2, 3), 255, np.uint8)
    for number, image in enumerate(images):
        top, left = 2 + number // columns * (size + 2), 2 + number % columns * (size + 2)
        sheet[top : top + size, left : left + size] = image
    out = io.BytesIO()
    Image.fromarray(sheet).save(out, "png")
    return out.getvalue()
