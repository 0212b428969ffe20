from pathlib import Path

import pytest

from raygan.jobs.cli import main
from raygan.pipeline.config import Launch, smoke
from raygan.pipeline.training.runs import Run
from raygan.sharding.format.manifest import Manifest
from tests.jobs.test_cli import ends


def test_the_help_of_train_shows_defaults_and_units(capsys: pytest.CaptureFixture[str]) -> None:
    main(["train", "--help"])
    page = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "Real images shown until the run stops. [default: 2000000]" in page
    assert "--generator.width INT" in page


def test_a_dry_run_prints_the_whole_configuration_and_the_plan_and_starts_nothing(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(f"train --preset smoke --shards {shards} --runs {tmp_path}/runs --batch 32 --workers 2 --dry-run".split())
    said = capsys.readouterr().out
    assert '"batch": 32' in said
    assert '"preset": "smoke"' in said
    assert "256 images = 4.0 epochs = 8 updates" in said
    assert "2 worker(s), each with 1 CPU core(s) and 16 images per update" in said
    assert not (tmp_path / "runs").exists()


def test_flags_win_over_the_preset_and_a_resumed_run_brings_its_own_values(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = smoke().with_settings({"seed": 7, "balance": 1.5})
    launch = Launch(name="a", shards=str(shards), runs=tmp_path, workers=4)
    Run(config=config, launch=launch, data=Manifest.load(shards).digest, tracking="t", run_id="r").save()
    main(f"train --resume a --runs {tmp_path} --images 512 --generator.learning-rate 1e-5 --dry-run".split())
    said = capsys.readouterr().out
    for line in (
        '"seed": 7',
        '"balance": 1.5',
        '"images": 512',
        '"learning_rate": 0.00001',
        f"data set {shards}",
        "4 worker",
    ):
        assert line in said.replace("1e-05", "0.00001")
    for name, says in (("a", "run a in"), ("b", "run b in")):  # auto: resumed, since it was begun; or begun
        main(f"train --resume auto --name {name} --runs {tmp_path} --shards {shards} --dry-run".split())
        said = capsys.readouterr().out
        assert says in said
        assert ('"seed": 7' in said) == (name == "a")
    status, line = ends(capsys, *f"train --resume a --runs {tmp_path} --generator.width 8".split())
    assert (status, "--generator.width 8: the run was started with 4" in line) == (2, True)
