"""The commands that read what others wrote: generate, evaluate, shards, ui."""

import shutil
import socket
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from raygan.jobs.cli import main
from raygan.pipeline.config import smoke
from raygan.pipeline.distributed import DistributedContext
from raygan.pipeline.evaluation.report import Report
from raygan.pipeline.objectives.adversarial.objective import AdversarialObjective
from raygan.pipeline.training import checkpoint


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of networks that draw 32 pixels; nothing here depends on how well."""
    folder = tmp_path_factory.mktemp("checkpoint")
    taken = checkpoint.snapshot(
        AdversarialObjective(smoke(), 32, DistributedContext()), 16, data="d", identity={}, scores={}
    )
    checkpoint.write(folder, taken)
    return folder


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


def test_evaluate_scores_a_checkpoint_and_another_programs_images_alike(
    trained: Path, shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ["--real", str(shards), "--count", "40", "--metric", "kid"]
    main(["evaluate", str(trained), *common, "--json", str(tmp_path / "mine.json")])
    said = capsys.readouterr().out
    assert "kid_randconv: " in said
    assert "kid: " not in said
    assert "identity: " in said
    np.save(tmp_path / "theirs.npy", np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8))
    main(["evaluate", str(tmp_path / "theirs.npy"), *common, "--json", str(tmp_path / "theirs.json")])
    capsys.readouterr()
    main(["evaluate", str(trained), *common, "--against", str(tmp_path / "theirs.json"), "--resamples", "0"])
    (difference,) = Report.load(tmp_path / "mine.json").minus(Report.load(tmp_path / "theirs.json")).values()
    assert f"less {tmp_path / 'theirs.json'}:\nkid_randconv: {difference.value:+.6g}\n" in capsys.readouterr().out


def test_workers_find_the_report_that_one_process_finds(
    trained: Path, shards: Path, ray_cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the workers run elsewhere
    (tmp_path / "checkpoint").symlink_to(trained)
    (tmp_path / "shards").symlink_to(shards)
    for json, workers in (("one.json", []), ("two.json", ["--workers", "2"])):
        common = ["--real", "shards", "--count", "250", "--metric", "fid,kid,pr", "--json", json]
        main(["evaluate", "checkpoint", *common, *workers])
    one, two = Report.load("one.json"), Report.load("two.json")
    assert two.identity == one.identity
    for name in ("scores", "floor"):
        assert getattr(two, name) == pytest.approx(getattr(one, name), rel=1e-9)
    for name, interval in one.intervals.items():
        assert two.intervals[name] == pytest.approx(interval, rel=1e-9)
    assert not list((tmp_path / "runs").glob(".*"))


def test_evaluate_asks_what_images_are_compared_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["evaluate", str(tmp_path / "faces.npy")])
    assert end.value.code == 2
    assert "--real: " in capsys.readouterr().err


def test_a_report_that_cannot_be_written_is_refused_before_the_work(
    trained: Path, shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(["evaluate", str(trained), "--real", str(shards), "--json", str(tmp_path / "nowhere" / "report.json")])
    assert end.value.code == 2
    assert "nowhere; make it first" in capsys.readouterr().err


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


def test_a_port_in_use_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mlflow.db").touch()
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(SystemExit) as end:
        main(["ui", "--runs", str(tmp_path), "--port", str(taken.getsockname()[1])])
    assert end.value.code == 2
    assert "in use on this machine" in capsys.readouterr().err
