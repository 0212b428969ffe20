"""Decodes, crops, resizes and encodes images.

Resizing is antialiased: the filter is as wide as the reduction requires. An aliased one changes FID by whole points
 (Parmar et al., On Aliased Resizing and Surprising Subtleties in GAN Evaluation, CVPR 2022).
"""

import functools
import io
from typing import Any

import cykooz_resizer as resizer  # type: ignore[import-untyped]
import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from raygan.sharding.format.manifest import Crop, Encoding, Resize

Pixels = NDArray[np.uint8]

_FILTERS = {
    "bicubic": resizer.FilterType.catmull_rom,  # Keys with a = -0.5, Pillow's BICUBIC
    "bilinear": resizer.FilterType.bilinear,
    "lanczos": resizer.FilterType.lanczos3,
    "area": resizer.FilterType.box,
}


class ImageError(ValueError):
    """A picture that cannot be used; the message is the reason that `rejects.jsonl` gives."""


def decode(data: bytes) -> Pixels:
    """Decodes a picture in any format that Pillow reads to RGB, uint8 [height, width, 3].

    JPEG goes through libjpeg-turbo with the accurate DCT and smooth upsampling, which gives Pillow's pixels in half
    the time. Raises ImageError for a picture that is damaged or cut short.
    """
    try:
        if data[:2] == b"\xff\xd8":
            return simplejpeg.decode_jpeg(data, "RGB", fastdct=False, fastupsample=False)
        with Image.open(io.BytesIO(data)) as image:
            return np.asarray(image.convert("RGB"))
    except (ValueError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        reason = str(error) if data else "empty file"
        raise ImageError(f"cannot be decoded: {reason}") from error


def crop_centre(image: Pixels, crop: Crop, upscale: bool = False) -> Pixels:
    """The centre square of `crop` source pixels, as a view; the whole image where `crop` is "none".

    Raises ImageError if the image is smaller than the crop, unless `upscale`: then its largest centre square.
    """
    if crop == "none":
        return image
    height, width = image.shape[:2]
    side = min(crop, height, width) if upscale else crop
    if min(height, width) < side:
        raise ImageError(
            f"{width}x{height} pixels are less than the crop of {crop}; choose a smaller `crop`, or set `upscale`"
        )
    top, left = (height - side) // 2, (width - side) // 2
    return image[top : top + side, left : left + side]


def resized(image: Pixels, size: int, resize: Resize = "bicubic") -> Pixels:
    """Resizes [height, width, 3] to [size, size, 3] with an antialiased filter; the sides are scaled independently."""
    height, width = image.shape[:2]
    if (height, width) == (size, size):
        return image
    source = resizer.ImageData(width, height, resizer.PixelType.U8x3, image.tobytes())
    target = resizer.ImageData(size, size, resizer.PixelType.U8x3)
    worker, options = _resizer(resize)
    worker.resize(source, target, options)
    return np.frombuffer(target.get_buffer(), np.uint8).reshape(size, size, 3)


@functools.cache
def _resizer(resize: Resize) -> tuple[Any, Any]:
    return resizer.Resizer(), resizer.ResizeOptions(resize_alg=resizer.ResizeAlg.convolution(_FILTERS[resize]))


def encode(image: Pixels, encoding: Encoding) -> bytes:
    """Encodes uint8 [height, width, 3] as jpg (quality 95, 4:4:4), png or lossless webp; npy gives a .npy file."""
    if encoding == "jpg":
        return simplejpeg.encode_jpeg(np.ascontiguousarray(image), quality=95, colorspace="RGB", colorsubsampling="444")
    out = io.BytesIO()
    if encoding == "npy":
        np.lib.format.write_array(out, np.ascontiguousarray(image), version=(1, 0))
    elif encoding == "png":
        Image.fromarray(image).save(out, "png", compress_level=3)
    else:
        Image.fromarray(image).save(out, "webp", lossless=True, quality=0, method=0)
    return out.getvalue()
