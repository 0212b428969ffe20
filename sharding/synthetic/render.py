"""Draws a portrait, from the background to the hat."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from raygan.sharding.synthetic import accessories, features, head
from raygan.sharding.synthetic.canvas import ellipse
from raygan.sharding.synthetic.frame import HEIGHT, WIDTH, FaceFrame
from raygan.sharding.synthetic.hair import Hair
from raygan.sharding.synthetic.hats import draw_hat
from raygan.sharding.synthetic.portrait import Portrait


def draw(portrait: Portrait) -> NDArray[np.uint8]:
    """The picture of a portrait, uint8 [218, 178, 3]."""
    frame = FaceFrame(portrait)
    light = head.relief(frame)
    hair = Hair(frame)
    _draw_backdrop(frame)
    hair.draw_back()
    head.draw_neck(frame)
    accessories.draw_clothes(frame)
    accessories.draw_necklace(frame)
    head.draw_ears(frame, light)
    hair.draw_locks()
    face = head.draw_head(frame, light)
    features.draw_beard(frame, face, light)
    features.draw_nose(frame)
    features.draw_mouth(frame)
    features.draw_wrinkles(frame)
    features.draw_eyes(frame)
    hair.draw_cap(face)
    accessories.draw_earrings(frame)
    accessories.draw_glasses(frame)
    draw_hat(frame, hair, face)
    _tint(frame)
    pixels = frame.canvas.pixels()
    if portrait.scene.blur:
        blurred = Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(portrait.scene.blur))
        pixels = np.asarray(blurred)
    return pixels


def _draw_backdrop(frame: FaceFrame) -> None:
    """A gradient between two colours, with soft blobs of light in it."""
    scene, canvas = frame.scene, frame.canvas
    x = np.linspace(-1, 1, WIDTH, dtype=np.float32)[None, :] * np.float32(np.cos(scene.backdrop_angle))
    y = np.linspace(-1, 1, HEIGHT, dtype=np.float32)[:, None] * np.float32(np.sin(scene.backdrop_angle))
    share = np.clip(0.5 + 0.42 * (x + y), 0, 1)
    near, far = (np.asarray(colour, np.float32)[:, None, None] for colour in scene.backdrop)
    canvas.planes[:] = near + share * (far - near)
    for u, v, radius, colour in scene.blobs:
        canvas.paint(canvas.shape(ellipse(u, v, radius, radius), blur=7).times(0.6), colour)


def _tint(frame: FaceFrame) -> None:
    """The colour of the light over everything."""
    warmth = 0.055 * frame.scene.warmth
    frame.canvas.planes *= np.array((1 + warmth, 1, 1 - warmth), np.float32)[:, None, None]
