"""Opens pictures without annotations, such as FFHQ: every picture in a folder and below it, or in a zip."""

from raygan.sharding.sources.pictures import ListedPictures, stem_of
from raygan.sharding.sources.source import Source, assemble, random_splits


def open_plain(pictures: ListedPictures, sizes: dict[str, int], seed: int, held_out: float) -> Source:
    """A source of the pictures in `sizes` (bytes by name), without annotations; the split is drawn from `seed`."""
    return assemble(
        kind=f"plain {pictures.kind} of {len(sizes)} images without annotations, split by seed {seed}",
        pictures=pictures,
        names=list(sizes),
        stems=[stem_of(name) for name in sizes],
        lengths=list(sizes.values()),
        splits=random_splits(len(sizes), seed, held_out),
    )
