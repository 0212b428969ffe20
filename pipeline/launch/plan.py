"""All that can be checked before anything starts."""

from datetime import datetime
from typing import NamedTuple

from raygan.pipeline.config import Config, Launch
from raygan.pipeline.config.models import SIZES
from raygan.pipeline.data.dataset import DataSet
from raygan.pipeline.training import runs
from raygan.pipeline.training.runs import Run
from raygan.sharding.errors import UserError
from raygan.sharding.storage.folder import Folder
from raygan.sharding.storage.locations import absolute


class Plan(NamedTuple):
    """A run that can be started, or continued if there is a `run` of its name already."""

    config: Config
    launch: Launch  # its name is given, its folders are absolute
    data: DataSet
    run: Run | None = None


def plan(config: Config, launch: Launch, resume: bool = False) -> Plan:
    """A new run, or with `resume` the one of `launch.name`, checked. Raises UserError."""
    launch = resolved(launch, config.preset)
    run = runs.load(launch.runs, launch.name) if resume else None
    if run is not None:
        refuse_changes(run.config, config)
    data = DataSet.of(launch)
    check_data(config, data)
    check_sharing(config, launch)
    if launch.tracking == "local" and Folder(launch.runs).local is None:
        raise UserError(f"`runs` {launch.runs}: MLflow's SQLite cannot lie there; name a server with `tracking`")
    if run is not None and data.manifest.digest != run.data:
        raise UserError(f"{data}: not the data set of run {run.name} (its digest differs); pass the same shards")
    return Plan(config, launch, data, run)


def resolved(launch: Launch, preset: str) -> Launch:
    """With a name in place of auto, and absolute folders, since workers run in another folder."""
    name = f"{preset}-{datetime.now():%Y%m%d-%H%M%S}" if launch.name == "auto" else launch.name
    folders = {field: absolute(getattr(launch, field)) for field in ("shards", "runs")}
    if launch.shard_cache and not launch.shard_cache.startswith("~"):  # each node finds its own home and cache
        folders["shard_cache"] = absolute(launch.shard_cache)
    return launch.model_copy(update={"name": name} | folders)


def check_data(config: Config, data: DataSet) -> None:
    """Raises UserError if the networks cannot draw such images, or if a split or an attribute is missing."""
    manifest, sizes = data.manifest, SIZES[config.architecture]
    if manifest.size not in sizes:
        raise UserError(
            f"{data}: images of {manifest.size} pixels; `architecture` {config.architecture} draws "
            f"{', '.join(map(str, sizes))}: shard the source again with another `size`"
        )
    for name in config.attributes:
        if name not in manifest.attributes:
            known = ", ".join(manifest.attributes) or "none"
            raise UserError(f"`attributes` {name}: not in {data}, which has {known}")
    for split in {"train", config.evaluation.split}:
        if manifest.samples(split) == 0:
            raise UserError(f"{data}: no image in the {split} split; shard the source again with it")


def check_sharing(config: Config, launch: Launch) -> None:
    """Raises UserError if that many workers cannot share the batch, or not of that kind."""
    workers = launch.most_workers
    if config.batch < workers:
        raise UserError(f"`batch` {config.batch}: {workers} workers cannot share it; give each at least one image")
    setting = config.objective.compares_images
    if setting and config.batch // workers // config.accumulate < 2:
        raise UserError(
            f"{setting} compares images with each other, and `batch` {config.batch} leaves some worker one alone: "
            f"give at least {2 * workers * config.accumulate}, 2 for each worker and micro-batch (`accumulate`)"
        )
    if config.sync_batch_norm and not launch.gpu:
        raise UserError("`sync_batch_norm`: torch has it for GPUs only; leave it out, or train with `gpu`")


def refuse_changes(before: Config, after: Config) -> None:
    """Raises UserError if a resumed run would no longer be the same run."""
    kept, asked = before.fixed_settings(), after.fixed_settings()
    for name, old in kept.items():
        if (new := asked.get(name)) != old:
            raise UserError(f"`{name}` {new}: the run was started with {old}, which a resumed run keeps; leave it out")
