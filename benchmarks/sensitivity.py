"""What each score sees: real images, damaged in known ways, against other real images.

    python -m benchmarks.sensitivity REAL [--extractor randconv] [--extractor file:...] [--count 1000] [--json]

REAL is a data set, a folder of images or an .npy file. The first `count` images are the reference; the next `count`
are damaged. The first row, undamaged, is the floor: a score that stays near it has not seen the damage. KID is printed
in thousandths of the strongest blur's, so that extractors of any scale can be compared.
"""

import argparse
import functools
import json
import tempfile
from collections.abc import Callable

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as TF

from raygan.pipeline.evaluation.scores import Evaluator
from raygan.pipeline.evaluation.sources import open_images

Damage = Callable[[Tensor], Tensor]


def blur(deviation: float) -> Damage:
    side = 2 * int(4 * deviation) + 1
    return lambda images: TF.gaussian_blur(images, [side, side], [deviation, deviation])


def noise(deviation: float) -> Damage:
    def damage(images: Tensor) -> Tensor:
        drawn = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
        return (images + deviation * drawn).round().clamp(0, 255).byte()

    return damage


def jpeg(quality: int) -> Damage:
    return lambda images: torch.stack([TF.jpeg(image, quality) for image in images])


def modes(count: int) -> Damage:
    """Only the first `count` images, over and over."""
    return lambda images: images[torch.arange(len(images)) % count]


def redder(amount: int) -> Damage:
    shift = torch.tensor([amount, 0, 0]).view(3, 1, 1)
    return lambda images: (images.short() + shift).clamp(0, 255).byte()


def crop(pixels: int) -> Damage:
    """Cuts `pixels` off the left and the right, and widens the rest."""
    return lambda images: TF.resize(images[..., pixels:-pixels], list(images.shape[-2:]), antialias=True)


DAMAGES: dict[str, Damage] = {
    "none (floor)": lambda images: images,
    "blur, 0.5 pixels": blur(0.5),
    "blur, 1 pixel": blur(1),
    "blur, 2 pixels": blur(2),
    "noise, deviation 5": noise(5),
    "noise, deviation 15": noise(15),
    "noise, deviation 30": noise(30),
    "JPEG, quality 50": jpeg(50),
    "JPEG, quality 20": jpeg(20),
    "500 modes": modes(500),
    "150 modes": modes(150),
    "25 modes": modes(25),
    "red + 10 of 255": redder(10),
    "red + 30 of 255": redder(30),
    "crop, 2 pixels a side": crop(2),
    "crop, 6 pixels a side": crop(6),
    "flipped": lambda images: images.flip(3),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("real")
    parser.add_argument("--extractor", action="append", help="may be given several times [default: randconv]")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--json", action="store_true", help="end with one JSON line")
    arguments = parser.parse_args()
    count = arguments.count
    images = next(open_images(arguments.real).batches(count, count, count)).contiguous()
    found = {}
    for spec in arguments.extractor or ["randconv"]:
        with tempfile.TemporaryDirectory() as cache:
            evaluator = Evaluator(
                arguments.real, extractor=spec, count=count, metrics=["fid", "kid", "pr"], cache=cache
            )
            found[evaluator.extractor.name] = table(evaluator, images)
    if arguments.json:
        print(json.dumps(found))


def _rows(images: Tensor, first: int, number: int) -> Tensor:
    return images[first : first + number]


def table(evaluator: Evaluator, images: Tensor) -> dict[str, dict[str, float]]:
    rows = {}
    for name, damage in DAMAGES.items():
        damaged = damage(images)
        scores = evaluator.score(functools.partial(_rows, damaged))
        rows[name] = {key.split("_")[0]: value for key, value in scores.items()}
    floor, scale = rows["none (floor)"], rows["blur, 2 pixels"]["kid"] / 1000
    print(f"\n{evaluator.extractor.name}, {len(images)} images; floor: FD {floor['fd']:.4g}, KID {floor['kid']:.3g}")
    print(f"{'damage':24}{'FD / floor':>12}{'KID':>9}{'precision':>11}{'recall':>8}")
    for name, row in rows.items():
        fd, kid = row["fd"] / floor["fd"], row["kid"] / scale
        print(f"{name:24}{fd:12.2f}{kid:9.1f}{row['precision']:11.2f}{row['recall']:8.2f}")
    return rows


if __name__ == "__main__":
    main()
