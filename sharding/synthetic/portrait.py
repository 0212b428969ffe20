"""Describes a face before it is drawn: the person, the same in all pictures of one identity, and the scene."""

import colorsys
from dataclasses import dataclass
from typing import Literal

import numpy as np

from raygan.sharding.synthetic.stream import Stream

IDENTITIES = 10_177  # as many people as CelebA shows
Colour = tuple[float, float, float]  # red, green, blue, each 0 to 255
Hair = Literal["black", "brown", "blond", "gray", "auburn"]
Length = Literal["bald", "short", "tied", "medium", "long"]
Beard = Literal["none", "stubble", "mustache", "goatee", "full"]
Glasses = Literal["none", "round", "square", "dark"]
Hat = Literal["none", "beanie", "cap", "brim"]
Clothes = Literal["crew", "vneck", "suit", "open"]

_IDENTITY, _PERSON, _SCENE = range(3)  # the purpose of a stream, part of the key of its hash

_SKIN = np.array(
    [(255, 226, 208), (247, 206, 178), (235, 184, 148), (214, 158, 118), (184, 126, 88), (146, 94, 64), (106, 66, 46)]
)
_HAIR: dict[Hair, tuple[Colour, Colour]] = {
    "black": ((20, 17, 19), (44, 34, 32)),
    "brown": ((60, 38, 26), (112, 72, 46)),
    "blond": ((204, 160, 92), (240, 212, 156)),
    "gray": ((150, 150, 154), (214, 214, 216)),
    "auburn": ((112, 48, 28), (168, 84, 46)),
}
_IRIS: dict[Colour, float] = {
    (74, 44, 28): 4,
    (112, 70, 38): 3,
    (126, 112, 62): 1.5,
    (82, 138, 92): 1.5,
    (72, 132, 190): 2.5,
    (128, 148, 164): 1,
}


@dataclass(frozen=True)
class Person:
    """What two pictures of one identity share. Sizes without a unit are factors: 1 is the average face."""

    male: bool
    young: bool
    melanin: float  # 0 (pale) to 1
    skin: Colour
    hair: Hair
    hair_colour: Colour
    length: Length
    wavy: bool
    straight: bool
    volume: float  # pixels of hair above the skull
    bangs: bool
    receding: bool
    part: float  # -1 to 1: where the hair is parted, from left to right
    strands: float  # radians: the phase of the strands' light and dark
    iris: Colour
    eye_size: float
    eye_opening: float
    eye_tilt: float  # pixels by which the outer corner is higher
    brow_thickness: float  # pixels
    brow_arch: float  # pixels
    nose_width: float
    nose_length: float
    nose_point: float  # 0 (round tip) to 1 (pointed)
    lips: float
    mouth_width: float
    face_width: float
    jaw: float  # exponent of the lower outline: 1.8 is pointed, 2.6 is square
    chin: float  # pixels by which the chin is lower than the average
    cheekbones: float  # 0 to 1
    double_chin: bool
    bags: bool
    beard: Beard
    sideburns: bool


@dataclass(frozen=True)
class Scene:
    """What belongs to one picture: expression, what is worn, pose, light and background."""

    smile: float  # -0.12 (serious) to 1
    opening: float  # pixels between the lips
    gaze: float  # -1 (left) to 1
    lipstick: Colour | None
    makeup: Colour | None
    blush: float  # 0 to 1
    glasses: Glasses
    frame: Colour  # of the glasses
    hat: Hat
    hat_colour: Colour
    earrings: Colour | None
    necklace: Colour | None
    clothes: Clothes
    clothes_colour: Colour
    necktie: Colour | None
    yaw: float  # -1.7 (to the left) to 1.7, which is about 15 degrees
    roll: float  # degrees
    shift: tuple[float, float]  # pixels
    scale: float
    light: tuple[float, float, float]  # unit vector towards the light: right, down, to the viewer
    warmth: float  # -1 (blue) to 1 (orange)
    backdrop: tuple[Colour, Colour]
    backdrop_angle: float  # radians
    blobs: tuple[tuple[float, float, float, Colour], ...]  # centre (x, y) and radius in pixels, colour
    blur: float  # pixels: the standard deviation of the whole picture's blur


