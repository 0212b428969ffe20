from pathlib import Path

import numpy as np
import pytest

from raygan.jobs.cli import main
from raygan.pipeline.evaluation.report import Report


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
