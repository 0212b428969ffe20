from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from raygan.jobs.cli import main


def test_generate_draws_a_sheet_an_array_or_files_of_the_same_faces(trained: Path, tmp_path: Path) -> None:
    for out in ("sheet.png", "faces.npy", "files"):
        main(["generate", str(trained), str(tmp_path / out), "--count", "5", "--seed", "3"])
    array = np.load(tmp_path / "faces.npy")
    assert (array.shape, array.dtype) == ((5, 32, 32, 3), np.uint8)
    files = sorted((tmp_path / "files").iterdir())
    assert [path.name for path in files] == [f"{i:06d}.png" for i in range(5)]
    assert np.array_equal(np.stack([np.asarray(Image.open(path)) for path in files]), array)
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert np.array_equal(sheet[2:34, 2:34], array[0])


def test_generate_refuses_what_it_cannot_write(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    for out, count in ((tmp_path / "file" / "x.png", "4"), (tmp_path / "x.png", "0")):
        with pytest.raises(SystemExit) as end:
            main(["generate", str(trained), str(out), "--count", count])
        assert end.value.code == 2
    assert "--count 0: at least one face" in capsys.readouterr().err
