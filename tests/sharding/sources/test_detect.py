"""A location where no images are is refused, and the message says what was looked for."""

from pathlib import Path

import pytest

from raygan.sharding.errors import UserError
from raygan.sharding.sources.detect import open_source


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
