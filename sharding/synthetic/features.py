"""Eyes, brows, nose, mouth, wrinkles and beard."""

import numpy as np
from numpy.typing import NDArray

from raygan.sharding.synthetic.canvas import Floats, Mask, curve, ellipse, ribbon
from raygan.sharding.synthetic.frame import EYE, FaceFrame
from raygan.sharding.synthetic.head import chin, half_width
from raygan.sharding.synthetic.portrait import Colour, mix

Line = NDArray[np.float64]
_DARK: Colour = (38, 24, 22)


def draw_eyes(frame: FaceFrame) -> None:
    """Both eyes and brows."""
    for side in (-1, 1):
        _draw_eye(frame, side)
        _draw_brow(frame, side)


def _draw_eye(frame: FaceFrame, side: int) -> None:
    person, scene, canvas = frame.person, frame.scene, frame.canvas
    size = person.eye_size
    length = 11.2 * size * (1 + 0.07 * side * scene.yaw)
    opening = size * person.eye_opening * (1 - 0.14 * max(scene.smile, 0))
    t = np.linspace(-1, 1, 17)  # from the inner to the outer corner
    u = side * (EYE + length * t)
    slant = -person.eye_tilt * t + 0.8
    upper = np.stack((u, slant - 6.2 * opening * (1 - t**2) ** 0.8 * (1 + 0.12 * t)), axis=1)
    lower = np.stack((u, slant + 4.4 * opening * (1 - t**2) ** 0.9 * (1 + 0.15 * t)), axis=1)
    canvas.darken(frame.shape(ellipse(side * EYE, -1, 14, 9), blur=3), 0.22)
    if scene.makeup:
        lid = np.concatenate((upper + (0, -6.5) * (1 - t[:, None] ** 2) + (side * 1.0, -1), upper[::-1]))
        canvas.paint(frame.shape(lid, blur=1.3).times(0.62), scene.makeup)
    eye = frame.shape(np.concatenate((upper, lower[::-1])))
    _draw_eyeball(frame, side, eye)
    canvas.darken(frame.shape(ribbon(upper, 3.2), blur=1.1, shift=(0, 1.2)).within(eye), 0.45, (0.35, 0.3, 0.3))
    _draw_lashes(frame, side, upper, lower, t)
    if person.bags:
        bag = np.stack((u, lower[:, 1] + 3.0 + 1.6 * (1 - t**2)), axis=1)[2:-2]
        canvas.darken(frame.shape(ribbon(bag, 2.4), blur=0.9), 0.5, (0.5, 0.32, 0.36))


def _draw_eyeball(frame: FaceFrame, side: int, eye: Mask) -> None:
    """The white, the iris with its dark rim, the pupil, and the light in them."""
    person, scene, canvas = frame.person, frame.scene, frame.canvas
    canvas.paint(eye, mix((244, 241, 238), person.skin, 0.1))
    u, v, radius = side * EYE + 2.6 * scene.gaze, -0.8, 5.4 * person.eye_size
    rim = mix(person.iris, (0, 0, 0), 0.55)
    for ring, colour in ((radius, rim), (radius - 1.1, person.iris), (radius * 0.45, (12, 10, 12))):
        canvas.paint(frame.shape(ellipse(u, v, ring, ring)).within(eye), colour)
    glow = frame.shape(ellipse(u - scene.light[0] * 2, v + 2.6, 2.6, 1.6), blur=0.8).within(eye)
    canvas.lighten(glow, 0.3, mix(person.iris, (255, 255, 255), 0.6))
    glint = frame.shape(ellipse(u + 2 + scene.light[0], v - 2.2, 1.5, 1.5)).within(eye)
    canvas.lighten(glint, 0.95, (255, 255, 255))


def _draw_lashes(frame: FaceFrame, side: int, upper: Line, lower: Line, t: Line) -> None:
    """The lines of both lids, along which `t` runs from -1 (inner corner) to 1."""
    male, makeup, canvas = frame.person.male, frame.scene.makeup, frame.canvas
    lash = 1.7 if male else 3.1 if makeup else 2.3
    weight = lash * (0.55 + 0.45 * np.clip(t + 0.6, 0, 1))
    canvas.paint(frame.shape(ribbon(upper, weight)).times(0.92), _DARK)
    crease = upper + np.stack((0 * t, -2.6 - 0.8 * (1 - t**2)), axis=1)
    canvas.darken(frame.shape(ribbon(crease[2:-1], 1.1), blur=0.5), 0.55)
    canvas.darken(frame.shape(ribbon(lower, 1.0)), 0.6 if makeup else 0.42)
    if not male:
        wing = np.array([upper[-2], upper[-1] + (side * 2.6, -2.2), upper[-1] + (side * 0.3, 0.7)])
        canvas.paint(frame.shape(wing).times(0.85), _DARK)


