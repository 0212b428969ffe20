"""Registers a generator as a version of a model in MLflow, and decides whether it is the champion."""

from __future__ import annotations

import contextlib
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from raygan.pipeline.tracking.client import answering, client, first_line, redact
from raygan.pipeline.tracking.registry.package import save_generator

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from torch import nn

CHAMPION = "champion"
NOT_REGISTERED = "not registered"  # a tag of a run: why its generator was not


class Registered(NamedTuple):
    """A version of a registered model, whether it is the champion now, and the reason."""

    name: str
    version: str
    champion: bool
    reason: str


def register_generator(
    uri: str,
    run_id: str,
    name: str,
    generator: nn.Module,
    arguments: Mapping[str, Any],
    position: int,
    scores: Mapping[str, float],
    deciding_score: str,
    identity: Mapping[str, str],
    card: str,
    attributes: Sequence[str] = (),
) -> Registered:
    """Registers `generator` (averaged, with its BatchNorm buffers) as a version of the model `name`.

    The generator of a run and a position is registered once; a second call returns the version that exists.
    `arguments` are those of the generator's class, `position` (images) tells how long it was trained, `card` is
    Markdown, `attributes` are the names of those that it is conditioned on. `deciding_score` is the key of the score
    (lower is better) that decides which version is champion, among those with the same `identity`. Raises UserError
    when the server refuses or does not answer.
    """
    with answering(uri) as server:
        import mlflow
        from mlflow.entities import LoggedModelOutput, Metric
        from mlflow.models import Model

        mlflow.set_tracking_uri(uri)  # where a local registry looks models:/ addresses up
        if earlier := _registered_before(server, run_id, name, position):
            return earlier
        run = server.get_run(run_id)
        logged = server.create_logged_model(
            run.info.experiment_id, name, run_id, {"identity": _canonical(identity)}, model_type="generator"
        )
        with tempfile.TemporaryDirectory() as folder:
            package = Path(folder) / "model"
            model = Model(run_id=run_id, model_id=logged.model_id)
            save_generator(package, generator, arguments, card, attributes, model)
            server.log_model_artifacts(logged.model_id, str(package))
        server.finalize_logged_model(logged.model_id, "READY")
        server.log_outputs(run_id, [LoggedModelOutput(logged.model_id, position)])
        measured = [
            Metric(
                key, *_measured(server, run_id, key, position, value), position, model_id=logged.model_id, run_id=run_id
            )
            for key, value in scores.items()
        ]
        server.log_batch(run_id, metrics=measured, synchronous=True)

        if not server.search_registered_models(f"name = '{name}'"):
            server.create_registered_model(name, description="Generators of faces, trained by raygan.")
        tags = {
            deciding_score: repr(scores[deciding_score]),
            "identity": _canonical(identity),
            "position": str(position),
        }
        entry = server.create_model_version(
            name, f"models:/{logged.model_id}", run_id, tags, description=redact(card), model_id=logged.model_id
        )
        better, reason = _beats_champion(server, name, scores[deciding_score], deciding_score, identity)
        if better:
            server.set_registered_model_alias(name, CHAMPION, entry.version)
        return Registered(name, str(entry.version), better, reason)


def note_unregistered(uri: str, run_id: str, error: Exception) -> str:
    """Sets the tag NOT_REGISTERED of a run to the reason, if the server takes it; returns that reason, one line."""
    reason = first_line(error)
    with contextlib.suppress(Exception):
        client(uri).set_tag(run_id, NOT_REGISTERED, reason)
    return reason


def _registered_before(server: MlflowClient, run_id: str, name: str, position: int) -> Registered | None:
    for found in server.search_model_versions(f"name = '{name}' and run_id = '{run_id}'"):
        if found.tags.get("position") == str(position):
            whole = server.get_model_version(name, found.version)
            return Registered(name, str(found.version), CHAMPION in whole.aliases, "it was registered before")
    return None


def _beats_champion(
    server: MlflowClient, name: str, score: float, deciding_score: str, identity: Mapping[str, str]
) -> tuple[bool, str]:
    from mlflow.exceptions import MlflowException

    try:
        champion = server.get_model_version_by_alias(name, CHAMPION)
    except MlflowException:
        return True, "there was no champion"
    held = champion.tags.get(deciding_score)
    if champion.tags.get("identity") != _canonical(identity) or held is None:
        return False, f"the champion, version {champion.version}, was scored in another way: not comparable"
    if score < float(held):
        return True, f"{deciding_score} {score:.4g} is better than version {champion.version}'s {float(held):.4g}"
    champions = f"{float(held):.4g} of the champion, version {champion.version}"
    return False, f"{deciding_score} {score:.4g} is not better than {champions}"


def _measured(server: MlflowClient, run_id: str, key: str, position: int, value: float) -> tuple[float, int]:
    """Score and time (ms since 1970): those of the run's own point if it has one, so that the model adds no second."""
    for metric in server.get_metric_history(run_id, key):
        if metric.step == position:
            return metric.value, metric.timestamp
    return value, int(time.time() * 1000)


def _canonical(identity: Mapping[str, str]) -> str:
    return redact(json.dumps(dict(identity), sort_keys=True))
