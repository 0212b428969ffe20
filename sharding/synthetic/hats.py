"""Hats: a beanie, a cap or a brimmed hat, each with its shadow on the face."""

import numpy as np
from numpy.typing import NDArray

from raygan.sharding.synthetic.canvas import Field, Mask, curve, ellipse
from raygan.sharding.synthetic.frame import FaceFrame
from raygan.sharding.synthetic.hair import Hair
from raygan.sharding.synthetic.portrait import mix

_SHADOW = (0.4, 0.3, 0.28)
Line = NDArray[np.float64]


def draw_hat(frame: FaceFrame, hair: Hair, face: Mask) -> None:
    """The portrait's hat, if it has one, on the hair, with its shadow on the face."""
    scene, canvas = frame.scene, frame.canvas
    if scene.hat == "none":
        return
    wide, low = hair.wide + 3.5, -20.0 if scene.hat == "beanie" else -30.0
    shift = (float(frame.lean(-30)), 0.0)
    across = frame.u / np.float32(wide)
    shade = 1.02 + 0.45 * scene.light[0] * across - 0.28 * across**2 - 0.1 * np.clip(frame.v / 40 + 1.5, -1, 1)
    angle = np.linspace(np.pi, 0, 25)
    top = np.stack((wide * np.cos(angle), low + (hair.top - 6 - low) * np.sin(angle) ** 0.8), axis=1)
    band = curve([(wide, low), (0.5 * wide, low - 7), (0, low - 9), (-0.5 * wide, low - 7), (-wide, low)])
    dome = np.concatenate((top, band))
    shadow = frame.shape(dome, blur=4, shift=(shift[0] - 3 * scene.light[0], 7))
    canvas.darken(shadow.within(face), 0.55, _SHADOW)
    canvas.paint(frame.shape(dome, shift=shift), scene.hat_colour, shade)
    if scene.hat == "beanie":
        _draw_cuff(frame, band, shade, shift)
    elif scene.hat == "cap":
        _draw_visor(frame, 0.9 * wide, low, shade, shift, face)
    else:
        _draw_brim(frame, 1.62 * wide, band, shade, shift, face)


def _draw_cuff(frame: FaceFrame, band: Line, shade: Field, shift: tuple[float, float]) -> None:
    cuff = np.concatenate((band, band[::-1] * (1.03, 1) - (0, 15)))
    frame.canvas.darken(frame.shape(cuff, blur=1.2, shift=(shift[0], -1.5)), 0.35)
    ribs = shade + 0.06 * np.sin(frame.u * np.float32(0.9))
    frame.canvas.paint(frame.shape(cuff, shift=shift), mix(frame.scene.hat_colour, (255, 255, 255), 0.14), ribs)


def _draw_visor(
    frame: FaceFrame, wide: float, low: float, shade: Field, shift: tuple[float, float], face: Mask
) -> None:
    rim = curve([(wide, low - 3), (0.78 * wide, low + 6), (0, low + 10), (-0.78 * wide, low + 6), (-wide, low - 3)])
    seam = curve([(-wide, low - 3), (-0.55 * wide, low - 9), (0, low - 11), (0.55 * wide, low - 9), (wide, low - 3)])
    visor = np.concatenate((rim, seam))
    frame.canvas.darken(frame.shape(visor, blur=4, shift=(shift[0], 6)).within(face), 0.55, _SHADOW)
    frame.canvas.paint(frame.shape(visor, shift=shift), mix(frame.scene.hat_colour, (0, 0, 0), 0.28), shade)


def _draw_brim(frame: FaceFrame, wide: float, band: Line, shade: Field, shift: tuple[float, float], face: Mask) -> None:
    colour, low = frame.scene.hat_colour, float(band[0, 1])
    brim = ellipse(0, low - 5, wide, 11)
    frame.canvas.darken(frame.shape(brim, blur=5, shift=(shift[0], 8)).within(face), 0.5, _SHADOW)
    frame.canvas.paint(frame.shape(brim, shift=shift), mix(colour, (0, 0, 0), 0.12), shade)
    ring = np.concatenate((band * (0.98, 1) - (0, -2), band[::-1] * (0.96, 1) - (0, 10)))
    frame.canvas.paint(frame.shape(ring, shift=shift), mix(colour, (20, 16, 18), 0.7), shade)