def _brow_colour(frame: FaceFrame) -> Colour:
    person = frame.person
    return mix(person.hair_colour, (30, 20, 16), 0.25 if person.hair == "gray" else 0.45)


def _draw_brow(frame: FaceFrame, side: int) -> None:
    person, yaw = frame.person, frame.scene.yaw
    arch, lift = person.brow_arch, 1.2 * max(frame.scene.smile, 0)
    points = [(8.5, -12.5), (15, -14.0 - 0.45 * arch), (23.5, -14.5 - arch), (33, -10.5 - 0.2 * arch)]
    line = curve([(side * u + 1.0 * yaw, v - lift) for u, v in points])
    along = np.linspace(0, 1, len(line))
    width = person.brow_thickness * (0.75 + 0.9 * along - 1.5 * along**2)
    stroke = frame.shape(ribbon(line, np.maximum(width, 0.7)), blur=0.7)
    frame.canvas.paint(stroke.times(0.9), _brow_colour(frame))


def draw_wrinkles(frame: FaceFrame) -> None:
    """Lines on the forehead and beside the eyes of a person who is not young."""
    if frame.person.young:
        return
    lines = [np.array([(-17, 1), (-8, 0), (0, 1), (8, 0), (17, 1)]) + np.array((0, v)) for v in (-36, -29.5)]
    for side in (-1, 1):
        lines += [np.array([(side * (EYE + 13.5), 0.4 * v), (side * (EYE + 18), v)]) for v in (-2, 3)]
    for line in lines:
        shift = (1.5 * frame.scene.yaw, 0.0)
        frame.canvas.darken(frame.shape(ribbon(curve(line), 1.2), blur=0.6, shift=shift), 0.25)


def draw_nose(frame: FaceFrame) -> None:
    """The nose, shaded on the side away from the light."""
    person, scene, canvas = frame.person, frame.scene, frame.canvas
    u, tip, width = 5.5 * scene.yaw, 23 * person.nose_length, person.nose_width
    away = -1 if scene.light[0] > 0 else 1
    strength = 0.22 + 0.25 * abs(scene.light[0])
    side = curve([(away * 5, -4), (0.3 * u + away * 4.6, 6), (u + away * 6.4 * width, tip), (u + away * 4, tip + 5)])
    canvas.darken(frame.shape(ribbon(side, 3.6), blur=1.8), strength)
    canvas.darken(frame.shape(ellipse(u + away * 1.5, tip + 8, 9 * width, 2.6), blur=1.8), 0.36)
    for s in (-1, 1):
        wing = curve([(u + s * 8.2 * width, tip - 0.5), (u + s * 9.8 * width, tip + 3), (u + s * 7.0 * width, tip + 6)])
        canvas.darken(frame.shape(ribbon(wing, 1.5), blur=0.6), 0.52)
        nostril = ellipse(u + s * 4.3 * width, tip + 5.2, 2.5 * width, 1.3)
        canvas.darken(frame.shape(nostril, blur=0.6), 0.66, (0.24, 0.1, 0.1))
    spot = 2.6 - 1.0 * person.nose_point
    glint = ellipse(u + 1.6 * scene.light[0], tip - 1, spot, spot)
    canvas.lighten(frame.shape(glint, blur=1.2), 0.28 + 0.2 * person.nose_point)


def draw_mouth(frame: FaceFrame) -> None:
    """The lips, with the teeth where the mouth is open, and its corners."""
    person, scene, canvas = frame.person, frame.scene, frame.canvas
    smile = scene.smile
    t = np.linspace(-1, 1, 25)
    bow = 1 - t**2
    u = 4.4 * scene.yaw + 15.2 * person.mouth_width * (1 + 0.24 * max(smile, 0)) * t
    rise = smile + 0.1  # lips at rest look sad without it
    middle = 41.5 + 2.2 * rise * bow - 5.2 * rise * t**2
    full = 0.82 if smile > 0.3 else 1.0
    cupid = np.exp(-0.5 * ((np.abs(t) - 0.22) / 0.2) ** 2)
    top = middle - 0.38 * scene.opening * bow - person.lips * full * (2.8 * bow**0.7 + 1.5 * cupid * bow)
    under = middle - 0.38 * scene.opening * bow
    over = middle + 0.9 * scene.opening * bow
    bottom = over + person.lips * full * 5.4 * bow**0.75
    lips = _between(frame, u, top, bottom)
    natural = mix(person.skin, (176, 62, 70), 0.42 if person.male else 0.58)
    colour = scene.lipstick or natural
    canvas.darken(_between(frame, u * 0.8, bottom - 1, bottom + 3.5, blur=1.8), 0.34)
    canvas.paint(lips, colour)
    canvas.darken(_between(frame, u, top, under), 0.3)
    shine = _between(frame, 4.4 * scene.yaw * 0.5 + u * 0.5, over + 1.2, over + 0.5 * (bottom - over), blur=0.9)
    canvas.lighten(shine.within(lips), 0.42 if scene.lipstick else 0.24)
    if scene.opening:
        inside = _between(frame, u * 0.94 + 0.06 * 4.4 * scene.yaw, under, over)
        canvas.paint(inside, (74, 22, 26))
        teeth = _between(frame, u * 0.86, under - 1, under + (0.8 if smile > 0.3 else 0.5) * (over - under))
        canvas.paint(teeth.within(inside), (246, 240, 232))
        canvas.darken(_between(frame, u, under - 1, under + 1.3, blur=0.6).within(inside), 0.45)
    else:
        canvas.darken(frame.shape(ribbon(np.stack((u, middle), axis=1), 1.3), blur=0.4), 0.8, (0.3, 0.1, 0.12))
    for side, end in ((-1, 0), (1, -1)):
        _draw_corner(frame, side, float(u[end]), float(middle[end]))


