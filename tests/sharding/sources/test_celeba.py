"""Every published layout of CelebA gives the same images and annotations."""

from pathlib import Path

import pytest

from raygan.sharding.errors import UserError
from raygan.sharding.sources.detect import open_source
from tests.sharding.sources import made as sources

COUNT = sources.COUNT


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("count_line", [True, False])
def test_the_official_folder(newline: str, count_line: bool, tmp_path: Path) -> None:
    source = open_source(str(sources.official(tmp_path / "x", COUNT, newline=newline, count_line=count_line)))
    sources.check_faces(source)
    assert "folder of 20 images with 5 attributes" in source.kind


def test_the_image_folder_itself_or_the_zip_itself(tmp_path: Path) -> None:
    sources.check_faces(open_source(str(sources.official(tmp_path / "x", COUNT) / "img_align_celeba")))
    sources.check_faces(open_source(str(sources.official_zip(tmp_path / "y", COUNT) / "img_align_celeba.zip")))


def test_the_official_zip_is_read_in_place(tmp_path: Path) -> None:
    source = open_source(str(sources.official_zip(tmp_path / "x", COUNT)))
    sources.check_faces(source)
    assert "zip" in source.kind
    assert not (tmp_path / "x" / "img_align_celeba").exists()


def test_the_folders_of_the_official_drive(tmp_path: Path) -> None:
    folder = sources.official_zip(tmp_path / "x", COUNT)
    for place, names in {
        "Img": ["img_align_celeba.zip"],
        "Anno": ["list_attr_celeba.txt", "identity_CelebA.txt"],
        "Eval": ["list_eval_partition.txt"],
    }.items():
        (folder / place).mkdir()
        for name in names:
            (folder / name).rename(folder / place / name)
    sources.check_faces(open_source(str(folder)))


def test_kaggle(tmp_path: Path) -> None:
    sources.check_faces(open_source(str(sources.kaggle(tmp_path / "x", COUNT))), identities=False)


def test_attributes_and_identity_are_optional(tmp_path: Path) -> None:
    folder = sources.official(tmp_path / "x", COUNT)
    (folder / "list_attr_celeba.txt").unlink()
    (folder / "identity_CelebA.txt").unlink()
    source = open_source(str(folder))
    assert (source.attributes, source.numbers) == ((), {})
    assert source.totals == {"train": 16, "valid": 2, "test": 2}


def test_landmarks_are_read(tmp_path: Path) -> None:
    folder = sources.official(tmp_path / "x", 2)
    names = " ".join(
        f"{part}_{axis}" for part in ("lefteye", "righteye", "nose", "leftmouth", "rightmouth") for axis in "xy"
    )
    rows = "\n".join(f"{n:06d}.jpg " + " ".join(f"{n * 10 + i:4d}" for i in range(10)) for n in (1, 2))
    (folder / "list_landmarks_align_celeba.txt").write_text(f"2\n{names}\n{rows}\n")
    assert open_source(str(folder)).numbers["landmarks"].tolist() == [list(range(10, 20)), list(range(20, 30))]


def test_rows_without_an_image_are_only_counted(tmp_path: Path) -> None:
    folder = sources.official(tmp_path / "x", COUNT)
    for number in (3, 4, 5):
        (folder / "img_align_celeba" / f"{number:06d}.jpg").unlink()
    source = open_source(str(folder))
    assert (len(source), source.absent, source.rejects) == (COUNT - 3, 3, ())


def test_an_image_with_two_rows_is_left_out(tmp_path: Path) -> None:
    folder = sources.official(tmp_path / "x", COUNT)
    with (folder / "list_eval_partition.txt").open("ab") as file:
        file.write(b"000007.jpg 2\r\n")
    source = open_source(str(folder))
    assert len(source) == COUNT - 1
    assert [tuple(reject) for reject in source.rejects] == [
        ("000007.jpg", "more than one row in list_eval_partition", "")
    ]


def test_annotations_of_another_data_set_are_refused(tmp_path: Path) -> None:
    folder = sources.official(tmp_path / "x", COUNT)
    for path in (folder / "img_align_celeba").iterdir():
        path.rename(path.with_name(f"x{path.name}"))
    with pytest.raises(UserError, match="none of 20 images has a row"):
        open_source(str(folder))
