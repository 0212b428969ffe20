"""What is worn below the hat: clothes, necktie, necklace, earrings and glasses."""

import numpy as np

from raygan.sharding.synthetic.canvas import Field, curve, ellipse, ribbon
from raygan.sharding.synthetic.frame import EYE, FaceFrame
from raygan.sharding.synthetic.head import half_width

_NECKLINES = {
    "crew": [(23, 79), (16, 89), (0, 92)],
    "vneck": [(24, 79), (14, 95), (0, 112)],
    "open": [(54, 88), (38, 103), (0, 114)],
}
_SHOULDER = [(40, 84), (66, 93), (93, 107), (110, 150)]


def draw_clothes(frame: FaceFrame) -> None:
    """A suit, with or without a necktie, or a shirt or dress."""
    shade = 1 + 0.25 * (frame.u / 90) * np.float32(frame.scene.light[0]) - 0.004 * np.maximum(frame.v - 80, 0)
    if frame.scene.clothes == "suit":
        _draw_suit(frame, shade)
    else:
        _draw_top(frame, shade)


def _draw_top(frame: FaceFrame, shade: Field) -> None:
    """A shirt or a dress, by its neckline."""
    neckline = np.array(_NECKLINES[frame.scene.clothes])
    shoulder = [point for point in _SHOULDER if point[0] > neckline[0, 0]]
    right = np.concatenate((neckline[:0:-1], curve([neckline[0], *shoulder])))
    frame.canvas.paint(frame.shape(np.concatenate((right, right[::-1] * (-1, 1)))), frame.scene.clothes_colour, shade)
    hem = curve(np.concatenate((neckline, neckline[-2::-1] * (-1, 1))))
    frame.canvas.darken(frame.shape(ribbon(hem, 2.2), blur=0.7, shift=(0, 1.2)), 0.35)


def _draw_suit(frame: FaceFrame, shade: Field) -> None:
    scene, canvas = frame.scene, frame.canvas
    shirt = [(-24, 76), (-10, 76), (0, 91), (10, 76), (24, 76), (22, 120), (-22, 120)]
    canvas.paint(frame.shape(shirt), (236, 238, 242), shade)
    if scene.necktie:
        canvas.paint(frame.shape([(-5, 88), (5, 88), (3.5, 96), (9, 120), (-9, 120), (-3.5, 96)]), scene.necktie, shade)
        canvas.darken(frame.shape([(-3.5, 96), (3.5, 96), (4, 98), (-4, 98)], blur=0.6), 0.5)
    for side in (-1, 1):
        jacket = np.array([(24, 77), *_SHOULDER, (-6, 150), (15, 96)]) * (side, 1)
        canvas.darken(frame.shape(jacket, blur=1.5, shift=(-side * 2, 1)), 0.3)
        canvas.paint(frame.shape(jacket), scene.clothes_colour, shade)
        lapel = np.array([(24, 77), (31, 82), (22, 108), (4, 128), (15, 97)]) * (side, 1)
        canvas.darken(frame.shape(lapel), 0.25, (0.3, 0.3, 0.3))
        collar = np.array([(23, 72), (26, 80), (13, 95), (3, 89)]) * (side, 1)
        canvas.darken(frame.shape(collar, blur=1.0, shift=(0, 1.5)), 0.35)
        canvas.paint(frame.shape(collar), (246, 247, 250))


def draw_necklace(frame: FaceFrame) -> None:
    """A chain with a pendant, if the portrait has one."""
    if frame.scene.necklace:
        half = 25 if frame.person.male else 21
        line = curve([(-half, 78), (-0.6 * half, 92), (0, 97), (0.6 * half, 92), (half, 78)])
        frame.canvas.darken(frame.shape(ribbon(line, 2.4), blur=0.8, shift=(0, 1.5)), 0.4)
        frame.canvas.paint(frame.shape(ribbon(line, 2.0)), frame.scene.necklace)
        frame.canvas.paint(frame.shape(ellipse(0, 99.5, 3.2, 3.6)), frame.scene.necklace)
        frame.canvas.lighten(frame.shape(ellipse(-0.8, 98.6, 1.1, 1.1)), 0.8)


def draw_earrings(frame: FaceFrame) -> None:
    """A drop at each ear, if the portrait has them."""
    if frame.scene.earrings:
        for side in (-1, 1):
            u = side * (half_width(frame) + 2.5) + float(frame.lean(20))
            frame.canvas.darken(frame.shape(ellipse(u + 1, 29, 3.6, 5.6), blur=1.2), 0.4)
            frame.canvas.paint(frame.shape(ellipse(u, 27.5, 3.2, 5.6)), frame.scene.earrings)
            frame.canvas.lighten(frame.shape(ellipse(u - 0.8, 25.5, 1.2, 1.8)), 0.85)


def draw_glasses(frame: FaceFrame) -> None:
    """Round, square or dark glasses with their shadow and glare, if the portrait has them."""
    scene, canvas = frame.scene, frame.canvas
    if scene.glasses == "none":
        return
    slide = 1.5 * scene.yaw
    power, rx, ry = (1.0, 14.5, 13.5) if scene.glasses == "round" else (0.62, 16.5, 11.5)
    angle = np.linspace(0, 2 * np.pi, 41)
    across = rx * np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** power
    down = ry * np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** power
    lines = [np.array([(-EYE - 0.8 + rx + slide, 0), (slide, -2.2), (EYE + 0.8 - rx + slide, 0)])]
    for side in (-1, 1):
        rim = np.stack((side * (EYE + 0.8) + slide + across, 1.5 + down), axis=1)
        lens = frame.shape(rim)
        canvas.darken(frame.shape(ribbon(rim, 3), blur=1.5, shift=(0, 2)), 0.3)
        if scene.glasses == "dark":
            canvas.paint(lens.times(0.93), (24, 22, 28), 1 + 0.035 * np.maximum(frame.v + 4, 0))
        glare = [(-9, -11), (-2, -11), (-9, 11), (-14, 11)]
        shine = frame.shape(glare, blur=1.0, shift=(side * EYE + slide, 1))
        canvas.lighten(shine.within(lens), 0.16)
        canvas.paint(frame.shape(ribbon(rim, 2.4)), scene.frame)
        ear = side * (half_width(frame) + 1) + float(frame.lean(0))
        lines.append(np.array([(side * (EYE + rx + 0.5) + slide, -1), (ear, 0)]))
    for line in lines:
        canvas.paint(frame.shape(ribbon(curve(line), 2.3)), scene.frame)
