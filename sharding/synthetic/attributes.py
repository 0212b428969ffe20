"""CelebA's 40 attributes in the official order, each as a rule on what is drawn.

Most rules name something that is visible in the picture. A drawing cannot show Attractive: here it is a young, slender
face in focus that smiles or wears make-up, which is arbitrary and documented as such.
"""

from collections.abc import Callable

from raygan.sharding.synthetic.portrait import Person, Portrait, Scene


def _chubby(p: Person) -> bool:
    return p.face_width * (1 + 0.12 * (p.jaw - 2)) > (1.125 if p.male else 1.025)


def _hair_is(p: Person, colour: str) -> bool:
    return p.length != "bald" and p.hair == colour


def _attractive(p: Person, s: Scene) -> bool:
    return p.young and not _chubby(p) and s.blur == 0 and (s.smile > 0.3 or s.makeup is not None)


_RULES: dict[str, Callable[[Person, Scene], bool]] = {
    "5_o_Clock_Shadow": lambda p, s: p.beard == "stubble",
    "Arched_Eyebrows": lambda p, s: p.brow_arch > 4,
    "Attractive": _attractive,
    "Bags_Under_Eyes": lambda p, s: p.bags,
    "Bald": lambda p, s: p.length == "bald" and s.hat == "none",
    "Bangs": lambda p, s: p.bangs and s.hat == "none",
    "Big_Lips": lambda p, s: p.lips > 1.2,
    "Big_Nose": lambda p, s: p.nose_width > 1.12,
    "Black_Hair": lambda p, s: _hair_is(p, "black"),
    "Blond_Hair": lambda p, s: _hair_is(p, "blond"),
    "Blurry": lambda p, s: s.blur > 0,
    "Brown_Hair": lambda p, s: _hair_is(p, "brown"),
    "Bushy_Eyebrows": lambda p, s: p.brow_thickness > 4.6,
    "Chubby": lambda p, s: _chubby(p),
    "Double_Chin": lambda p, s: p.double_chin,
    "Eyeglasses": lambda p, s: s.glasses != "none",
    "Goatee": lambda p, s: p.beard in ("goatee", "full"),
    "Gray_Hair": lambda p, s: _hair_is(p, "gray"),
    "Heavy_Makeup": lambda p, s: s.makeup is not None,
    "High_Cheekbones": lambda p, s: p.cheekbones + 0.5 * s.smile > 0.75,
    "Male": lambda p, s: p.male,
    "Mouth_Slightly_Open": lambda p, s: s.opening > 0,
    "Mustache": lambda p, s: p.beard in ("mustache", "full"),
    "Narrow_Eyes": lambda p, s: p.eye_opening < 0.75,
    "No_Beard": lambda p, s: p.beard == "none",
    "Oval_Face": lambda p, s: p.jaw < 2.1 and p.face_width < 1.0,
    "Pale_Skin": lambda p, s: p.melanin < 0.05,
    "Pointy_Nose": lambda p, s: p.nose_point > 0.7,
    "Receding_Hairline": lambda p, s: p.receding and s.hat == "none",
    "Rosy_Cheeks": lambda p, s: s.blush > 0.5,
    "Sideburns": lambda p, s: p.sideburns,
    "Smiling": lambda p, s: s.smile > 0.3,
    "Straight_Hair": lambda p, s: p.straight,
    "Wavy_Hair": lambda p, s: p.wavy,
    "Wearing_Earrings": lambda p, s: s.earrings is not None,
    "Wearing_Hat": lambda p, s: s.hat != "none",
    "Wearing_Lipstick": lambda p, s: s.lipstick is not None,
    "Wearing_Necklace": lambda p, s: s.necklace is not None,
    "Wearing_Necktie": lambda p, s: s.necktie is not None,
    "Young": lambda p, s: p.young,
}

ATTRIBUTES: tuple[str, ...] = tuple(_RULES)


def attributes_of(portrait: Portrait) -> dict[str, bool]:
    """Whether each of ATTRIBUTES holds for the portrait."""
    return {name: rule(portrait.person, portrait.scene) for name, rule in _RULES.items()}
