import subprocess
import sys
from pathlib import Path

import pytest

from raygan.jobs.cli import main
from raygan.pipeline.config import Launch, smoke
from raygan.pipeline.training.runs import Run


def ends(capsys: pytest.CaptureFixture[str], *tokens: str) -> tuple[int, str]:
    """The exit status of a command, and its one line of complaint."""
    with pytest.raises(SystemExit) as end:
        main(tokens)
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1, said
    return end.value.code, said[0]


def test_ctrl_c_ends_with_130_and_with_what_the_command_says(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt("stopped at 64 images")

    monkeypatch.setattr("raygan.pipeline.training.runs.find_checkpoint", interrupted)
    assert ends(capsys, "generate", "somebody") == (130, "raygan: stopped at 64 images")


def test_help_and_dry_runs_import_nothing_slow_and_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--help"])
    page = capsys.readouterr().out
    for command in ("data", "shard", "train", "generate", "evaluate", "ui", "demo"):
        assert command in page
    slow = "{'torch', 'ray', 'mlflow', 'matplotlib'}"
    modules = "raygan.jobs.cli, raygan.jobs.commands.training.search"
    code = f"import sys, {modules}; print({slow} & {{*sys.modules}})"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "set()\n"


def test_the_help_of_train_shows_defaults_and_units(capsys: pytest.CaptureFixture[str]) -> None:
    main(["train", "--help"])
    page = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "Images shown to the discriminator until the run stops. [default: 2000000]" in page
    assert "--generator.width INT" in page


@pytest.mark.parametrize(
    ("tokens", "complaint"),
    [
        ("train --preset none", "--preset none: there is no such preset; there are article, radford,"),
        ("train --generator.width 2", "--generator.width 2: Input should be greater than or equal to 4"),
        ("train --images many", "--images many: Input should be a valid integer"),
        ("train --r1 1", "--r1 is of one image's gradient"),
        ("train --colour red", "Unknown option: --colour"),
        ("train --shards {tmp}/nowhere", "nowhere/manifest.json: no manifest there"),
        ("train --resume nobody --runs {tmp}", "nobody: no such run in"),
        ("train --resume auto --runs {tmp}", "--resume auto: which run? Give its --name"),
        ("generate nobody --runs {tmp}", "nobody: no such run in"),
        ("shard {tmp}/nowhere {tmp}/out", "nowhere"),
        ("shard {tmp} {tmp}/out", "{tmp}"),
        ("fly", 'Unknown command "fly"'),
    ],
)
def test_a_mistake_is_said_in_one_line_with_status_2(
    tokens: str, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, line = ends(capsys, *tokens.format(tmp=tmp_path).split())
    assert status == 2
    assert complaint.format(tmp=tmp_path) in line


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
    knobs = smoke().model_copy(update={"seed": 7, "balance": 1.5})
    launch = Launch(name="a", shards=str(shards), runs=tmp_path, workers=4)
    Run(config=knobs, launch=launch, data="d", tracking="t", run_id="r").save()
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
