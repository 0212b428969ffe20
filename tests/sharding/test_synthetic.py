"""The drawn data set: CelebA's layout to the byte, faces that depend on (seed, index) alone and fit their labels."""

import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from raygan.sharding.errors import UserError
from raygan.sharding.synthetic import ATTRIBUTES, synthesize
from raygan.sharding.synthetic.attributes import attributes_of
from raygan.sharding.synthetic.dataset import annotations
from raygan.sharding.synthetic.portrait import IDENTITIES, Portrait, portrait
from raygan.sharding.synthetic.render import draw

ANNOTATIONS = ("list_attr_celeba.txt", "list_eval_partition.txt", "identity_CelebA.txt")
OFFICIAL = (
    "5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose Black_Hair Blond_Hair "
    "Blurry Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee Gray_Hair Heavy_Makeup High_Cheekbones Male "
    "Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard Oval_Face Pale_Skin Pointy_Nose Receding_Hairline Rosy_Cheeks "
    "Sideburns Smiling Straight_Hair Wavy_Hair Wearing_Earrings Wearing_Hat Wearing_Lipstick Wearing_Necklace "
    "Wearing_Necktie Young "
)
PORTRAITS = [portrait(0, index) for index in range(1, 2001)]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synthetic") / "faces"
    assert synthesize(folder, 20, seed=3) == 20
    return folder


# The layout


def test_the_attribute_file_has_the_official_form_byte_for_byte(drawn: Path) -> None:
    count, names, *rows, end = (drawn / "list_attr_celeba.txt").read_bytes().split(b"\r\n")
    assert (count, names, end) == (b"20", OFFICIAL.encode(), b"")
    # The first value is not padded, the others are: what a C programmer's "%s %d" followed by " %2d" leaves.
    assert all(re.fullmatch(rb"\d{6}\.jpg (?:1|-1)(?: (?: 1|-1)){39}", row) for row in rows)
    assert [row[:10] for row in rows] == [b"%06d.jpg" % index for index in range(1, 21)]
    for index, row in enumerate(rows, 1):
        held = attributes_of(portrait(3, index))
        assert [int(value) for value in row.split()[1:]] == [1 if held[name] else -1 for name in OFFICIAL.split()]


def test_partition_and_identity_files_have_the_official_form_byte_for_byte(drawn: Path) -> None:
    codes = [0] * 16 + [1] * 2 + [2] * 2
    expected = "".join(f"{i:06d}.jpg {code}\r\n" for i, code in enumerate(codes, 1))
    assert (drawn / "list_eval_partition.txt").read_bytes() == expected.encode()
    expected = "".join(f"{i:06d}.jpg {portrait(3, i).identity}\r\n" for i in range(1, 21))
    assert (drawn / "identity_CelebA.txt").read_bytes() == expected.encode()


def test_the_pictures_are_aligned_celeba_jpegs(drawn: Path) -> None:
    paths = sorted((drawn / "img_align_celeba").iterdir())
    assert [path.name for path in paths] == [f"{index:06d}.jpg" for index in range(1, 21)]
    for path in paths:
        with Image.open(path) as image:
            assert (image.format, image.size, image.mode) == ("JPEG", (178, 218), "RGB")


@settings(deadline=None)
@given(st.integers(1, 400))
def test_every_count_has_train_faces_and_about_a_tenth_for_each_other_split(count: int) -> None:
    text = annotations([PORTRAITS[0]] * count)["list_eval_partition.txt"].decode()
    codes = [int(line.split()[1]) for line in text.splitlines()]
    assert codes == sorted(codes)
    assert codes.count(0) >= max(1, 0.8 * count - 2)
    assert codes.count(1) == codes.count(2)
    assert abs(codes.count(2) - count / 10) <= 1
    assert (codes.count(2) > 0) == (count >= 3)


# Determinism


