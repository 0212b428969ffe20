"""A parquet export gives the same images and annotations as the published files."""

from pathlib import Path

import pyarrow
import pyarrow.parquet

from raygan.sharding.sources.detect import open_source
from tests.sharding.sources import made as sources

COUNT = sources.COUNT


def test_parquet(tmp_path: Path) -> None:
    source = open_source(str(sources.parquet(tmp_path / "x", COUNT)))
    sources.check_faces(source)
    assert source.block == 4
    assert "parquet" in source.kind


def test_a_null_in_parquet_is_rejected(tmp_path: Path) -> None:
    column = [{"bytes": sources.jpeg(n), "path": None} for n in range(3)]
    pyarrow.parquet.write_table(pyarrow.table({"image": column, "Male": [True, None, False]}), tmp_path / "a.parquet")
    source = open_source(str(tmp_path))
    assert len(source) == 2
    assert [reject.file for reject in source.rejects] == ["a.parquet#0#1"]
