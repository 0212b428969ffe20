"""A run's origin, inputs and description: who started it with which command and code, its data, its settings."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import distributions, version
from pathlib import Path
from typing import Any

import psutil

from raygan.pipeline.tracking.client import answering, redact
from raygan.sharding.format.manifest import SPLITS, Manifest
from raygan.sharding.storage.holder import user_name

NOTE = "mlflow.note.content"  # the tag that MLflow shows as the run's description
GRID = "faces.png"  # the artifact that the description shows
INTERPOLATION = "between-faces.png"  # the artifact with the interpolation between faces
DIGEST_LENGTH = 36  # characters; MLflow's limit for a data set's digest
ORIGIN = "RAYGAN_ORIGIN"  # tags as JSON
SETTINGS = (
    "CUDA_",
    "MKL_",
    "NCCL_",
    "GLOO_",
    "OMP_",
    "RAY_TRAIN_",
    "TORCH_",
)  # variables that affect a run


def origin(command: str) -> dict[str, str]:
    """Tags for `create_run`: the command as typed, the user, and the version of the code.

    In a job that was sent to a cluster, the sender's: the environment variable ORIGIN holds them.
    """
    shown = {"mlflow.source.name": " ".join(command.split()[:2])}  # its column shows what follows the last slash
    if sent := os.environ.get(ORIGIN):
        return shown | json.loads(sent)
    commit = _commit()
    code = {"mlflow.source.git.commit": commit} if commit else {}
    return {
        **shown,
        "mlflow.source.type": "JOB" if "RAY_JOB_ID" in os.environ else "LOCAL",
        "mlflow.user": user_name(),
        "version": version("raygan"),
        **code,
    }


def _commit() -> str:
    """The commit of this code; empty outside of a git repository."""
    command = ["git", "-C", str(Path(__file__).resolve().parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def log_inputs(uri: str, run_id: str, shards: str, manifest: Manifest, config: Mapping[str, Any]) -> None:
    """Records the data set as the run's input, and config.yaml, manifest.json and environment.json as artifacts.

    Raises UserError when the server does not answer.
    """
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
    """The machine, the packages and the environment variables of SETTINGS; no other variable is read."""
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
    """The run's description in Markdown, for the tag NOTE; with `scores` a table of them and the artifact GRID."""
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
