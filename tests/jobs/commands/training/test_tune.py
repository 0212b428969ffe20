"""What `raygan tune` says before it starts anything, and what it shows; whole searches are in tests/pipeline."""

from pathlib import Path

import pytest
from rich.console import Console

from raygan.jobs.cli import main
from raygan.jobs.defaults import from_file
from raygan.jobs.ui.search_table import line, table
from raygan.pipeline.config import Launch, smoke
from raygan.pipeline.tuning.coordinator import Coordinator, TrialStatus
from raygan.pipeline.tuning.search import Options, Search, plan
from raygan.pipeline.tuning.space import default, words
from tests.jobs.test_cli import ends


def test_a_dry_run_says_what_is_tried_where_it_is_compared_and_starts_nothing(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = f"tune --shards {shards} --runs {tmp_path}/runs --preset smoke --images 900 --name s --dry-run"
    main(command.split())
    said = capsys.readouterr().out
    assert "16 trials of 900 images at most, proposed by optuna" in said
    assert "one in 3 continues after each rung, at 112, 336 images" in said
    assert "the best 3 with 3 seeds each: 6 more" in said
    assert "balance=0.5:5:log" in said
    main(f"{command} --search grid --steps 4 --vary balance=0.5:5 --vary loss=bce,hinge --scheduler none".split())
    said = capsys.readouterr().out
    assert "8 trials of 900 images" in said
    assert "every trial runs to its end" in said
    assert "learning_rate" not in said
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        ("--vary balance=0.01:5", "--vary balance=0.01: Input should be greater"),
        ("--vary colour=1:2", "--vary colour: there is no such setting"),
        ("--vary balance", "--vary balance: give FIELD=LOW:HIGH"),
        ("--space {tmp}/nowhere.yaml", "--space {tmp}/nowhere.yaml: cannot be read"),
        ("--workers-per-trial 1:2", "--workers-per-trial 1:2: "),
        ("--first-rung 1000", "--first-rung 1000: a trial ends after 256 images"),
        ("--scheduler pbt", "pbt"),
        ("--resume nobody", "nobody: no such search in"),
        ("--resume auto", "--resume auto: which run? Give its --name"),
    ],
)
def test_a_mistake_is_said_in_one_line_before_anything_starts(
    flags: str, complaint: str, shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = flags.format(tmp=tmp_path)
    status, line = ends(capsys, *f"tune --preset smoke --shards {shards} --runs {tmp_path} {given}".split())
    assert status == 2
    assert complaint.format(tmp=tmp_path) in line
    assert not list(tmp_path.iterdir())


def test_a_resumed_search_keeps_what_makes_its_trials_comparable(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    launch = Launch(shards=str(shards), runs=str(tmp_path), name="s")
    search = plan(smoke(), launch, default(smoke()), Options(trials=5), data="d")
    search.save()
    for flags, complaint in (
        ("--vary balance=1:2", "--vary: search s keeps"),
        ("--reduction 4", "--reduction: search s keeps"),
        ("--generator.width 8", "a setting of the trials: search s keeps"),
        ("--config x.yaml", "--config x.yaml: search s keeps its own"),
    ):
        status, line = ends(capsys, *f"tune --resume s --runs {tmp_path} {flags}".split())
        assert status == 2
        assert complaint in line
    again = " ".join(f"--vary {field}" for field in words(default(smoke())))
    for resume in ("s", "auto --name s", f"auto --name s --preset smoke {again}"):  # as a job that is sent again
        status, line = ends(capsys, *f"tune --resume {resume} --runs {tmp_path} --trials 7 --dry-run".split())
        assert "not the data set of search s" in line
    main(f"tune --resume auto --name new --shards {shards} --runs {tmp_path} --preset smoke --dry-run".split())
    assert "search new in" in capsys.readouterr().out


def test_a_file_gives_the_settings_and_flags_win_over_it(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("preset: smoke\nbalance: 3\ngenerator: {learning_rate: 1e-4, width: 8}\n")
    main(f"train --config {file} --shards {shards} --balance 2 --dry-run".split())
    said = capsys.readouterr().out
    assert '"balance": 2.0' in said
    assert '"learning_rate": 0.0001' in said
    assert '"images": 256' in said
    assert from_file(file).generator.width == 8

    for text, complaint in (
        ("generator: {learning_rat: 1}", "generator.learning_rat: there is no such setting"),
        ("balance: 1000", "balance"),
        ("- balance", "settings by name are expected"),
        ("balance: [1", "neither YAML nor JSON"),
        ("preset: none", "--preset none: there is no such preset"),
    ):
        file.write_text(text)
        status, line = ends(capsys, "train", "--config", str(file), "--shards", str(shards), "--dry-run")
        assert status == 2
        assert complaint in line


def test_the_table_shows_every_running_trial_and_the_best_of_the_others(tmp_path: Path) -> None:
    search = Search(
        config=smoke(), launch=Launch(runs=str(tmp_path), name="s"), space=default(smoke()), options=Options(), data=""
    )
    search.save()
    coordinator = Coordinator(search, stop_one=lambda name: None, stopping=lambda: False)
    states = ["finished", "running", "stopped", "failed"] * 10
    for number, state in enumerate(states):
        values = {"discriminator.learning_rate": 1e-4, "generator.learning_rate": 2e-4, "balance": 1.0 + number}
        name = f"{number:04d}"
        coordinator.statuses[name] = TrialStatus(name, values, state, 128, 64.0, score=float(number), rung=1)  # type: ignore[arg-type]
    screen = Console(width=80, record=True)
    screen.print(table(coordinator))
    text = screen.export_text()
    assert "10 running, 10 finished, 10 stopped, 10 failed, of 16 trials" in text
    rows = {row.split()[0]: row.split() for row in text.splitlines()[-20:]}
    assert list(rows)[:10] == [f"{number:04d}" for number in range(1, 40, 4)]
    assert "0036" in rows  # the worst that finished still comes before those that did not
    assert rows["0001"] == ["0001", "running", "1", "1/2", "50%", "64", "2", "s", "0.0001", "0.0002", "2"]
    assert line(coordinator, coordinator.statuses["0004"]) == (
        "trial 0004 finished: kid 4, rung 1/2, 50% done, 64 images/s; "
        "discriminator.learning_rate=0.0001 generator.learning_rate=0.0002 balance=5"
    )
