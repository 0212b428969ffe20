"""The picture of the discriminator's accuracy holds this run's curve, and all runs of the experiment by balance."""

from pathlib import Path

import pytest
from matplotlib.axes import Axes
from PIL import Image

from raygan.pipeline import tracking
from raygan.pipeline.tracking.client import client


def test_accuracy_is_drawn_along_the_run_and_against_the_balance_of_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = tracking.local_uri(tmp_path)
    ids = {}
    for balance in ("0.5", "2", "auto"):
        ids[balance] = tracking.create_run(uri, "faces", f"run-{balance}", {"balance": balance})
        writer = tracking.Writer(uri, ids[balance], tmp_path / "spool")
        for position in (128, 64):
            writer.metrics({"discriminator/accuracy": position / 256}, position)
        assert writer.close(60) == 0
    tracking.create_run(uri, "other", "elsewhere", {"balance": "1"})
    drawn: dict[str, list[tuple[list[float], list[float]]]] = {"plot": [], "scatter": []}
    for kind, points in drawn.items():
        draws = getattr(Axes, kind)

        def noting(axes, x, y, *rest, points=points, draws=draws, **style):  # type: ignore[no-untyped-def]
            points.append((list(x), list(y)))
            return draws(axes, x, y, *rest, **style)

        monkeypatch.setattr(Axes, kind, noting)
    tracking.log_accuracy(uri, ids["2"])
    assert drawn["plot"] == [([64, 128], [0.25, 0.5])]
    assert drawn["scatter"] == [([0.5], [0.5]), ([2.0], [0.5])]
    picture = client(uri).download_artifacts(ids["2"], "accuracy.png", str(tmp_path))
    assert Image.open(picture).size == (1000, 400)


def test_a_run_without_that_metric_has_no_plot(tmp_path: Path) -> None:
    uri = tracking.local_uri(tmp_path)
    run_id = tracking.create_run(uri, "faces", "another-objective", {})
    tracking.log_accuracy(uri, run_id)
    assert client(uri).list_artifacts(run_id) == []