def _draw_corner(frame: FaceFrame, side: int, u: float, v: float) -> None:
    """The corner of the mouth, and the fold beside it, deeper with a smile or with age."""
    scene, canvas = frame.scene, frame.canvas
    canvas.darken(frame.shape(ellipse(u + side * 0.5, v, 1.7, 1.5), blur=0.9), 0.5)
    fold = curve([(5 * scene.yaw + side * 11, 27), (u + side * 4.5, 36), (u + side * 4.5, 44)])
    depth = 0.5 * max(scene.smile, 0) + (0.0 if frame.person.young else 0.3)
    canvas.darken(frame.shape(ribbon(fold, 1.8), blur=1.2), depth)


def _between(frame: FaceFrame, u: Line, top: Line, bottom: Line, blur: float = 0.0) -> Mask:
    """The band between two lines over the same u."""
    upper, lower = np.stack((u, top), axis=1), np.stack((u, bottom), axis=1)
    return frame.shape(np.concatenate((upper, lower[::-1])), blur)


def draw_beard(frame: FaceFrame, face: Mask, light: Floats) -> None:
    """The beard and the sideburns; drawn before the mouth, so that they do not cover the lips."""
    person, scene, canvas = frame.person, frame.scene, frame.canvas
    colour, shade = mix(person.hair_colour, (62, 36, 22), 0.3), light * np.float32(1.08)
    low, u = chin(frame), 4.0 * scene.yaw
    if person.beard in ("stubble", "full") or person.sideburns:
        wide = half_width(frame)
        side = np.array([(wide + 4, -4), (wide - 4, 6), (wide - 9, 26), (20, 35), (16, 47), (9, 52), (0, 51.5)])
        if person.beard in ("stubble", "full"):
            inner = side[::-1] * (-1, 1)
            line = curve(np.concatenate((side, inner[1:])))
            area = np.concatenate((line, [(-60, -4), (-60, 90), (60, 90), (60, -4)]))
            beard = frame.shape(area, blur=2.2, shift=(0.6 * u, 0)).within(face)
            canvas.paint(beard.times(0.36 if person.beard == "stubble" else 0.88), colour, shade)
        elif person.sideburns:
            for s in (-1, 1):
                strip = np.array([(wide + 3, -8), (wide - 6, -8), (wide - 7, 24), (wide + 3, 24)]) * (s, 1)
                strip[:, 0] += float(frame.lean(8))
                canvas.paint(frame.shape(strip, blur=1.5).within(face).times(0.85), colour, shade)
    if person.beard == "goatee":
        right = [(u, 49), (u + 10, 50), (u + 12.5, low - 10), (u + 5, low + 1.5)]
        left = [(2 * u - x, y) for x, y in right[:0:-1]]
        tuft = curve([*right, *left], closed=True)
        canvas.paint(frame.shape(tuft, blur=1.4).times(0.85), colour, shade)
    if person.beard in ("mustache", "full", "stubble"):
        smile = scene.smile
        lip = [
            (u, 31),
            (u + 9, 31.5),
            (u + 16, 36 - 2.5 * smile),
            (u + 18, 40 - 4.5 * smile),
            (u + 11, 38.5),
            (u, 36.5),
        ]
        left = [(2 * u - x, y) for x, y in lip[1:-1]][::-1]
        whiskers = frame.shape(curve(lip + left, closed=True), blur=1.0)
        canvas.paint(whiskers.times(0.3 if person.beard == "stubble" else 0.88), colour, shade)
