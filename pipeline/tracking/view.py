"""The saved view "Scores" of an experiment's runs table: the columns to compare runs by."""

from __future__ import annotations

from raygan.pipeline.tracking import private

KEY = "raygan"
COLUMNS = (
    "attributes.`Dataset`",
    "attributes.`Models`",
    "metrics.`score/fid`",
    "metrics.`score/kid`",
    "metrics.`score/kid_randconv`",
    "metrics.`discriminator/accuracy`",
    "metrics.`speed/images_per_second`",
    "params.`generator.learning_rate`",
    "params.`discriminator.learning_rate`",
    "params.`balance`",
    "tags.`reason`",
)


def saved_view() -> dict[str, str]:
    """A tag for a new experiment: the view "Scores", also shown at #/experiments/ID/runs?viewStateShareKey=raygan."""
    state = {
        "searchFilter": "",
        "orderByKey": "attributes.start_time",
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": COLUMNS,
    }
    return private.saved_view(KEY, "Scores", state)
