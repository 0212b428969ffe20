"""What every part of the drawing shares: the canvas, the portrait, and the position of the face in the picture.

Parts are drawn in face coordinates: u to the right and v down, in pixels, from the point between the eyes. As in
CelebA's aligned pictures, that point is at (89, 111), the eyes are 20 pixels to either side of it, and the mouth is
about 41 below.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from raygan.sharding.synthetic.canvas import Canvas, Floats, Mask
from raygan.sharding.synthetic.portrait import Portrait

WIDTH, HEIGHT = 178, 218
EYE = 20.0  # u of the right eye
_CENTRE = (89.0, 111.0)
_X = (np.arange(WIDTH, dtype=np.float32) + np.float32(0.5))[None, :]
_Y = (np.arange(HEIGHT, dtype=np.float32) + np.float32(0.5))[:, None]


class FaceFrame:
    """A portrait, the canvas that it is drawn on, and `u` and `v` of every pixel's centre, float32 [HEIGHT, WIDTH]."""

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
        """The inside of a polygon in face coordinates [n, 2], moved by `shift`; `blur` is in pixels."""
        return self.canvas.shape(self.place(np.add(points, shift)), blur)

    def lean(self, v: ArrayLike) -> NDArray[np.float64]:
        """How many pixels the outline of the head at v moves sideways, because the head is turned: float64, as v."""
        return self.scene.yaw * (-3.2 + 5.7 * np.clip(np.asarray(v) / 70, 0, 1))

    def slopes(self, hills: ArrayLike) -> tuple[Floats, Floats]:
        """The downhill slope of a surface of Gaussian hills, along x and along y, each float32 [HEIGHT, WIDTH].

        A hill is (u, v, standard deviation along x, along y, height), all in pixels: [n, 5]. Gaussians separate, so
        the sum over the hills is a product of two thin matrices.
        """
        table = np.asarray(hills, np.float64)
        centre, (su, sv, height) = self.place(table[:, :2]), table[:, 2:].T[:, :, None].astype(np.float32)
        x, y = (_X - centre[:, :1].astype(np.float32)) / su, (_Y.T - centre[:, 1:].astype(np.float32)) / sv
        across, down = height * np.exp(-0.5 * x * x), np.exp(-0.5 * y * y)
        # einsum, because BLAS would start its threads for this: three times slower where cores are shared
        return np.einsum("ny,nx->yx", down, across * x / su), np.einsum("ny,nx->yx", down * y / sv, across)


def symmetric(half: ArrayLike) -> NDArray[np.float64]:
    """A closed outline, float64 [2n, 2], from its right half [n, 2], given from top to bottom."""
    right = np.asarray(half, np.float64)
    return np.concatenate((right, right[::-1] * (-1, 1)))
