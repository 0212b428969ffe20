"""Every layout that people have CelebA in gives the same faces; what is none is refused with what was looked for."""

import contextlib
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raygan.sharding.errors import UserError
from raygan.sharding.format.manifest import SPLITS
from raygan.sharding.sources.annotations import read_bits, read_numbers
from raygan.sharding.sources.detect import open_source
from raygan.sharding.sources.source import Source, keys_of
from tests.sharding.sources import made as sources

COUNT = 20
UNHURRIED = settings(deadline=None)
NAMES = st.lists(st.text("abcdefghij0123456789_-", min_size=1, max_size=8), min_size=1, max_size=30, unique=True)


def parquet(folder: Path, count: int, rows_per_group: int = 4) -> Path:
    """A Hugging Face style export: one file for each split, pictures as bytes and path, attributes as booleans."""
    (folder / "data").mkdir(parents=True)
    for split in SPLITS:
        numbers = [n for n in range(1, count + 1) if sources.split_of(n) == split]
        columns: dict[str, object] = {
            "image": [{"bytes": sources.jpeg(n), "path": f"{n:06d}.jpg"} for n in numbers],
            "celeb_id": [sources.identity(n) for n in numbers],
        }
        for place, name in enumerate(sources.ATTRIBUTES):
            columns[name] = [bool(sources.bits(n)[place]) for n in numbers]
        name = f"{split}-00000-of-00001.parquet"
        pyarrow.parquet.write_table(pyarrow.table(columns), folder / "data" / name, row_group_size=rows_per_group)
    return folder


def check_faces(source: Source, identities: bool = True) -> None:
    """All of the faces 1 to COUNT, each with its split, bytes, attributes and identity."""
    numbers = [int(key) for key in source.keys.tolist()]
    assert sorted(numbers) == list(range(1, COUNT + 1))
    assert [sources.split_of(n) for n in numbers] == [split for split in SPLITS for _ in range(source.totals[split])]
    assert source.attributes == sources.ATTRIBUTES
    assert source.values.tolist() == [sources.bits(n) for n in numbers]
    assert [source.read(row) for row in range(len(source))] == [sources.jpeg(n) for n in numbers]
    if identities:
        assert source.numbers["identity"].tolist() == [[sources.identity(n)] for n in numbers]
    assert source.rejects == ()


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("count_line", [True, False])
def test_the_official_folder(newline: str, count_line: bool, tmp_path: Path) -> None:
    source = open_source(str(sources.official(tmp_path / "x", COUNT, newline=newline, count_line=count_line)))
    check_faces(source)
    assert "folder of 20 images with 5 attributes" in source.kind


def test_the_image_folder_itself_or_the_zip_itself(tmp_path: Path) -> None:
    check_faces(open_source(str(sources.official(tmp_path / "x", COUNT) / "img_align_celeba")))
    check_faces(open_source(str(sources.official_zip(tmp_path / "y", COUNT) / "img_align_celeba.zip")))


def test_the_official_zip_is_read_in_place(tmp_path: Path) -> None:
    source = open_source(str(sources.official_zip(tmp_path / "x", COUNT)))
    check_faces(source)
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
    check_faces(open_source(str(folder)))


def test_kaggle(tmp_path: Path) -> None:
    check_faces(open_source(str(sources.kaggle(tmp_path / "x", COUNT))), identities=False)


def test_parquet(tmp_path: Path) -> None:
    source = open_source(str(parquet(tmp_path / "x", COUNT)))
    check_faces(source)
    assert source.block == 4
    assert "parquet" in source.kind


def test_a_null_in_parquet_is_rejected(tmp_path: Path) -> None:
    column = [{"bytes": sources.jpeg(n), "path": None} for n in range(3)]
    pyarrow.parquet.write_table(pyarrow.table({"image": column, "Male": [True, None, False]}), tmp_path / "a.parquet")
    source = open_source(str(tmp_path))
    assert len(source) == 2
    assert [reject.file for reject in source.rejects] == ["a.parquet#0#1"]


def test_a_plain_folder_is_split_by_its_seed(tmp_path: Path) -> None:
    folder = sources.plain(tmp_path / "ffhq", 200)
    source = open_source(str(folder), seed=1)
    assert sum(source.totals.values()) == 200
    assert source.totals["train"] > 120
    assert min(source.totals.values()) > 5
    assert {key.decode() for key in source.keys.tolist()} == {f"{n:05d}" for n in range(200)}
    assert source.attributes == ()
    assert open_source(str(folder), seed=1).digest == source.digest
    assert open_source(str(folder), seed=2).digest != source.digest
    assert open_source(str(folder), held_out=0).totals == {"train": 200, "valid": 0, "test": 0}


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