def test_a_face_depends_on_seed_and_index_alone(drawn: Path, tmp_path: Path) -> None:
    synthesize(tmp_path / "fewer", 5, seed=3)
    synthesize(tmp_path / "other", 5, seed=4)
    whole, fewer, other = contents(drawn), contents(tmp_path / "fewer"), contents(tmp_path / "other")
    pictures = [f"img_align_celeba/{index:06d}.jpg" for index in range(1, 6)]
    assert [fewer[name] for name in pictures] == [whole[name] for name in pictures]
    assert all(other[name] != whole[name] for name in pictures)
    rows = [text["list_attr_celeba.txt"].splitlines()[2:7] for text in (fewer, whole)]
    assert rows[0] == rows[1]


def test_the_frozen_hash_draws_the_same_people_always() -> None:
    assert [face.identity for face in PORTRAITS[:4]] == [1945, 6855, 933, 4995]


def test_pictures_of_one_identity_show_one_person() -> None:
    first: dict[int, Portrait] = {}
    again = [(first[f.identity], f) for f in PORTRAITS if first.setdefault(f.identity, f) is not f]
    assert len(again) > 50
    assert all(a.person == b.person and a.scene != b.scene for a, b in again)
    assert all(1 <= face.identity <= IDENTITIES for face in PORTRAITS)


# Drawing again, and drawing on


def test_drawing_again_draws_nothing(drawn: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in drawn.rglob("*.[jt][px][gt]")}
    told: list[int] = []
    assert synthesize(drawn, 20, seed=3, progress=told.append) == 0
    assert {path: path.stat().st_mtime_ns for path in drawn.rglob("*.[jt][px][gt]")} == before
    assert len(before) == 23
    assert told == list(range(1, 21))


def test_a_killed_drawing_is_not_taken_for_a_whole_one_and_goes_on(tmp_path: Path) -> None:
    count = 80
    code = "import sys; from raygan.sharding.synthetic.dataset import *; synthesize(Path('faces'), int(sys.argv[1]), 5)"
    process = subprocess.Popen([sys.executable, "-c", code, str(count)], cwd=tmp_path)
    folder, deadline = tmp_path / "faces", time.monotonic() + 60
    while len(list(folder.glob("img_align_celeba/*.jpg"))) < 10:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not any((folder / name).exists() for name in ANNOTATIONS)
    torn = folder / "img_align_celeba/000004.jpg"
    torn.write_bytes(torn.read_bytes()[:900])
    left = sum(path.read_bytes().endswith(b"\xff\xd9") for path in folder.glob("img_align_celeba/*.jpg"))
    assert 9 <= left < count
    assert synthesize(folder, count, seed=5) == count - left
    synthesize(tmp_path / "uninterrupted", count, seed=5)
    assert contents(folder) == contents(tmp_path / "uninterrupted")


@pytest.mark.parametrize(("count", "seed"), [(21, 3), (20, 4)])
def test_another_drawing_in_the_same_folder_is_refused(drawn: Path, count: int, seed: int) -> None:
    before = contents(drawn)
    with pytest.raises(UserError, match="another drawing"):
        synthesize(drawn, count, seed)
    assert contents(drawn) == before


def test_a_folder_with_something_else_in_it_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(UserError, match="did not draw"):
        synthesize(tmp_path, 3)
    assert contents(tmp_path) == {"thesis.txt": b"precious"}
    with pytest.raises(UserError, match="is a file"):
        synthesize(tmp_path / "thesis.txt", 3)


@pytest.mark.parametrize("count", [0, -1, 1_000_000])
def test_a_count_that_six_digits_cannot_name_is_refused(tmp_path: Path, count: int) -> None:
    with pytest.raises(UserError, match="choose a count"):
        synthesize(tmp_path / "faces", count)


# The attributes among themselves


def test_the_attributes_are_the_official_forty_and_each_is_held_by_some() -> None:
    assert " ".join(ATTRIBUTES) + " " == OFFICIAL
    share = np.mean([list(attributes_of(face).values()) for face in PORTRAITS], axis=0)
    rare = {name: value for name, value in zip(ATTRIBUTES, share, strict=True) if not 0.005 < value < 0.9}
    assert rare == {}


