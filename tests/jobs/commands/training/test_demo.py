from pathlib import Path

import pytest
from PIL import Image

from raygan.jobs.cli import main
from raygan.pipeline.training.header import read_header
from raygan.sharding.storage.folder import Folder


def test_the_demo_does_everything_and_a_second_one_reuses_everything(
    ray_cluster: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["demo", "--preset", "smoke", "--faces", "50", "--runs", str(tmp_path / "runs")]
    main(command)
    said = capsys.readouterr().err
    for part in (
        "1/4 draw",
        "50 drawn, 0 reused",
        "2/4 convert",
        "3/4 train",
        "4/4 generate",
        "fd_randconv",
        "raygan ui",
    ):
        assert part in said
    newest = tmp_path / "runs" / "demo" / "checkpoint_000000000256"
    assert read_header(Folder(str(newest))).position == 256
    assert Image.open(tmp_path / "runs" / "demo" / "faces.png").size == (8 * 66 + 2, 8 * 66 + 2)
    assert (tmp_path / "runs" / "mlflow.db").exists()

    written = newest.stat().st_mtime_ns
    main(command)
    said = capsys.readouterr().err
    for part in ("0 drawn, 50 reused", "0 shards written, ", "reused: run demo, which is finished"):
        assert part in said
    assert newest.stat().st_mtime_ns == written
