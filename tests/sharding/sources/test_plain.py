"""A folder of pictures without annotations."""

from pathlib import Path

from raygan.sharding.sources.detect import open_source
from tests.sharding.sources import made as sources


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
