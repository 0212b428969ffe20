"""Sends the records of a spool to MLflow, in order, with the same result however often a request is repeated.

A reply may be lost after the server has stored a request, a worker may restart from a checkpoint and write the same
points again, and a spool may be lost with its machine. Three rules make repetition harmless:

- a metric point is the pair (key, position): one that the server has already (asked once per key) is not sent again;
- a repeated request has the same times, and MLflow's stores drop a point equal to one they hold;
- the name of a file depends only on what it is, so that a repeated upload replaces the first.
"""

from __future__ import annotations

import logging
import math
import time
import uuid
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

from raygan.pipeline.tracking import private
from raygan.pipeline.tracking.client import redact
from raygan.pipeline.tracking.liveness import HEARTBEAT, HEARTBEAT_EVERY, OPENED, PRESUMED_DEAD
from raygan.pipeline.tracking.spool.spool import Record, Spool

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)
POINTS_PER_REQUEST = 1000  # MLflow's limit


class Delivery:
    """Sends what a spool holds. A method that raised an error of MLflow or the network may be called again."""

    def __init__(self, client: MlflowClient, spool: Spool) -> None:
        self._client, self._spool, self._run = client, spool, spool.run_id
        self._logged: set[str] | None = None  # keys that the server had at the first request
        self._positions: dict[str, set[int]] = {}  # by key: those that the server has
        self._images: set[str] | None = None  # series (private.image_series) that the server has
        self._noted = False  # whether the run's first value that is not finite is in a tag
        self._next_heartbeat = 0.0

    def drain(self) -> None:
        """Delivers all that is pending."""
        while records := self._spool.pending():
            for kind, group in groupby(records, key=lambda pair: pair[0]["kind"]):
                together = list(group)
                if kind == "metrics":
                    self._metrics([record for record, _ in together])
                    self._spool.advance(together[-1][1])
                    continue
                for record, mark in together:
                    self._one(kind, record)
                    self._spool.advance(mark)
                    if "path" in record:
                        self._spool.forget(record["path"])

    def heartbeat(self) -> None:
        """Renews the run's heartbeat, once a minute; opens the run again if it was closed as dead meanwhile."""
        if time.monotonic() < self._next_heartbeat:
            return
        self._client.set_tag(self._run, HEARTBEAT, f"{time.time():.0f}")
        if PRESUMED_DEAD in self._client.get_run(self._run).data.tags:
            self._client.update_run(self._run, status="RUNNING")
            self._client.delete_tag(self._run, "reason")
            self._client.delete_tag(self._run, PRESUMED_DEAD)
        self._next_heartbeat = time.monotonic() + HEARTBEAT_EVERY

    def _one(self, kind: str, record: Record) -> None:
        if "path" in record and not (self._spool.folder / record["path"]).exists():
            log.warning("%s: %s was deleted before it was delivered", self._spool.folder, record["path"])
            return
        {"tags": self._tags, "image": self._image, "artifact": self._artifact, "end": self._end}[kind](record)

    def _metrics(self, records: list[Record]) -> None:
        from mlflow.entities import Metric

        points: dict[tuple[str, int], Metric] = {}
        for record in records:
            for key, value in record["values"].items():
                point = (key, record["position"])
                if point not in points and record["position"] not in self._held(key):
                    if not math.isfinite(value):
                        self._note_non_finite(key, value, record["position"])
                    # MLflow stores an infinity as 1.8e308, which flattens every chart; NaN leaves a gap.
                    stored = value if math.isfinite(value) else math.nan
                    points[point] = Metric(key, stored, record["time"], record["position"])
        metrics = list(points.values())
        for first in range(0, len(metrics), POINTS_PER_REQUEST):
            chunk = metrics[first : first + POINTS_PER_REQUEST]
            self._client.log_batch(self._run, metrics=chunk, synchronous=True)
            for metric in chunk:
                self._positions[metric.key].add(metric.step)

    def _held(self, key: str) -> set[int]:
        if self._logged is None:
            self._logged = set(self._client.get_run(self._run).data.metrics)
        if key not in self._positions:
            history = self._client.get_metric_history(self._run, key) if key in self._logged else []
            self._positions[key] = {metric.step for metric in history}
        return self._positions[key]

    def _note_non_finite(self, key: str, value: float, position: int) -> None:
        if not self._noted:
            self._client.set_tag(self._run, "not finite", f"{key} was {value} at position {position}")
            self._noted = True

    def _tags(self, record: Record) -> None:
        from mlflow.entities import RunTag

        self._client.log_batch(
            self._run, tags=[RunTag(k, redact(v)) for k, v in record["tags"].items()], synchronous=True
        )

    def _image(self, record: Record) -> None:
        """MlflowClient.log_image, with file names that a repetition gives again where MLflow's are random."""
        series = private.image_series(record["key"], record["position"])
        if series in self._images_held():
            return
        unique = uuid.uuid5(uuid.UUID(self._run), series)
        full, thumbnail = private.image_files(series, record["time"], str(unique))
        source = self._spool.folder / record["path"]
        image = Image.fromarray(np.load(source))
        image.save(source.with_name(full))
        ImageOps.contain(image, (private.THUMBNAIL_PIXELS,) * 2).save(source.with_name(thumbnail))
        for name in (full, thumbnail):
            self._client.log_artifact(self._run, str(source.with_name(name)), private.IMAGES)
        self._client.set_tag(self._run, private.LOGGED_IMAGES, True)
        self._images_held().add(series)

    def _images_held(self) -> set[str]:
        if self._images is None:  # a thumbnail comes last: where there is one, the image is there, too
            files = self._client.list_artifacts(self._run, private.IMAGES)
            found = (private.series_of_thumbnail(file.path) for file in files)
            self._images = {series for series in found if series is not None}
        return self._images

    def _artifact(self, record: Record) -> None:
        source = self._spool.folder / record["path"]
        if source.is_dir():
            folder = "/".join(filter(None, [record["folder"], source.name]))
            self._client.log_artifacts(self._run, str(source), folder)
        else:
            self._client.log_artifact(self._run, str(source), record["folder"] or None)

    def _end(self, record: Record) -> None:
        if int(self._client.get_run(self._run).data.tags.get(OPENED, 0)) > record["time"]:
            return  # the run was resumed since: that end was not the last
        if record["reason"]:
            self._client.set_tag(self._run, "reason", redact(record["reason"]))
        self._client.set_terminated(self._run, record["status"], record["time"])
