"""The best generator in MLflow's model registry, as a model that runs without raygan."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import json
import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from raygan.pipeline.tracking.client import redact
from raygan.pipeline.tracking.runs import answering
from raygan.sharding.errors import RunError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from torch import nn

CHAMPION = "champion"
NEEDS = ("mlflow", "numpy", "pandas", "pillow", "safetensors", "torch")


class Registered(NamedTuple):
    """A version of a registered model, whether it is the champion now, and why (not)."""

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
    judged_by: str,
    identity: Mapping[str, str],
    card: str,
    attributes: Sequence[str] = (),
) -> Registered:
    """Registers `generator` (as it draws: averaged, with its BatchNorm buffers) as a new version of the model `name`.

    The generator of a run and a position is registered once; asked again, it returns the version that there is.
    `arguments` are those of the generator's class, which must be in a file that imports nothing of raygan but
    networks/parts.py. `position` (images) says when it was trained, `card` is Markdown, `attributes` names those that
    its faces are conditioned on. `judged_by` is the key of the score (lower is better) that decides, under the same
    `identity`, who is champion.
    """
    with answering(uri) as server:
        import mlflow
        from mlflow.entities import LoggedModelOutput, Metric
        from mlflow.models import Model

        mlflow.set_tracking_uri(uri)  # a local registry looks up models:/ addresses there
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
        tags = {judged_by: repr(scores[judged_by]), "identity": _canonical(identity), "position": str(position)}
        entry = server.create_model_version(
            name, f"models:/{logged.model_id}", run_id, tags, description=redact(card), model_id=logged.model_id
        )
        better, reason = _beats_champion(server, name, scores[judged_by], judged_by, identity)
        if better:
            server.set_registered_model_alias(name, CHAMPION, entry.version)
        return Registered(name, str(entry.version), better, reason)


def save_generator(
    folder: Path,
    generator: nn.Module,
    arguments: Mapping[str, Any],
    card: str,
    attributes: Sequence[str] = (),
    model: Any = None,
) -> None:
    """Writes the model's folder: weights.safetensors, generator.json and the code that draws, in MLflow's layout."""
    import mlflow
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema
    from mlflow.types.schema import Array, DataType
    from safetensors.torch import save_file

    columns = [
        ColSpec("long", "seed", required=False),
        ColSpec("long", "index", required=False),
        ColSpec(Array(DataType.double), "latent", required=False),
        *(ColSpec("long", name, required=False) for name in attributes),
    ]
    signature = ModelSignature(
        Schema(columns), Schema([ColSpec("string", "png")]), ParamSchema([ParamSpec("format", "string", "png")])
    )
    with tempfile.TemporaryDirectory() as scratch:
        code, data = _write_code(Path(scratch), type(generator)), Path(scratch) / "generator"
        data.mkdir()
        save_file(
            {k: v.detach().cpu().contiguous() for k, v in generator.state_dict().items()}, data / "weights.safetensors"
        )
        description = {"class": type(generator).__name__, "arguments": dict(arguments), "attributes": [*attributes]}
        (data / "generator.json").write_text(json.dumps(description, indent=1))
        (data / "README.md").write_text(redact(card))
        mlflow.pyfunc.save_model(
            str(folder),
            loader_module=code.name,
            data_path=str(data),
            code_paths=[str(code)],
            signature=signature,
            input_example=_example(),
            pip_requirements=[f"{package}=={version(package).partition('+')[0]}" for package in NEEDS],
            mlflow_model=model,
        )


def _write_code(folder: Path, network: type[nn.Module]) -> Path:
    """Copies what drawing needs into one package, with the imports between its files turned to that package.

    Its name holds the digest of the code: two models with different code can be loaded into one process.
    """
    modules = {
        "served": "raygan.pipeline.tracking.registry.served",
        "network": network.__module__,
        "parts": "raygan.pipeline.models.layers",
        "noise": "raygan.pipeline.models.noise",
        "hashing": "raygan.sharding.hashing",
    }
    sources = {file: inspect.getsource(importlib.import_module(module)) for file, module in modules.items()}
    package = f"raygan_faces_{hashlib.sha256(_canonical(sources).encode()).hexdigest()[:8]}"
    (folder / package).mkdir()
    (folder / package / "__init__.py").write_text(f"from {package}.served import _load_pyfunc\n")
    for file, source in sources.items():
        for other, module in modules.items():
            source = source.replace(f"from {module} import", f"from {package}.{other} import")
        if found := re.search(r"^\s*(?:from|import) (raygan\.\S*)", source, re.MULTILINE):
            raise RunError(
                f"{modules[file]}: a registered model cannot import {found[1]}; make the file self-contained"
            )
        (folder / package / f"{file}.py").write_text(source)
    return folder / package


def _example() -> Any:
    import pandas as pd

    return pd.DataFrame({"seed": [0, 0], "index": [0, 1]})


def _registered_before(server: MlflowClient, run_id: str, name: str, position: int) -> Registered | None:
    for found in server.search_model_versions(f"name = '{name}' and run_id = '{run_id}'"):
        if found.tags.get("position") == str(position):
            whole = server.get_model_version(name, found.version)
            return Registered(name, str(found.version), CHAMPION in whole.aliases, "it was registered before")
    return None


def _beats_champion(
    server: MlflowClient, name: str, score: float, judged_by: str, identity: Mapping[str, str]
) -> tuple[bool, str]:
    from mlflow.exceptions import MlflowException

    try:
        champion = server.get_model_version_by_alias(name, CHAMPION)
    except MlflowException:
        return True, "there was no champion"
    held = champion.tags.get(judged_by)
    if champion.tags.get("identity") != _canonical(identity) or held is None:
        return False, f"the champion, version {champion.version}, was scored in another way: not comparable"
    if score < float(held):
        return True, f"{judged_by} {score:.4g} is better than version {champion.version}'s {float(held):.4g}"
    return (
        False,
        f"{judged_by} {score:.4g} is not better than {float(held):.4g} of the champion, version {champion.version}",
    )


def _measured(server: MlflowClient, run_id: str, key: str, position: int, value: float) -> tuple[float, int]:
    """Score and time (ms since 1970), as the run holds them if it does: giving them to the model then adds no point."""
    for metric in server.get_metric_history(run_id, key):
        if metric.step == position:
            return metric.value, metric.timestamp
    return value, int(time.time() * 1000)


def _canonical(words: Mapping[str, str]) -> str:
    return redact(json.dumps(dict(words), sort_keys=True))
