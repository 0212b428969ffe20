"""Decoding, cropping and resizing give what Pillow gives, and damaged pictures are refused."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from raygan.sharding.format.images import ImageError, crop_centre, decode, encode, resized
from tests.sharding.sources import made as sources

FILTERS = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "lanczos": Image.Resampling.LANCZOS,
    "area": Image.Resampling.BOX,
}


def test_a_jpeg_is_decoded_to_the_pixels_of_pillow() -> None:
    data = sources.jpeg(5)
    assert (decode(data) == np.asarray(Image.open(io.BytesIO(data)))).all()


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK"])
def test_every_kind_of_picture_becomes_rgb(mode: str) -> None:
    for kind in ("jpeg",) if mode in ("L", "CMYK") else ("png",):
        out = io.BytesIO()
        Image.fromarray(sources.face(1)).convert(mode).save(out, kind)
        expected = np.asarray(Image.open(io.BytesIO(out.getvalue())).convert("RGB")).astype(int)
        image = decode(out.getvalue())
        assert image.shape == (218, 178, 3)
        assert np.abs(image - expected).max() <= 1


@pytest.mark.parametrize("size", [32, 64, 128, 256])
@pytest.mark.parametrize("name", list(FILTERS))
def test_resizing_is_antialiased_as_in_pillow(name: str, size: int) -> None:
    noise = np.random.default_rng(size).integers(90, 166, (178, 178, 3), np.uint8)  # overshoots stay within 0 to 255
    ours = resized(noise, size, name).astype(int)  # type: ignore[arg-type]
    pillow = np.asarray(Image.fromarray(noise).resize((size, size), FILTERS[name]))
    assert np.abs(ours - pillow).mean() < 0.5
    assert np.abs(ours - pillow).max() <= 2


def test_a_checkerboard_becomes_grey() -> None:
    board = np.tile((np.indices((178, 178)).sum(0) % 2 * 255).astype(np.uint8)[:, :, None], (1, 1, 3))
    assert np.abs(resized(board, 64)[2:-2, 2:-2].astype(int) - 127).max() < 12


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 60))
def test_the_crop_is_the_centre(height: int, width: int, crop: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    if crop > min(height, width):
        with pytest.raises(ImageError, match="smaller `crop`, or set `upscale`"):
            crop_centre(image, crop)
        side = min(height, width)
        assert crop_centre(image, crop, upscale=True).shape == (side, side, 3)
    else:
        cropped = crop_centre(image, crop)
        assert cropped.shape == (crop, crop, 3)
        pad = ((height - crop) // 2, (width - crop) // 2)
        assert (cropped == image[pad[0] : pad[0] + crop, pad[1] : pad[1] + crop]).all()
    assert crop_centre(image, "none").shape == image.shape


@settings(deadline=None)
@given(st.integers(0, 20_000))
def test_a_picture_that_is_cut_short_is_refused(length: int) -> None:
    for data in (sources.jpeg(1), sources.png(1)):
        with pytest.raises(ImageError, match="cannot be decoded"):
            decode(data[: length % (len(data) - 30)])


@pytest.mark.parametrize("encoding", ["npy", "png", "webp"])
def test_lossless_encodings_lose_nothing(encoding: str) -> None:
    image = resized(sources.face(3)[20:198], 64)
    data = encode(image, encoding)  # type: ignore[arg-type]
    decoded = np.load(io.BytesIO(data)) if encoding == "npy" else decode(data)
    assert (decoded == image).all()
    assert encode(image, encoding) == data  # type: ignore[arg-type]


def test_jpg_stays_close() -> None:
    image = resized(sources.face(3)[20:198], 64)
    assert np.abs(decode(encode(image, "jpg")).astype(int) - image).mean() < 2
