"""The head itself: its outline, the skin with the light on it, ears and neck."""

import numpy as np
from numpy.typing import NDArray

from raygan.sharding.synthetic.canvas import Floats, Mask, ellipse
from raygan.sharding.synthetic.frame import EYE, FaceFrame, symmetric

_MIDDLE = 4.0  # v where the head is widest
_SHADE = np.array((0.68, 1.0, 1.12), np.float32)  # skin turns redder where it is darker


def half_width(frame: FaceFrame) -> float:
    """Half the width of the face at the eyes, in pixels."""
    return 38.0 * frame.person.face_width


def chin(frame: FaceFrame) -> float:
    """v of the chin."""
    return 69.0 + frame.person.chin


def outline(frame: FaceFrame) -> NDArray[np.float64]:
    """The head without hair: two superellipses that meet where it is widest, float64 [n, 2] in face coordinates."""
    angle = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    across, down = np.cos(angle), np.sin(angle)
    below = down > 0
    power = 2 / np.where(below, frame.person.jaw, 2.25)
    u = half_width(frame) * np.sign(across) * np.abs(across) ** power
    v = _MIDDLE + np.where(below, chin(frame) - _MIDDLE, 66) * np.sign(down) * np.abs(down) ** power
    return np.stack((u + frame.lean(v), v), axis=1)


def relief(frame: FaceFrame) -> Floats:
    """How bright the light makes the face, about 1 where it faces the viewer: float32 [HEIGHT, WIDTH].

    Lambert's law on an ellipsoid with Gaussian hills for brows, nose, cheeks, lips and chin.
    """
    person, scene = frame.person, frame.scene
    yaw, smile, nose = scene.yaw, max(scene.smile, 0.0), person.nose_width
    low = chin(frame)
    nu = (frame.u - np.float32(yaw * -1.5)) / np.float32(half_width(frame) * 1.07)
    nv = (frame.v - np.float32(2)) / np.float32(74)
    nz = np.sqrt(np.maximum(1 - nu * nu - nv * nv, np.float32(0.1)))
    tip = 22 * person.nose_length
    hills = [
        (1.2 * yaw, -34.0, 24.0, 13.0, 2.5),
        (1.5 * yaw, 8.0, 4.6, 11.0, 3.6),
        (6.0 * yaw, tip, 6.4 * nose - 1.6 * person.nose_point, 5.0, 4.6),
        (4.0 * yaw, 38.0, 12.0, 3.5, 1.3),
        (3.6 * yaw, 54.5, 10.0, 3.2, -2.0),
        (2.8 * yaw, low - 7, 11.0, 7.0, 3.4),
    ]
    for side in (-1, 1):
        hills += [
            (side * (EYE - 1), -12.0, 11.0, 5.0, 2.0),
            (side * EYE, 0.0, 10.0, 6.5, -3.0),
            (side * 9.0 * nose + 5 * yaw, tip + 3, 3.6, 3.6, 1.8),
            (side * 25.0 + 2 * yaw, 22 - 4 * smile, 10.0, 8.0, 2.0 + 2.0 * person.cheekbones + 2.0 * smile),
            (side * 28.0 + 2 * yaw, 42.0, 7.0, 10.0, -1.5 - 1.5 * person.cheekbones),
        ]
    across, down = frame.slopes(hills)
    gu, gv = nu / nz + across, nv / nz + down
    lu, lv, lz = scene.light
    facing = (gu * np.float32(lu) + gv * np.float32(lv) + np.float32(lz)) / np.sqrt(1 + gu * gu + gv * gv)
    return np.float32(0.54) + np.float32(0.57) * np.maximum(facing, 0)


def paint_skin(frame: FaceFrame, mask: Mask, light: Floats) -> None:
    """Paints skin where the mask covers, under a light of 0 to about 1.1 [HEIGHT, WIDTH]."""
    ink = np.asarray(frame.person.skin, np.float32)[:, None, None] * (1 - _SHADE[:, None, None] * (1 - light[mask.box]))
    region = frame.canvas.planes[:, mask.box[0], mask.box[1]]
    region += mask.alpha * (ink - region)


def draw_neck(frame: FaceFrame) -> None:
    """Neck and shoulders as bare skin, rounded at the sides and shaded below the chin."""
    half = 25.0 if frame.person.male else 20.5
    right = [(half - 2, 30), (half, 62), (half + 2, 76), (half + 14, 85), (62, 92), (90, 106), (98, 140)]
    rounding = np.clip(np.abs(frame.u - np.float32(frame.scene.light[0] * 10)) / np.float32(half * 1.25), 0, 1)
    light = np.float32(0.96) - np.float32(0.3) * rounding**3 * np.clip((88 - frame.v) / 12, 0, 1)
    paint_skin(frame, frame.shape(symmetric(right)), light)
    shadow = frame.shape(outline(frame), blur=6, shift=(-6 * frame.scene.light[0], 12))
    frame.canvas.darken(shadow, 0.62, (0.4, 0.28, 0.25))


def draw_ears(frame: FaceFrame, light: Floats) -> None:
    """Both ears, under a light of 0 to about 1.1 [HEIGHT, WIDTH]."""
    for side in (-1, 1):
        u = side * (half_width(frame) + 1.0) + float(frame.lean(8))
        paint_skin(frame, frame.shape(ellipse(u, 8, 5.5, 12)), light * np.float32(0.9))
        frame.canvas.darken(frame.shape(ellipse(u + side * 0.5, 8, 2.4, 7), blur=1.6), 0.4)


def draw_head(frame: FaceFrame, light: Floats) -> Mask:
    """The face without eyes, nose and mouth, under a light as relief() gives it; returns its mask."""
    mask = frame.shape(outline(frame))
    paint_skin(frame, mask, light)
    if frame.person.double_chin:
        low = chin(frame)
        fold = ellipse(2 * frame.scene.yaw, low + 2, 22, 9)
        paint_skin(frame, frame.shape(fold, blur=1.0), light * np.float32(0.94))
        paint_skin(frame, frame.shape(outline(frame), blur=1.2), light)
        frame.canvas.darken(frame.shape(ellipse(2 * frame.scene.yaw, low + 1, 17, 1.6), blur=1.4), 0.3)
    for side in (-1, 1):
        blush = frame.shape(ellipse(side * 25 + 2 * frame.scene.yaw, 24, 9, 7), blur=5)
        frame.canvas.paint(blush.times(0.5 * frame.scene.blush), (226, 84, 88))
    return mask