def test_the_attributes_of_a_face_do_not_contradict_each_other() -> None:
    for face in PORTRAITS:
        held = {name for name, value in attributes_of(face).items() if value}
        assert len(held & {"Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair", "Bald"}) <= 1
        assert not {"Straight_Hair", "Wavy_Hair"} <= held
        assert "Male" in held or not held & {
            "Bald",
            "Goatee",
            "Mustache",
            "5_o_Clock_Shadow",
            "Sideburns",
            "Wearing_Necktie",
        }
        assert "No_Beard" not in held or not held & {"Goatee", "Mustache", "5_o_Clock_Shadow"}
        assert not ("Young" in held and "Gray_Hair" in held)


# The attributes and the picture: the same portrait drawn twice, with one thing changed


def plain(face: Portrait, **changes: object) -> Portrait:
    """The portrait looking straight ahead, with nothing on, nothing hiding the face, and the changes asked for."""
    person: dict[str, Any] = {
        "beard": "none",
        "bangs": False,
        "receding": False,
        "sideburns": False,
        "length": "short",
        "young": True,
    }
    scene: dict[str, Any] = {
        "yaw": 0.0,
        "roll": 0.0,
        "shift": (0.0, 0.0),
        "scale": 1.0,
        "blur": 0.0,
        "hat": "none",
        "glasses": "none",
    }
    scene |= {"opening": 0.0, "smile": 0.0, "blush": 0.0, "lipstick": (190, 30, 60), "makeup": None, "earrings": None}
    for name, value in changes.items():
        (person if hasattr(face.person, name) else scene)[name] = value
    return Portrait(face.identity, replace(face.person, **person), replace(face.scene, **scene))


SOME = PORTRAITS[:12]
CROWN = (slice(40, 56), slice(74, 104))
FOREHEAD = (slice(75, 88), slice(74, 104))
EYES = (slice(96, 126), slice(50, 128))
MOUTH = (slice(138, 172), slice(68, 110))


def picture(face: Portrait) -> NDArray[np.float64]:
    return draw(face).astype(np.float64)


def edges(pixels: NDArray[np.float64]) -> float:
    return float(np.abs(np.diff(pixels.mean(2), axis=0)).mean() + np.abs(np.diff(pixels.mean(2), axis=1)).mean())


def test_the_eyes_and_the_mouth_sit_where_celeba_has_them() -> None:
    mean = np.mean([picture(face) for face in PORTRAITS[:80]], axis=0)
    rows = slice(104, 118)
    for columns, middle in ((slice(58, 80), 67.0), (slice(98, 120), 108.5)):  # of CelebA's own mean, measured alike
        dark = 255 - mean[rows, columns].mean(2)
        weight = (dark - dark.min()) ** 3 / ((dark - dark.min()) ** 3).sum()
        assert abs(weight.sum(1) @ np.arange(rows.start, rows.stop) - 109.2) < 2
        assert abs(weight.sum(0) @ np.arange(columns.start, columns.stop) - middle) < 2
    red = (mean[..., 0] - mean[..., 1])[140:170, 80:98].mean(1)
    assert abs(140 + int(red.argmax()) - 156) <= 4


def test_hair_has_the_colour_its_attribute_says() -> None:
    colours: dict[str, list[NDArray[np.float64]]] = {f"{name}_Hair": [] for name in ("Black", "Brown", "Gray", "Blond")}
    for face in PORTRAITS[:180]:
        for name in colours:
            if attributes_of(face)[name] and face.scene.hat == "none":
                colours[name].append(picture(face)[CROWN].mean((0, 1)))
    light = {name: np.mean(values, axis=1) for name, values in colours.items()}
    assert all(len(values) >= 5 for values in light.values())
    assert light["Black_Hair"].max() < light["Blond_Hair"].min()
    assert light["Black_Hair"].mean() + 20 < light["Brown_Hair"].mean()
    assert light["Brown_Hair"].mean() + 40 < light["Blond_Hair"].mean()
    yellow = {name: np.mean(values, axis=0) @ (1, 0, -1) for name, values in colours.items()}
    assert yellow["Blond_Hair"] > 60 > 25 > abs(yellow["Gray_Hair"])


