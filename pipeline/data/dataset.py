"""A data set, opened: its location, its manifest, and where copies of remote shards are kept."""

from dataclasses import dataclass

from raygan.pipeline.config import Launch
from raygan.pipeline.config.launch import SHARD_CACHE_BYTES
from raygan.sharding.format.manifest import Manifest
from raygan.sharding.storage.folder import Folder


@dataclass(frozen=True)
class CacheOptions:
    """Where a node keeps copies of remote shards, and how many bytes of them."""

    folder: str = ""  # empty: in the user's cache folder on this node
    bytes: int = SHARD_CACHE_BYTES


@dataclass(frozen=True)
class DataSet:
    """Opened once in a process and passed on, so that the manifest is read once and every reader uses one cache."""

    location: str  # a path or a URL
    manifest: Manifest
    cache: CacheOptions = CacheOptions()

    @classmethod
    def open(cls, location: str, cache: CacheOptions = CacheOptions()) -> "DataSet":
        """Reads the manifest. Raises UserError if there is none."""
        return cls(location, Manifest.load(location), cache)

    @classmethod
    def of(cls, launch: Launch) -> "DataSet":
        """The data set that a run reads."""
        return cls.open(launch.shards, CacheOptions(launch.shard_cache, launch.shard_cache_bytes))

    @property
    def folder(self) -> Folder:
        """The folder, local or in an object store, that holds it."""
        return Folder(self.location)

    def __str__(self) -> str:
        return self.location
