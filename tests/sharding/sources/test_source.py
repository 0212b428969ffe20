"""Keys are usable in a shard, and the digest of a source names all that its shards depend on."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raygan.sharding.errors import UserError
from raygan.sharding.sources.detect import open_source
from raygan.sharding.sources.source import keys_of
from tests.sharding.sources import made as sources

COUNT = sources.COUNT
UNHURRIED = settings(deadline=None)


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


def test_a_number_that_does_not_fit_its_columns_is_refused(tmp_path: Path) -> None:
    folder = sources.official(tmp_path / "x", COUNT)
    rows = "".join(f"{n:06d}.jpg {10**6 + n}\n" for n in range(1, COUNT + 1))
    (folder / "identity_CelebA.txt").write_text(rows)
    with pytest.raises(UserError, match="identity has numbers"):
        open_source(str(folder))
