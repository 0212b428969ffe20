"""Checks that an MLflow server takes writes, by writing and deleting what was written."""

from __future__ import annotations

import secrets

from raygan.pipeline.tracking.client import answering

EXPERIMENT = "raygan-doctor"


def check_writing(uri: str) -> None:
    """Creates a run with a metric and an artifact, and deletes it. Raises UserError if the server refuses."""
    with answering(uri) as server:
        found = server.get_experiment_by_name(EXPERIMENT)
        run = server.create_run(found.experiment_id if found else server.create_experiment(EXPERIMENT))
        server.log_metric(run.info.run_id, "doctor", 1.0)
        server.log_text(run.info.run_id, "written by raygan doctor\n", "doctor.txt")
        server.delete_run(run.info.run_id)


def check_registry(uri: str) -> None:
    """Registers a model without a version, and deletes it. Raises UserError if the server refuses."""
    with answering(uri) as server:
        name = f"{EXPERIMENT}-{secrets.token_hex(4)}"
        server.create_registered_model(name)
        server.delete_registered_model(name)