@dataclass(frozen=True)
class Portrait:
    """All that is drawn in one picture."""

    identity: int  # 1 to IDENTITIES
    person: Person
    scene: Scene


def portrait(seed: int, index: int) -> Portrait:
    """Face number `index` (from 1) of the data set drawn from `seed`: it depends on nothing else."""
    identity = 1 + int(Stream(seed, _IDENTITY, index).uniform(0, IDENTITIES))
    person = _person(Stream(seed, _PERSON, identity))
    return Portrait(identity, person, _scene(Stream(seed, _SCENE, index), person))


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """The colour that lies `share` of the way from `a` to `b`."""
    return (a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1]), a[2] + share * (b[2] - a[2]))


def _hsv(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, saturation, value)
    return (255 * red, 255 * green, 255 * blue)


def _skin(melanin: float, undertone: float) -> Colour:
    places = np.linspace(0, 1, len(_SKIN))
    red, green, blue = (float(np.interp(melanin, places, _SKIN[:, c])) for c in range(3))
    return (red + 5 * undertone, green - 2 * undertone, blue - 7 * undertone)


def _person(s: Stream) -> Person:
    male, young = s.chance(0.42), s.chance(0.77)
    melanin = s.uniform(0, 0.75) if s.chance(0.85) else s.uniform(0.7, 1)
    colours: dict[Hair, float] = {
        "black": 3,
        "brown": 3,
        "auburn": 0.9 if melanin < 0.5 else 0.25,
        "blond": 2.2 if melanin < 0.5 else 0.1,
    }
    hair = "gray" if not young and s.chance(0.45) else s.weighted(colours)
    lengths: dict[Length, float] = (
        {"short": 85, "medium": 9, "long": 6} if male else {"short": 12, "tied": 14, "medium": 32, "long": 42}
    )
    length = "bald" if male and s.chance(0.05 if young else 0.16) else s.weighted(lengths)
    texture = s.uniform()
    beards: dict[Beard, float] = {"none": 52, "stubble": 22, "mustache": 6, "goatee": 8, "full": 12}
    beard = s.weighted(beards) if male else "none"
    return Person(
        male=male,
        young=young,
        melanin=melanin,
        skin=_skin(melanin, s.uniform(-1, 1)),
        hair=hair,
        hair_colour=mix(*_HAIR[hair], s.uniform()),
        length=length,
        wavy=length != "bald" and texture < (0.2 if male else 0.45),
        straight=length != "bald" and texture > 0.7,
        volume=s.uniform(6, 13) if male else s.uniform(9, 17),
        bangs=length != "bald" and s.chance(0.1 if male else 0.24),
        receding=male and length != "bald" and s.chance(0.06 if young else 0.4),
        part=s.uniform(-1, 1),
        strands=s.uniform(0, 2 * np.pi),
        iris=s.weighted(_IRIS) if melanin < 0.5 else s.weighted({(74, 44, 28): 4, (54, 34, 26): 3, (112, 70, 38): 2}),
        eye_size=s.uniform(0.96, 1.1) if male else s.uniform(1.04, 1.22),
        eye_opening=s.uniform(0.55, 0.7) if s.chance(0.13) else s.uniform(0.88, 1.12),
        eye_tilt=s.uniform(-1.0, 2.2),
        brow_thickness=s.bell(2.6, 6.4) if male else s.bell(1.6, 4.4),
        brow_arch=s.uniform(0.2, 3.6) if male else s.uniform(1.6, 6.0),
        nose_width=s.bell(0.78, 1.42) if male else s.bell(0.68, 1.26),
        nose_length=s.uniform(0.9, 1.1),
        nose_point=s.uniform(),
        lips=s.bell(0.6, 1.3) if male else s.bell(0.8, 1.6),
        mouth_width=s.uniform(0.88, 1.12),
        face_width=s.bell(0.93, 1.13) if male else s.bell(0.86, 1.06),
        jaw=s.uniform(2.05, 2.6) if male else s.uniform(1.8, 2.2),
        chin=s.uniform(-2, 4) if male else s.uniform(-6, 1),
        cheekbones=s.uniform(),
        double_chin=s.chance(0.02 if young else 0.14),
        bags=s.chance(0.13 if young else 0.45),
        beard=beard,
        sideburns=male and (beard == "full" or s.chance(0.08)),
    )


