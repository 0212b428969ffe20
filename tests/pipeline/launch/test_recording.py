"""What the driver records at the end of a run."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from raygan.pipeline import tracking
from raygan.pipeline.config import smoke
from raygan.pipeline.launch import recording
from raygan.sharding.errors import RunError, UserError


@pytest.mark.parametrize("error", [UserError("no answer"), RunError("no source file"), OSError("disk full")])
def test_a_generator_that_cannot_be_registered_does_not_fail_a_run_that_trained_to_its_end(
    error: Exception, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = tracking.local_uri(tmp_path)
    run_id = tracking.create_run(uri, "faces", "run", {})

    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(tracking, "register_generator", fails)
    run = cast(Any, SimpleNamespace(tracking=uri, run_id=run_id))
    header = cast(
        Any,
        SimpleNamespace(config=smoke(), size=32, position=64, scores={"kid": 1.0}, identity={}, deciding_score="kid"),
    )
    lines = recording._registered(run, header, cast(Any, SimpleNamespace(arguments={}, network=None)), "# A card")
    assert lines == [f"the generator was not registered: {error}"]
    assert tracking.find_run(uri, run_id).tags["not registered"] == str(error)