@pytest.mark.parametrize("face", SOME)
def test_bald_heads_show_skin_where_others_have_hair_and_bangs_cover_the_forehead(face: Portrait) -> None:
    hair, bald, bangs = (picture(plain(face, **c)) for c in ({}, {"length": "bald"}, {"bangs": True}))
    skin = hair[FOREHEAD].mean((0, 1))
    crown = (slice(58, 64), slice(84, 94))
    assert np.abs(bald[crown].mean((0, 1)) - skin).max() < np.abs(hair[crown].mean((0, 1)) - skin).max()
    hair_colour = hair[crown].mean((0, 1))
    assert np.abs(bangs[FOREHEAD].mean((0, 1)) - hair_colour).sum() < np.abs(skin - hair_colour).sum()


@pytest.mark.parametrize("face", SOME)
def test_smiling_faces_smile(face: Portrait) -> None:
    def curvature(smile: float) -> float:
        """How much lower, in pixels, the lips are in their middle than at their ends."""
        pixels = picture(plain(face, smile=smile, lipstick=(20.0, 60.0, 230.0)))[MOUTH]
        lips = np.maximum(pixels[..., 2] - pixels[..., 0], 0)  # blue, so that no skin is taken for lips
        rows = (lips * np.arange(len(lips))[:, None]).sum(0) / np.maximum(lips.sum(0), 1e-9)
        painted = rows[lips.sum(0) > 20]
        return float(painted[len(painted) // 2] - 0.5 * (painted[0] + painted[-1]))

    assert curvature(0.4) > curvature(0.0) + 1
    assert curvature(0.9) > curvature(0.4) + 1


@pytest.mark.parametrize("face", SOME)
def test_what_is_worn_and_done_shows_where_it_should(face: Portrait) -> None:
    base = picture(plain(face))
    for glasses in ("round", "square"):
        assert edges(picture(plain(face, glasses=glasses))[EYES]) > 1.15 * edges(base[EYES])
    lens = (slice(106, 118), slice(60, 78))
    assert picture(plain(face, glasses="dark"))[lens].mean() < 0.75 * base[lens].mean()
    for hat in ("beanie", "cap", "brim"):
        worn = picture(plain(face, hat=hat, hat_colour=(20.0, 220.0, 40.0)))[50:66, 80:98].mean((0, 1))
        assert worn[1] > worn[0] + 60
        assert worn[1] > worn[2] + 60
    assert picture(plain(face, opening=7.0))[MOUTH].std() > base[MOUTH].std()
    assert edges(picture(plain(face, blur=2.0))[EYES]) < 0.7 * edges(base[EYES])
    chin = (slice(165, 176), slice(80, 98))
    for beard in ("goatee", "full"):
        pixels = picture(plain(replace(face, person=replace(face.person, hair_colour=(10, 200, 10))), beard=beard))
        assert pixels[chin][..., 1].mean() > pixels[chin][..., 0].mean()


def test_narrow_eyes_show_less_white_and_rosy_cheeks_are_redder() -> None:
    cheek = (slice(128, 142), slice(58, 70))
    for face in SOME:
        white = [(picture(plain(face, eye_opening=o))[EYES].min(2) > 175).sum() for o in (0.6, 1.1)]
        assert white[0] < white[1]
        red = [picture(plain(face, blush=b))[cheek].mean((0, 1)) @ (1, -1, 0) for b in (0.0, 0.9)]
        assert red[0] + 8 < red[1]
