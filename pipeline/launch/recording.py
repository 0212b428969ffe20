"""What the driver leaves in MLflow: a run's origin and data at its start; its best model, with images, at its end."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from raygan.pipeline import tracking
from raygan.pipeline.config import Config, Launch
from raygan.pipeline.training import runs
from raygan.pipeline.training.header import in_words
from raygan.pipeline.training.runs import Run
from raygan.sharding.errors import UserError
from raygan.sharding.format.manifest import Manifest
from raygan.sharding.storage.folder import Folder

if TYPE_CHECKING:
    from raygan.pipeline.evaluation.sampler import Sampler
    from raygan.pipeline.training.header import Header

MODEL = "raygan-faces"  # in the registry
IMAGES, COLUMNS = 64, 8
INTERPOLATIONS, STEPS = 6, 10  # rows of the interpolation image, and images in a row
CLOSE_SECONDS = 60.0  # to wait for what MLflow has not taken yet


def begin(config: Config, launch: Launch, manifest: Manifest, command: str) -> tuple[str, str]:
    """Creates the run and returns MLflow's URI and the run's id. Raises UserError if the server does not answer."""
    uri = tracking.local_uri(launch.runs) if launch.tracking == "local" else launch.tracking
    parameters = config.model_dump(mode="json") | {"workers": launch.workers, "gpu": launch.gpu}
    cluster = os.environ.get("RAY_ADDRESS", "this machine")
    tags = tracking.origin(command) | {"data": manifest.digest, "shards": launch.shards, "cluster": cluster}
    tracking.close_dead_runs(uri)
    run_id = tracking.create_run(uri, launch.experiment, launch.name, parameters, tags)
    tracking.log_inputs(uri, run_id, launch.shards, manifest, config.model_dump(mode="json"))
    return uri, run_id


def finish(run: Run, command: str) -> list[str]:
    """Records the result of a run that reached its end; returns messages for the user."""
    from raygan.pipeline.training import checkpoint

    best = runs.find_checkpoint(run.launch.runs, run.name, "best")
    header = checkpoint.read_header(best)
    manifest = Manifest.load(run.launch.shards)
    card = tracking.description(command, manifest, run.run_id, header.scores, in_words(header.identity))

    writer = tracking.Writer(run.tracking, run.run_id, run.spool, run.home)
    with tempfile.TemporaryDirectory() as scratch:
        sheet = Path(scratch) / tracking.GRID
        sampler = checkpoint.load_sampler(best)
        Image.fromarray(sampler.sheet(IMAGES, COLUMNS).numpy()).save(sheet)
        writer.artifact(sheet)
        interpolation = Path(scratch) / tracking.INTERPOLATION
        Image.fromarray(sampler.interpolations(INTERPOLATIONS, STEPS).numpy()).save(interpolation)
        writer.artifact(interpolation)
        writer.artifact(_on_disk(best, Path(scratch)), "checkpoints")
        writer.tags({tracking.NOTE: card})
        undelivered = writer.close(CLOSE_SECONDS)
    return [*_notes(run, undelivered), *_registered(run, header, sampler, card)]


def _notes(run: Run, undelivered: int) -> list[str]:
    if undelivered:
        flush = f"raygan tracking flush `runs` {run.launch.runs}"
        return [f"MLflow has not taken {undelivered} writes; deliver them with: {flush}"]
    try:
        tracking.log_accuracy(run.tracking, run.run_id)  # drawn from what MLflow holds
    except UserError as e:
        return [f"the discriminator's accuracy was not drawn: {e}"]
    return []


def _on_disk(folder: Folder, scratch: Path) -> Path:
    """Where the folder lies, or a copy of what lies in a store."""
    if folder.local is not None:
        return folder.local
    copy = Folder(str(scratch / folder.name))
    for name in folder.list()[0]:
        copy.write(name, folder.read(name))
    return scratch / folder.name


def _registered(run: Run, header: Header, sampler: Sampler, card: str) -> list[str]:
    deciding_score = header.deciding_score
    if deciding_score is None:
        return ["no checkpoint has a score, so no generator was registered"]
    try:
        version = tracking.register_generator(
            run.tracking,
            run.run_id,
            MODEL,
            sampler.network,
            sampler.arguments,
            header.position,
            header.scores,
            deciding_score,
            header.identity,
            card,
            header.config.attributes,
        )
    except Exception as e:  # whatever goes wrong here, the run did train to its end
        return [f"the generator was not registered: {tracking.note_unregistered(run.tracking, run.run_id, e)}"]
    champion = "the champion" if version.champion else f"not the champion ({version.reason})"
    return [f"registered as {version.name} version {version.version}, {champion}"]
