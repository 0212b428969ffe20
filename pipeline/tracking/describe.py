"""What a person reads before the curves: where a run came from, what it was given, and what came out."""

from __future__ import annotations

import getpass
import json
import os
import platform
from collections.abc import Mapping
from importlib.metadata import distributions, version
from pathlib import Path
from typing import Any

import psutil

from raygan.pipeline.tracking.client import before_import, redact
from raygan.pipeline.tracking.runs import answering
from raygan.sharding.format.manifest import SPLITS, Manifest

NOTE = "mlflow.note.content"  # the tag that MLflow shows as the run's description
GRID = "faces.png"  # the artifact that the description shows
JOURNEY = "between-faces.png"  # from each face of the grid's beginning to the next
DIGEST_LENGTH = 36  # characters; MLflow's limit for a data set's digest
ORIGIN = "RAYGAN_ORIGIN"  # tags as JSON
SETTINGS = ("CUDA_", "MKL_", "NCCL_", "GLOO_", "OMP_", "RAY_TRAIN_", "TORCH_")  # variables that change how a run goes


def origin(command: str) -> dict[str, str]:
    """Tags for `create_run`: the command as typed, who ran it, and the version of the code.

    In a job that `raygan submit` sent they are those of whoever sent it: the variable ORIGIN holds them.
    """
    shown = {"mlflow.source.name": " ".join(command.split()[:2])}  # its column shows what follows the last slash
    if sent := os.environ.get(ORIGIN):
        return shown | json.loads(sent)
    before_import()
    from mlflow.utils.git_utils import get_git_commit

    commit = get_git_commit(str(Path(__file__).parent))
    code = {"mlflow.source.git.commit": commit} if commit else {}
    return {
        **shown,
        "mlflow.source.type": "JOB" if "RAY_JOB_ID" in os.environ else "LOCAL",
        "mlflow.user": getpass.getuser(),
        "version": version("raygan"),
        **code,
    }


def log_inputs(uri: str, run_id: str, shards: str, manifest: Manifest, config: Mapping[str, Any]) -> None:
    """Records the data set as the run's input, and config.yaml, manifest.json and environment.json as artifacts."""
    with answering(uri) as server:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        profile = {f"{split} images": manifest.samples(split) for split in SPLITS} | {"shards": len(manifest.shards)}
        data = Dataset(
            name=_data_name(manifest),
            digest=manifest.digest[:DIGEST_LENGTH],
            source_type="local",
            source=json.dumps({"uri": redact(shards)}),
            profile=json.dumps(profile),
        )
        server.log_inputs(run_id, [DatasetInput(data, [InputTag("mlflow.data.context", "training")])])
        server.log_dict(run_id, json.loads(redact(json.dumps(dict(config)))), "config.yaml")
        server.log_dict(run_id, json.loads(redact(json.dumps(environment()))), "environment.json")
        server.log_text(run_id, manifest.to_bytes().decode(), "manifest.json")


def environment() -> dict[str, Any]:
    """The machine, the packages and the few environment variables that change how a run goes; no other is looked at."""
    packages = {found.name: found.version for found in distributions()}
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "cpu_cores": psutil.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "packages": dict(sorted(packages.items())),
        "variables": {name: value for name, value in sorted(os.environ.items()) if name.startswith(SETTINGS)},
    }


def description(
    command: str, manifest: Manifest, run_id: str, scores: Mapping[str, float] | None = None, identity: str = ""
) -> str:
    """The run's description in Markdown, for the tag NOTE; with `scores` also what came out, and the artifact GRID."""
    counts = ", ".join(f"{manifest.samples(split):,} {split}" for split in SPLITS if manifest.samples(split))
    parts = [
        f"```\n{redact(command)}\n```",
        f"**Data**: {_data_name(manifest)} ({counts}), digest `{manifest.digest[:12]}`",
    ]
    if scores:
        rows = "\n".join(f"| {name} | {value:.5g} |" for name, value in scores.items())
        parts.append(f"| score | value |\n|---|---|\n{rows}")
        parts.append(f"**Scored by**: {identity}" if identity else "")
        parts.append(f"![faces of the averaged generator](get-artifact?path={GRID}&run_uuid={run_id})")
    return "\n\n".join(part for part in parts if part)


def _data_name(manifest: Manifest) -> str:
    return f"{manifest.kind}, {manifest.size} pixels"
