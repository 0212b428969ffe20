"""Antialiased shapes on a floating-point picture: Pillow fills polygons at four times the size, NumPy blends them.

Points are float [n, 2], in pixels from the top left corner, x first; a pixel's centre has half-integer coordinates.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFilter

Floats = NDArray[np.float32]
Field = NDArray[np.floating]  # over the whole picture, [height, width]
_FINE = 4  # supersampling of sharp edges


class Mask(NamedTuple):
    """How much of each pixel a shape covers: float32 0 to 1 [h, w], whose top left corner lies at (x, y)."""

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
        """The inside of a closed polygon; `blur` pixels (a standard deviation) soften its edge."""
        outline = np.asarray(points, np.float64)
        margin = int(np.ceil(2.5 * blur)) + 1
        low = np.maximum(np.floor(outline.min(0)).astype(int) - margin, -margin)
        high = np.minimum(np.ceil(outline.max(0)).astype(int) + margin, (self.width + margin, self.height + margin))
        if (high <= low).any():
            return Mask(0, 0, np.zeros((0, 0), np.float32))
        fine = _FINE if blur < 1 else 1
        size = ((high - low) * fine).tolist()
        image = Image.new("L", size)
        corners = ((outline - low) * fine - 0.5).ravel().tolist()
        ImageDraw.Draw(image).polygon(corners, fill=255)
        if fine > 1:
            image = image.reduce(fine)
        if blur:
            image = image.filter(ImageFilter.GaussianBlur(blur))
        alpha = np.asarray(image, np.float32) * np.float32(1 / 255)
        x0, y0 = np.maximum(low, 0).tolist()
        x1, y1 = np.minimum(high, (self.width, self.height)).tolist()
        return Mask(x0, y0, alpha[y0 - low[1] : y1 - low[1], x0 - low[0] : x1 - low[0]])

    def paint(self, mask: Mask, colour: ArrayLike, shade: Field | None = None) -> None:
        """Lays a colour over the picture, brightened by `shade` (1 leaves it)."""
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


def curve(points: ArrayLike, closed: bool = False, steps: int = 8) -> NDArray[np.float64]:
    """A smooth line through the points (Catmull-Rom, `steps` segments between two), float64 [n, 2]."""
    p = np.asarray(points, np.float64)
    ends = (p[-1:], p[:2]) if closed else (2 * p[:1] - p[1:2], 2 * p[-1:] - p[-2:-1])
    p = np.concatenate((ends[0], p, ends[1]))
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    weights = 0.5 * np.concatenate(
        (-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2), axis=1
    )
    windows = np.stack((p[:-3], p[1:-2], p[2:-1], p[3:]), axis=1)
    line = np.einsum("sk,nkc->nsc", weights, windows).reshape(-1, 2)
    return line if closed else np.concatenate((line, p[-2:-1]))


def ribbon(line: NDArray[np.float64], width: ArrayLike) -> NDArray[np.float64]:
    """The outline of a stroke along `line` [n, 2] that is `width` pixels wide (one number, or one per point)."""
    along = np.gradient(line, axis=0)
    along /= np.maximum(np.hypot(along[:, :1], along[:, 1:]), 1e-9)
    across = np.stack((-along[:, 1], along[:, 0]), axis=1) * (np.broadcast_to(width, len(line)) / 2)[:, None]
    return np.concatenate((line + across, (line - across)[::-1]))


def ellipse(x: float, y: float, rx: float, ry: float, steps: int = 32) -> NDArray[np.float64]:
    """The outline of an upright ellipse, float64 [steps, 2]."""
    angle = np.linspace(0, 2 * np.pi, steps, endpoint=False)
    return np.stack((x + rx * np.cos(angle), y + ry * np.sin(angle)), axis=1)
