"""Where images come from: every mistake is named with its file."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from raygan.pipeline.evaluation.sources import open_images
from raygan.sharding.errors import RunError, UserError


def save(path: Path, size: tuple[int, int] = (8, 6)) -> None:
    path.parent.mkdir(exist_ok=True, parents=True)
    Image.fromarray(np.full((size[1], size[0], 3), len(path.stem) * 9, np.uint8)).save(path)


def test_a_folder_is_read_in_the_order_of_its_paths_and_as_it_is(tmp_path: Path) -> None:
    for name in ("b/xx.png", "a.png", "b/x.PNG", "notes.txt"):
        save(tmp_path / name) if name != "notes.txt" else (tmp_path / name).write_text("")
    images = open_images(tmp_path)
    assert len(images) == 3
    assert images.identity["size"] == "8x6"
    batches = [*images.batches(0, 3, 2)]
    assert [batch.shape for batch in batches] == [(2, 3, 6, 8), (1, 3, 6, 8)]
    assert [int(batch[i, 0, 0, 0]) for batch in batches for i in range(len(batch))] == [9, 9, 18]


def test_an_array_gives_the_images_asked_for(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (10, 6, 8, 3), dtype=np.uint8)
    np.save(tmp_path / "x.npy", pixels)
    images = open_images(tmp_path / "x.npy")
    assert images.identity["size"] == "8x6"
    found = np.concatenate([batch.numpy() for batch in images.batches(3, 5, 2)])
    assert np.array_equal(found, pixels[3:8].transpose(0, 3, 1, 2))


def test_the_same_images_elsewhere_are_the_same_data(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        save(tmp_path / folder / "a.png")
    one, two = open_images(tmp_path / "one"), open_images(tmp_path / "two")
    assert one.identity == two.identity
    save(tmp_path / "two" / "bb.png")
    assert open_images(tmp_path / "two").identity != one.identity


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.zeros((4, 8, 8, 3), np.float32), "float32"),
        (np.zeros((4, 8, 8), np.uint8), r"\[4, 8, 8\]"),
        (np.zeros((4, 8, 8, 4), np.uint8), r"\[4, 8, 8, 4\]"),
    ],
)
def test_an_array_of_anything_but_images_is_refused(tmp_path: Path, pixels: np.ndarray, message: str) -> None:
    np.save(tmp_path / "x.npy", pixels)
    with pytest.raises(UserError, match=message):
        open_images(tmp_path / "x.npy")


def test_objects_in_an_array_are_not_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(UserError, match=r"x\.npy"):
        open_images(tmp_path / "x.npy")


def test_a_missing_or_empty_place_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no PNG, JPEG or WebP"):
        open_images(tmp_path)
    with pytest.raises(UserError, match="nowhere"):
        open_images(tmp_path / "nowhere")


def test_a_folder_of_two_sizes_is_refused_with_the_file(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    save(tmp_path / "b.png", (9, 9))
    with pytest.raises(UserError, match=r"b\.png: is 9x9, others are 8x6"):
        next(open_images(tmp_path).batches(0, 2, 2))


def test_a_broken_image_is_named(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:40])
    with pytest.raises(RunError, match=r"b\.png"):
        next(open_images(tmp_path).batches(0, 2, 2))
    (tmp_path / "a.png").write_bytes(b"nothing")
    with pytest.raises(RunError, match=r"a\.png"):
        open_images(tmp_path)
