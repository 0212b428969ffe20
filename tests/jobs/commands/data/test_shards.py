import shutil
from pathlib import Path

import pytest
from PIL import Image

from raygan.jobs.cli import main


def test_verify_finds_a_flipped_byte_and_names_the_shard(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["shards", "verify", str(shards)])
    assert "80 images in" in capsys.readouterr().err
    copy = shutil.copytree(shards, tmp_path / "copy")
    damaged = sorted(copy.glob("train-*.tar"))[1]
    content = bytearray(damaged.read_bytes())
    content[3000] ^= 4
    damaged.write_bytes(content)
    with pytest.raises(SystemExit) as end:
        main(["shards", "verify", str(copy)])
    assert end.value.code == 1
    assert damaged.name in capsys.readouterr().err


def test_show_draws_a_contact_sheet(shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["shards", "show", str(shards), str(tmp_path / "sheet.png")])
    assert "64 train" in capsys.readouterr().out
    assert Image.open(tmp_path / "sheet.png").width == 10 * 34 + 2
