"""Settings of where a run lives and what it may use."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from raygan.pipeline.config.base import Settings

SHARD_CACHE_BYTES = 100_000_000_000


class Launch(Settings):
    """Where a run reads and writes, and what it may use; the Config says what it does."""

    shards: str = Field("shards", description="Folder of the data set, as `raygan shard` wrote it.")
    name: str = Field("auto", pattern=r"^[\w.-]+$", description="Of the run; auto: the preset and the time.")
    workers: Annotated[str, BeforeValidator(str)] = Field(
        "1",
        pattern=r"^[1-9]\d*(:[1-9]\d*)?$",
        description="Ray Train workers, each with a GPU or CPU cores. MIN:MAX: as many as the cluster holds.",
    )
    gpu: bool = Field(False, description="A GPU per worker (NCCL) instead of CPUs (gloo).")
    cpus_per_worker: int = Field(1, ge=1, description="CPU cores per worker, which are also its threads.")
    cache: Literal["none", "device"] = Field(
        "none", description="device: keep the whole training split in the GPU's memory, if it fits."
    )
    shard_cache: str = Field(
        "",
        description="Folder on every node for copies of shards in an object store; by default in the user's cache.",
    )
    shard_cache_bytes: int = Field(
        SHARD_CACHE_BYTES, gt=0, description="Most that it may hold; the oldest copies are removed first."
    )
    runs: Annotated[str, BeforeValidator(str)] = Field(
        "runs",
        description="Folder of all runs, shared by all nodes of a cluster; or the URL of one, as s3://BUCKET/RUNS.",
    )
    tracking: str = Field("local", description="MLflow server's address; local: SQLite and files beside the runs.")
    experiment: str = Field("raygan", min_length=1, description="MLflow experiment.")
    max_failures: int = Field(2, ge=0, description="Restarts from the newest checkpoint before the run has failed.")
    timeout: int = Field(300, ge=1, description="Seconds that workers wait for one that hangs before they start again.")
    resize_every: int = Field(60, ge=1, description="Seconds between attempts to add workers, up to MAX.")

    @property
    def fewest_workers(self) -> int:
        """MIN of MIN:MAX."""
        return int(self.workers.partition(":")[0])

    @property
    def most_workers(self) -> int:
        """MAX of MIN:MAX."""
        return int(self.workers.rpartition(":")[2])

    @model_validator(mode="after")
    def _fewest_workers_first(self) -> "Launch":
        if self.fewest_workers > self.most_workers:
            raise ValueError(
                f"`workers` {self.workers}: give the fewest first, as {self.most_workers}:{self.fewest_workers}"
            )
        return self
