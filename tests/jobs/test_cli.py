import subprocess
import sys
from pathlib import Path

import pytest

from raygan.jobs.cli import main


def ends(capsys: pytest.CaptureFixture[str], *tokens: str) -> tuple[int, str]:
    """The exit status of a command that fails, and the one line that it prints."""
    with pytest.raises(SystemExit) as end:
        main(tokens)
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1, said
    assert isinstance(end.value.code, int)
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
