"""A cache of the statistics of real images, shared by all runs and trials, in a folder or an object store.

The name of an entry is the digest of everything that it depends on. So a change of any of it misses the cache, and
processes that write the same entry at once write the same content.
"""

import hashlib
import io
import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from raygan.pipeline.evaluation.statistics import Statistics
from raygan.sharding.storage.folder import Folder
from raygan.sharding.storage.locations import cache_folder

VERSION = "1"  # of the entry's layout and of the code between images and statistics
log = logging.getLogger(__name__)


@dataclass
class Measurement:
    """A set of images: the statistics of all its features, and the first features themselves, float32 [kept, d]."""

    statistics: Statistics
    features: Tensor


def default_location() -> str:
    """The variable RAYGAN_CACHE (a folder or an fsspec URL, as s3://bucket/raygan), else the user's cache folder."""
    return os.environ.get("RAYGAN_CACHE") or str(cache_folder())


class Cache:
    """The entries in `location`, a folder or an fsspec URL. No method raises for a store that does not answer."""

    def __init__(self, location: str | Path) -> None:
        self._folder = Folder(str(location))

    def load(self, key: dict[str, str], device: torch.device) -> Measurement | None:
        """The entry of `key` on `device`; None if there is none, or a damaged one."""
        name = self._name(key)
        try:
            with np.load(io.BytesIO(self._folder.read(name)), allow_pickle=False) as entry:
                arrays = {name: torch.from_numpy(entry[name]).to(device) for name in entry.files}
        except FileNotFoundError:
            return None
        except Exception as error:  # a damaged file, or any error of an object store: neither may end an evaluation
            log.warning("%s/%s: cannot be used (%s); the real statistics are computed again", self._folder, name, error)
            return None
        statistics = Statistics(len(arrays["sum"]), device)
        statistics.count = int(arrays["count"])
        statistics.reference, statistics.sum, statistics.outer = (arrays[n] for n in ("reference", "sum", "outer"))
        return Measurement(statistics, arrays["features"])

    def store(self, key: dict[str, str], measurement: Measurement) -> None:
        """Writes the entry of `key`, whole or not at all; logs a warning if that fails."""
        statistics = measurement.statistics
        tensors = {name: getattr(statistics, name) for name in ("reference", "sum", "outer")}
        arrays = {name: tensor.cpu().numpy() for name, tensor in tensors.items()}
        file = io.BytesIO()
        np.savez(file, count=statistics.count, features=measurement.features.cpu().numpy(), **arrays)
        name = self._name(key)
        try:
            self._folder.write(name, file.getbuffer())
        except Exception as error:
            log.warning("%s/%s: cannot be written (%s); the real statistics are not shared", self._folder, name, error)

    def _name(self, key: dict[str, str]) -> str:
        digest = hashlib.sha256(json.dumps(key | {"version": VERSION}, sort_keys=True).encode()).hexdigest()
        return f"real-{digest[:32]}.npz"
