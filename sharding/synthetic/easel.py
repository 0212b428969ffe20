"""What every part of the drawing shares: the canvas, the portrait, and where the face stands on the picture.

Parts are drawn in face coordinates: u to the right and v down, in pixels, from the point between the eyes. CelebA's
aligned faces have it at (89, 111), the eyes 20 to either side and the mouth about 41 below; so have ours.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sharding.synthetic.canvas import Canvas, Floats, Mask
from sharding.synthetic.portrait import Portrait

WIDTH, HEIGHT = 178, 218
EYE = 20.0  # u of the right eye
_CENTRE = (89.0, 111.0)
_X = (np.arange(WIDTH, dtype=np.float32) + np.float32(0.5))[None, :]
_Y = (np.arange(HEIGHT, dtype=np.float32) + np.float32(0.5))[:, None]


class Easel:
    """The canvas, with `u` and `v` of every pixel's centre, both float32 [HEIGHT, WIDTH]."""

    def __init__(self, portrait: Portrait) -> None:
        self.person, self.scene = portrait.person, portrait.scene
        self.canvas = Canvas(WIDTH, HEIGHT)
        angle = np.deg2rad(self.scene.roll)
        self._turn = self.scene.scale * np.array(((np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))))
        self._origin = np.add(_CENTRE, self.scene.shift)
        back = np.linalg.inv(self._turn).astype(np.float32)
        x, y = _X - np.float32(self._origin[0]), _Y - np.float32(self._origin[1])
        self.u: Floats = x * back[0, 0] + y * back[1, 0]
        self.v: Floats = x * back[0, 1] + y * back[1, 1]

    def place(self, points: ArrayLike) -> NDArray[np.float64]:
        """Face coordinates [n, 2] as pixels [n, 2]."""
        return np.asarray(points, np.float64) @ self._turn + self._origin

    def shape(self, points: ArrayLike, blur: float = 0.0, shift: tuple[float, float] = (0, 0)) -> Mask:
        """The inside of a polygon given in face coordinates, moved by `shift` pixels."""
        return self.canvas.shape(self.place(np.add(points, shift)), blur)

    def lean(self, v: ArrayLike) -> NDArray[np.float64]:
        """How far the head's outline at height v moves sideways when the head turns, while the eyes stay in place."""
        return self.scene.yaw * (-4.0 + 6.5 * np.clip(np.asarray(v) / 70, 0, 1))

    def bump(self, u: float, v: float, su: float, sv: float) -> tuple[Floats, Floats]:
        """A Gaussian hill of height 1 as its two factors, along x [1, WIDTH] and along y [HEIGHT, 1]."""
        x, y = self.place((u, v))
        return np.exp(-0.5 * ((_X - np.float32(x)) / su) ** 2), np.exp(-0.5 * ((_Y - np.float32(y)) / sv) ** 2)

    def slope(self, u: float, v: float, su: float, sv: float, height: float) -> tuple[Floats, Floats]:
        """The downhill slope (along x, along y) of a hill that is `height` pixels high, each [HEIGHT, WIDTH]."""
        x, y = self.place((u, v))
        across, down = self.bump(u, v, su, sv)
        across = across * np.float32(height)
        return (across * ((_X - np.float32(x)) / su**2)) * down, across * (down * ((_Y - np.float32(y)) / sv**2))


def mirrored(half: ArrayLike) -> NDArray[np.float64]:
    """A closed outline from its right half, given from top to bottom."""
    right = np.asarray(half, np.float64)
    return np.concatenate((right, right[::-1] * (-1, 1)))