def _scene(s: Stream, person: Person) -> Scene:
    male = person.male
    smile = s.uniform(0.35, 1.0) if s.chance(0.5) else s.uniform(-0.12, 0.2)
    opening = s.uniform(2.8, 7.5) * (1 if smile > 0.3 else 0.7) if s.chance(0.66 if smile > 0.3 else 0.28) else 0.0
    light = np.array((s.uniform(-1, 1), s.uniform(-0.8, -0.2), s.uniform(0.75, 1.0)))
    light /= np.linalg.norm(light)
    suit = male and s.chance(0.34)
    styles: dict[Clothes, float] = {"crew": 5, "vneck": 3, "open": 0.3 if male else 4}
    hats: dict[Hat, float] = {"none": 94, "beanie": 2, "cap": 2, "brim": 2}
    frames: dict[Glasses, float] = {"none": 90 if person.young else 78, "round": 4, "square": 5, "dark": 2.5}
    rims: tuple[Colour, ...] = ((28, 24, 26), (28, 24, 26), (98, 56, 32), (70, 72, 88))
    metal: tuple[Colour, ...] = ((226, 188, 92), (216, 220, 228), (232, 224, 206))
    lips: tuple[Colour, ...] = ((176, 22, 44), (206, 62, 92), (150, 36, 66), (196, 78, 70))
    lids: tuple[Colour, ...] = ((92, 72, 96), (122, 82, 66), (74, 92, 124), (62, 52, 54))
    hue, value = s.uniform(), s.uniform(0.22, 0.95)
    saturation = s.uniform(0.0, 0.18) if s.chance(0.5) else s.uniform(0.18, 0.5)
    near = _hsv(hue, saturation, value)
    far = _hsv(hue + s.uniform(-0.12, 0.12), saturation * s.uniform(0.6, 1), value * s.uniform(0.45, 0.85))
    blobs = []
    for _ in range(s.pick((0, 0, 2, 3, 4))):
        colour = _hsv(hue + s.uniform(-0.15, 0.15), saturation, min(1.0, value * s.uniform(0.8, 1.35)))
        blobs.append((s.uniform(0, 178), s.uniform(0, 190), s.uniform(14, 40), colour))
    made_up = not male and s.chance(0.62)
    return Scene(
        smile=smile,
        opening=opening,
        gaze=s.bell(-1, 1),
        lipstick=s.pick(lips) if made_up or (not male and s.chance(0.4)) else None,
        makeup=s.pick(lids) if made_up else None,
        blush=s.uniform(0.6, 1.0) if s.chance(0.02 if male else 0.13) else s.uniform(0, 0.25),
        glasses=s.weighted(frames),
        frame=s.pick(rims),
        hat=s.weighted(hats),
        hat_colour=_hsv(s.uniform(), s.uniform(0.1, 0.75), s.uniform(0.2, 0.85)),
        earrings=s.pick(metal) if s.chance(0.02 if male else 0.34) else None,
        necklace=s.pick(metal) if not suit and s.chance(0.03 if male else 0.2) else None,
        clothes="suit" if suit else s.weighted(styles),
        clothes_colour=_hsv(s.uniform(), s.uniform(0.05, 0.3), s.uniform(0.12, 0.35))
        if suit
        else _hsv(s.uniform(), s.uniform(0.05, 0.75), s.uniform(0.2, 0.95)),
        necktie=_hsv(s.uniform(), s.uniform(0.4, 0.85), s.uniform(0.25, 0.75)) if suit and s.chance(0.52) else None,
        yaw=s.bell(-1.7, 1.7),
        roll=s.bell(-5, 5),
        shift=(s.bell(-1.5, 1.5), s.bell(-1.5, 1.5)),
        scale=s.uniform(0.97, 1.05),
        light=(float(light[0]), float(light[1]), float(light[2])),
        warmth=s.bell(-1, 1),
        backdrop=(near, far),
        backdrop_angle=s.uniform(0, 2 * np.pi),
        blobs=tuple(blobs),
        blur=s.uniform(1.6, 2.6) if s.chance(0.05) else 0.0,
    )
