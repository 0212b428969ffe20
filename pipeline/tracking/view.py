"""The columns of the runs table that a person comparing runs wants first, as a saved view of the experiment.

MLflow keeps saved views in tags of the experiment; the layout of that tag is read off what its page writes (3.17).
"""

from __future__ import annotations

import base64
import json
import time
import zlib

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
    """A tag for a new experiment: the view "Scores", also reached at #/experiments/ID/runs?viewStateShareKey=raygan."""
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
    packed = base64.b64encode(zlib.compress(json.dumps(state).encode())).decode()
    now = int(time.time() * 1000)
    view = {"name": "Scores", "createdAt": now, "updatedAt": now, "state": f"deflate;{packed}"}
    return {f"mlflow.sharedViewState.{KEY}": json.dumps(view)}
