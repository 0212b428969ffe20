"""The report: other programs' images, floors, intervals, and the refusal to compare what cannot be compared."""

from pathlib import Path

import numpy as np
import pytest
import torch

from raygan.pipeline.evaluation.report import Report, evaluate
from raygan.sharding.errors import UserError
from tests.pipeline.evaluation.pictures import pictures, save_folder
from tests.pipeline.small_datasets import write_dataset


@pytest.fixture
def real(tmp_path: Path) -> Path:
    np.save(tmp_path / "real.npy", pictures(200, 0))
    return tmp_path / "real.npy"


def found(candidate: object, real: Path, **settings: object) -> Report:
    return evaluate(candidate, real, cache=real.parent / "cache", resamples=10, **settings)  # type: ignore[arg-type]


def test_a_folder_an_array_and_a_generator_of_the_same_images_score_the_same(tmp_path: Path, real: Path) -> None:
    images = pictures(90, 1)
    np.save(tmp_path / "fake.npy", images)
    np.save(tmp_path / "channels_first.npy", images.transpose(0, 3, 1, 2))
    folder = save_folder(tmp_path / "fake", images)
    drawn = torch.from_numpy(images).permute(0, 3, 1, 2)
    array = found(tmp_path / "fake.npy", real)
    assert array.identity["count"] == "90"
    assert found(tmp_path / "channels_first.npy", real).scores == pytest.approx(array.scores, rel=1e-5)
    assert found(folder, real).scores == pytest.approx(array.scores, rel=1e-5)
    generated = found(lambda first, count: drawn[first : first + count], real, count=90, generator="ema")
    assert generated.scores == pytest.approx(array.scores, rel=1e-5)
    assert [difference.value for difference in generated.minus(array).values()] == pytest.approx([0, 0], abs=1e-5)


def test_real_images_may_be_a_folder(tmp_path: Path, real: Path) -> None:
    np.save(tmp_path / "fake.npy", pictures(50, 1))
    folder = save_folder(tmp_path / "folder", np.load(real))
    assert found(tmp_path / "fake.npy", folder).scores == pytest.approx(found(tmp_path / "fake.npy", real).scores)


def test_real_images_may_be_a_data_set(tmp_path: Path) -> None:
    shards = write_dataset(tmp_path / "shards", [30, 25], size=32)
    np.save(tmp_path / "fake.npy", pictures(20, 1))
    report = evaluate(tmp_path / "fake.npy", shards, "train", cache=tmp_path / "cache", resamples=3)
    assert (report.identity["size"], report.identity["split"], report.floor_count) == ("32x32", "train", 20)
    assert report.floor["kid_randconv"] < report.scores["kid_randconv"]
    with pytest.raises(UserError, match="the split valid is empty"):
        evaluate(tmp_path / "fake.npy", shards, "valid", cache=tmp_path / "cache")


def test_the_floor_lies_below_a_score_and_its_interval_around_it(tmp_path: Path, real: Path) -> None:
    np.save(tmp_path / "fake.npy", 255 - pictures(100, 1) // 2)
    report = found(tmp_path / "fake.npy", real, metrics=["fid", "kid", "pr", "dc", "kid_subsets"])
    names = ["fd", "kid", "precision", "recall", "density", "coverage", "kid_subsets", "kid_subsets_deviation"]
    assert list(report.scores) == [f"{name}_randconv" for name in names]
    assert set(report.floor) == set(report.scores)
    assert report.floor_count == 100
    for name in ("fd_randconv", "kid_randconv"):
        low, high = report.intervals[name]
        assert report.floor[name] < low < report.scores[name] < high
    assert report.floor["precision_randconv"] > report.scores["precision_randconv"]


def test_with_few_real_images_the_floor_compares_halves(tmp_path: Path, real: Path) -> None:
    np.save(tmp_path / "fake.npy", pictures(150, 1))
    report = found(tmp_path / "fake.npy", real)
    assert report.floor_count == 100
    assert report.identity["real_count"] == "150"


def test_the_lines_hold_score_interval_floor_and_identity(tmp_path: Path, real: Path) -> None:
    np.save(tmp_path / "fake.npy", pictures(40, 1))
    report = found(tmp_path / "fake.npy", real)
    text = "\n".join(report.lines())
    low, high = report.intervals["kid_randconv"]
    for expected in (report.scores["kid_randconv"], low, high, report.floor["kid_randconv"]):
        assert f"{expected:.6g}" in text
    assert all(fact in text for fact in report.identity.values())


def test_a_difference_has_an_interval_that_holds_zero_for_equals_and_not_for_worse_images(
    tmp_path: Path, real: Path
) -> None:
    for name, images in (("one", pictures(100, 1)), ("two", pictures(100, 2)), ("dark", pictures(100, 3) // 2)):
        np.save(tmp_path / f"{name}.npy", images)
    one, two, dark = (found(tmp_path / f"{name}.npy", real, metrics=["kid", "pr"]) for name in ("one", "two", "dark"))
    for other, differs in ((two, False), (dark, True)):
        difference = other.minus(one)["kid_randconv"]
        assert difference.interval is not None
        low, high = difference.interval
        assert (low > 0) is differs
        assert (low + high) / 2 == pytest.approx(difference.value)
        widths = [high - low for low, high in (other.intervals["kid_randconv"], one.intervals["kid_randconv"])]
        assert max(widths) < high - low < sum(widths)
    assert two.minus(one)["recall_randconv"].interval is None
    kid, precision, recall = dark.differences(one)
    assert kid.startswith(f"kid_randconv: +{dark.minus(one)['kid_randconv'].value:.6g}  (+")
    assert "(" not in precision + recall


def test_resamples_may_be_none_but_not_one(tmp_path: Path, real: Path) -> None:
    np.save(tmp_path / "fake.npy", pictures(40, 1))
    assert evaluate(tmp_path / "fake.npy", real, cache=tmp_path / "cache", resamples=0).intervals == {}
    with pytest.raises(UserError, match="`resamples` 1: an interval needs at least 2"):
        evaluate(tmp_path / "fake.npy", real, cache=tmp_path / "cache", resamples=1)


def test_different_identities_are_not_compared(tmp_path: Path, real: Path) -> None:
    np.save(tmp_path / "fake.npy", pictures(60, 1))
    report = found(tmp_path / "fake.npy", real)
    assert {difference.value for difference in report.minus(report).values()} == {0}
    with pytest.raises(UserError, match="count: 60 and 50"):
        report.minus(found(tmp_path / "fake.npy", real, count=50))
    ema, last = (
        report.model_copy(update={"identity": report.identity | {"generator": which}}) for which in ("ema", "last")
    )
    with pytest.raises(UserError, match="generator: ema and last"):
        ema.minus(last)


def test_a_report_comes_back_from_its_file(tmp_path: Path, real: Path) -> None:
    np.save(tmp_path / "fake.npy", pictures(40, 1))
    report = found(tmp_path / "fake.npy", real)
    (tmp_path / "report.json").write_text(report.model_dump_json())
    assert Report.load(tmp_path / "report.json") == report
    (tmp_path / "report.json").write_text("{}")
    with pytest.raises(UserError, match=r"report\.json"):
        Report.load(tmp_path / "report.json")


def test_more_images_than_there_are_cannot_be_judged(tmp_path: Path, real: Path) -> None:
    np.save(tmp_path / "fake.npy", pictures(40, 1))
    with pytest.raises(UserError, match="holds 40 images, not 41"):
        found(tmp_path / "fake.npy", real, count=41)