def test_what_is_no_source_is_refused_with_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no such folder.*img_align_celeba"):
        open_source(str(tmp_path / "missing"))
    with pytest.raises(UserError, match=r"no images found; looked for img_align_celeba/ or img_align_celeba.zip"):
        open_source(str(tmp_path))
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(UserError, match=r"not a \.zip"):
        open_source(str(tmp_path / "notes.txt"))
    (tmp_path / "img_align_celeba.zip").write_bytes(b"<html>quota exceeded</html>")
    with pytest.raises(UserError, match="not a whole zip"):
        open_source(str(tmp_path))
    (tmp_path / "a.parquet").write_bytes(b"PAR1 cut short")
    with pytest.raises(UserError, match="not a whole parquet"):
        open_source(str(tmp_path))


def test_annotations_of_another_data_set_are_refused(tmp_path: Path) -> None:
    folder = sources.official(tmp_path / "x", COUNT)
    for path in (folder / "img_align_celeba").iterdir():
        path.rename(path.with_name(f"x{path.name}"))
    with pytest.raises(UserError, match="none of 20 images has a row"):
        open_source(str(folder))


@UNHURRIED
@given(NAMES, st.integers(1, 8), st.booleans(), st.booleans(), st.sampled_from(["\n", "\r\n"]), st.data())
def test_a_table_of_bits_is_read_as_it_was_written(
    names: list[str], width: int, commas: bool, head: bool, newline: str, data: st.DataObject
) -> None:
    rows = {name: data.draw(st.lists(st.sampled_from([-1, 1]), min_size=width, max_size=width)) for name in names}
    columns = [f"Column_{i}" for i in range(width)]
    if commas:
        lines = [",".join(["image_id", *columns]), *(",".join([f"{n}.jpg", *map(str, v)]) for n, v in rows.items())]
    else:
        lines = [str(len(rows))] * head + [" ".join(columns)]
        lines += [f"{n}.jpg " + " ".join(f"{x:2d}" for x in v) + " " * head for n, v in rows.items()]
    table = read_bits(newline.join([*lines, ""]).encode(), "table")
    assert table.columns == tuple(columns)
    assert table.rows == {name.encode(): bytes(x > 0 for x in values) for name, values in rows.items()}
    assert table.doubled == frozenset()


@UNHURRIED
@given(NAMES, st.data())
def test_a_row_of_another_length_is_named_by_its_line(names: list[str], data: st.DataObject) -> None:
    lines = [f"{name}.jpg 1 -1 1" for name in names]
    place = data.draw(st.integers(0, len(names)))
    lines.insert(place, "extra.jpg 1 -1")
    if len(names) == 1 and place == 0:
        return  # with two rows, nobody knows which is the odd one
    with pytest.raises(UserError, match=r"table:\d+: "):
        read_bits("\n".join(["A B C", *lines]).encode(), "table")


@UNHURRIED
@given(st.binary(max_size=300))
def test_any_bytes_give_a_table_or_a_plain_refusal(data: bytes) -> None:
    for read in (read_bits, read_numbers):
        with contextlib.suppress(UserError):
            assert len({len(row) for row in read(data, "table").rows.values()}) <= 1


@UNHURRIED
@given(st.lists(st.text(max_size=12), max_size=40))
def test_keys_are_unique_of_one_width_and_plain(stems: list[str]) -> None:
    keys = [key.decode() for key in keys_of(stems).tolist()]
    assert len(set(keys)) == len(keys) == len(stems)
    assert len({len(key) for key in keys}) <= 1
    assert all("." not in key and "/" not in key for key in keys)


def test_the_digest_depends_on_every_annotation(tmp_path: Path) -> None:
    folder = sources.official(tmp_path / "x", COUNT)
    digests = {open_source(str(folder)).digest}
    for name, old, new in (
        ("list_eval_partition.txt", "000001.jpg 0", "000001.jpg 1"),
        ("identity_CelebA.txt", "000001.jpg 11", "000001.jpg 12"),
        ("list_attr_celeba.txt", "Smiling", "Frowning"),
    ):
        text = (folder / name).read_bytes().decode()
        assert old in text
        (folder / name).write_bytes(text.replace(old, new).encode())
        digests.add(open_source(str(folder)).digest)
    (folder / "img_align_celeba" / "000002.jpg").write_bytes(sources.jpeg(77))
    digests.add(open_source(str(folder)).digest)
    assert len(digests) == 5


def test_an_image_with_two_rows_is_left_out(tmp_path: Path) -> None:
    folder = sources.official(tmp_path / "x", COUNT)
    with (folder / "list_eval_partition.txt").open("ab") as file:
        file.write(b"000007.jpg 2\r\n")
    source = open_source(str(folder))
    assert len(source) == COUNT - 1
    assert [tuple(reject) for reject in source.rejects] == [
        ("000007.jpg", "more than one row in list_eval_partition", "")
    ]


def test_a_number_that_does_not_fit_its_columns_is_refused(tmp_path: Path) -> None:
    folder = sources.official(tmp_path / "x", COUNT)
    rows = "".join(f"{n:06d}.jpg {10**6 + n}\n" for n in range(1, COUNT + 1))
    (folder / "identity_CelebA.txt").write_text(rows)
    with pytest.raises(UserError, match="identity has numbers"):
        open_source(str(folder))
