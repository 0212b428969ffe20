"""Antialiased shapes on a floating-point picture: Pillow fills polygons at four times the size, and NumPy blends them.

Points are float [n, 2], in pixels from the top left corner, x first; a pixel's centre has half-integer coordinates.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFilter

Floats = NDArray[np.float32]
Field = NDArray[np.floating]  # over the whole picture, [height, width]
_FINE = 4  # supersampling of sharp edges
_TURN = np.linspace(0, 2 * np.pi, 32, endpoint=False)
_CIRCLE = np.stack((np.cos(_TURN), np.sin(_TURN)), axis=1)
_T = np.linspace(0, 1, 8, endpoint=False)
_SPLINE = 0.5 * np.stack(  # weights of four points at eight places between the middle two
    (-_T + 2 * _T**2 - _T**3, 2 - 5 * _T**2 + 3 * _T**3, _T + 4 * _T**2 - 3 * _T**3, _T**3 - _T**2), axis=1
)


class Mask(NamedTuple):
    """How much of each pixel a shape covers: float32 0 to 1 [h, w], whose top left corner is at (x, y)."""

    x: int
    y: int
    alpha: Floats

    @property
    def box(self) -> tuple[slice, slice]:
        """Rows and columns of the picture."""
        height, width = self.alpha.shape
        return slice(self.y, self.y + height), slice(self.x, self.x + width)

    def times(self, field: Floats | float) -> "Mask":
        """The mask scaled by a number, or by a field over the whole picture [height, width]."""
        return Mask(self.x, self.y, self.alpha * (field[self.box] if isinstance(field, np.ndarray) else field))

    def within(self, other: "Mask") -> "Mask":
        """The part of this mask that `other` covers too."""
        height, width = self.alpha.shape
        x0, y0 = max(self.x, other.x), max(self.y, other.y)
        x1 = max(x0, min(self.x + width, other.x + other.alpha.shape[1]))
        y1 = max(y0, min(self.y + height, other.y + other.alpha.shape[0]))
        mine = self.alpha[y0 - self.y : y1 - self.y, x0 - self.x : x1 - self.x]
        return Mask(x0, y0, mine * other.alpha[y0 - other.y : y1 - other.y, x0 - other.x : x1 - other.x])


class Canvas:
    """A picture of width x height pixels, float32 0 to 255, in planes [3, height, width]."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.planes: Floats = np.zeros((3, height, width), np.float32)

    def shape(self, points: ArrayLike, blur: float = 0.0) -> Mask:
        """The inside of a closed polygon [n, 2]; `blur` is the standard deviation that softens its edge, in pixels."""
        outline = np.asarray(points, np.float64)
        margin = math.ceil(2.5 * blur) + 1
        (left, top), (right, bottom) = outline.min(0).tolist(), outline.max(0).tolist()
        left, top = max(math.floor(left), 0) - margin, max(math.floor(top), 0) - margin
        right, bottom = min(math.ceil(right), self.width) + margin, min(math.ceil(bottom), self.height) + margin
        if right <= left or bottom <= top or left >= self.width or top >= self.height:
            return Mask(0, 0, np.zeros((0, 0), np.float32))
        fine = _FINE if blur < 1 else 1
        image = Image.new("L", ((right - left) * fine, (bottom - top) * fine))
        corners = ((outline - (left, top)) * fine - 0.5).ravel().tolist()
        ImageDraw.Draw(image).polygon(corners, fill=255)
        if fine > 1:
            image = image.reduce(fine)
        if blur:
            image = image.filter(ImageFilter.GaussianBlur(blur))
        alpha = np.asarray(image, np.float32) * np.float32(1 / 255)
        x, y = max(left, 0), max(top, 0)
        return Mask(x, y, alpha[y - top : self.height - top, x - left : self.width - left])

    def paint(self, mask: Mask, colour: ArrayLike, shade: Field | None = None) -> None:
        """Paints with a colour (0 to 255, [3]), which `shade`, a factor for each pixel, makes brighter or darker."""
        ink = np.asarray(colour, np.float32)[:, None, None]
        if shade is not None:
            ink = ink * shade[mask.box].astype(np.float32)
        region = self.planes[:, mask.box[0], mask.box[1]]
        region += mask.alpha * (ink - region)

    def darken(self, mask: Mask, strength: float, tint: ArrayLike = (0.35, 0.2, 0.18)) -> None:
        """Multiplies what is there by `tint` (per channel, 0 to 1) where the mask covers, as a shadow does."""
        loss = 1 - np.asarray(tint, np.float32)[:, None, None]
        region = self.planes[:, mask.box[0], mask.box[1]]
        region *= 1 - (strength * mask.alpha) * loss

    def lighten(self, mask: Mask, strength: float, colour: ArrayLike = (255, 250, 240)) -> None:
        """Adds light: `strength` of the way to `colour` where the mask covers fully."""
        self.paint(mask.times(strength), colour)

    def pixels(self) -> NDArray[np.uint8]:
        """The picture as uint8 [height, width, 3]."""
        return np.clip(self.planes + np.float32(0.5), 0, 255).astype(np.uint8).transpose(1, 2, 0)


def curve(points: ArrayLike, closed: bool = False) -> NDArray[np.float64]:
    """A smooth line through the points (Catmull-Rom, eight segments between two), float64 [n, 2]."""
    p = np.asarray(points, np.float64)
    ends = (p[-1:], p[:2]) if closed else (2 * p[:1] - p[1:2], 2 * p[-1:] - p[-2:-1])
    p = np.concatenate((ends[0], p, ends[1]))
    windows = np.stack((p[:-3], p[1:-2], p[2:-1], p[3:]), axis=1)
    line = (_SPLINE @ windows).reshape(-1, 2)
    return line if closed else np.concatenate((line, p[-2:-1]))


def ribbon(line: NDArray[np.float64], width: ArrayLike) -> NDArray[np.float64]:
    """The outline of a stroke along `line` [n, 2] that is `width` pixels wide (one number, or one per point)."""
    along = np.concatenate((line[1:2] - line[:1], line[2:] - line[:-2], line[-1:] - line[-2:-1]))
    half = np.asarray(width) / (2 * np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-9))
    across = along[:, ::-1] * (-1, 1) * half[:, None]
    return np.concatenate((line + across, (line - across)[::-1]))


def ellipse(x: float, y: float, rx: float, ry: float) -> NDArray[np.float64]:
    """The outline of an upright ellipse, float64 [32, 2]."""
    return _CIRCLE * (rx, ry) + (x, y)
