"""Converts a source to a data set of shards: planned by a pure function, written by idempotent Ray tasks, resumable."""

import contextlib
import json
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any, NamedTuple

from raygan.sharding.errors import RunError, UserError
from raygan.sharding.format.manifest import SPLITS, Manifest, ShardEntry
from raygan.sharding.format.shard import sha256
from raygan.sharding.journal import Journal, Written
from raygan.sharding.options import ShardingOptions
from raygan.sharding.plan import PlannedShard, limited, plan
from raygan.sharding.sources.detect import open_source
from raygan.sharding.sources.source import Reject, Source
from raygan.sharding.storage.folder import Folder
from raygan.sharding.storage.lease import LEASE
from raygan.sharding.storage.lock import Lock, locked
from raygan.sharding.writer import write_shard

Progress = Callable[[int, int, str], None]


class Conversion(NamedTuple):
    """The result of convert()."""

    manifest: Manifest
    kind: str  # what the source was, in words
    written: int  # shards written now
    reused: int  # shards that were there already
    rejects: tuple[Reject, ...]
    absent: int  # annotated images that the source does not have
    seconds: float


def convert(
    source: str,
    out: str,
    options: ShardingOptions | None = None,
    progress: Progress | None = None,
    workers: int | None = None,
) -> Conversion:
    """Converts `source` to a data set in the folder `out` (paths or URLs) and returns its manifest.

    What an earlier, interrupted call with the same input and options has finished is reused. The bytes depend on
    the input and the options only. Uses the Ray cluster that the caller is connected to; without one it starts a
    local one and stops it again. `workers` bounds the tasks in flight (default: twice the cluster's CPUs);
    `progress` gets images done, images in total, and words, after each shard.

    Raises UserError for a source that is missing, empty or not CelebA-shaped, for more than `max_rejects` unusable
    images, and for an `out` that holds another data set; RunError if the disk is full or the store fails.
    """
    started = time.monotonic()
    options = options or ShardingOptions()
    with _failing_as("cannot read", source):
        opened = open_source(source, options.seed, options.held_out)
    splits = SPLITS if options.split == "all" else (options.split,)
    counts = limited(opened.totals, splits, options.limit)
    if not sum(counts.values()):
        raise UserError(f"{source}: no images in the split {options.split}; it has {opened.totals}")
    planned = list(plan(counts, opened.totals, options.samples_per_shard, options.lanes))
    identity = sha256(json.dumps([opened.digest, options.identity()], sort_keys=True).encode())
    journal = Journal(Folder(out), identity)
    if journal.folder.is_file():
        raise UserError(f"{out}: a file; give a folder for the shards")
    with _failing_as("cannot write", out), locked(journal.records, out) as lock:
        done = journal.finished(planned)
        missing = [shard for shard in planned if shard.name not in done]
        rejects = [*opened.rejects, *(reject for written in done.values() for reject in written.rejects)]
        _check_rejects(rejects, options, journal)
        meter = Meter(progress, sum(counts.values()), sum(written.seen for written in done.values()))
        with contextlib.closing(_run(opened, journal, options, missing, workers, lock)) as results:
            for written in results:
                done[written.entry.name] = written
                rejects += written.rejects
                _check_rejects(rejects, options, journal)
                meter.add(written.seen)
        manifest = _assemble(opened, options, identity, [done[shard.name].entry for shard in planned], len(rejects))
        journal.publish(manifest, sorted(rejects))
    seconds = time.monotonic() - started
    reused = len(planned) - len(missing)
    return Conversion(manifest, opened.kind, len(missing), reused, tuple(sorted(rejects)), opened.absent, seconds)


@contextlib.contextmanager
def _failing_as(what: str, where: str) -> Iterator[None]:
    """Turns an error of the file system or the store in this process into one line."""
    try:
        yield
    except OSError as error:
        raise RunError(f"{where}: {what}: {error}; finished shards are kept: run it again") from error


def _run(
    source: Source,
    journal: Journal,
    options: ShardingOptions,
    missing: list[PlannedShard],
    workers: int | None,
    lock: Lock,
) -> Generator[Written, None, None]:
    """Writes the shards as Ray tasks, a bounded number at a time, and yields each as it is finished.

    The index of the source is put into Ray's object store once, where the workers map it. They read the images.
    """
    if not missing:
        return
    import ray

    started_here = not ray.is_initialized()
    if started_here:
        ray.init(include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    running: set[Any] = set()
    try:
        in_flight = workers or max(2, 2 * int(ray.cluster_resources().get("CPU", 1)))
        task = ray.remote(num_cpus=1, max_retries=3, retry_exceptions=[ConnectionError, TimeoutError])(write_shard)
        index = ray.put(source)
        waiting = iter(missing)
        while True:
            while len(running) < in_flight and (shard := next(waiting, None)):
                running.add(task.remote(index, journal, options, shard))
            if not running:
                return
            ready, _ = ray.wait(list(running), num_returns=1, timeout=LEASE / 8)
            lock.renew()
            running.difference_update(ready)
            yield from ray.get(ready)
    except ray.exceptions.RayTaskError as error:
        raise RunError(f"{journal.folder}: {error.cause}; finished shards are kept: run it again") from error
    except ray.exceptions.RayError as error:
        raise RunError(
            f"{journal.folder}: a worker was lost ({error}); finished shards are kept: run it again"
        ) from error
    finally:
        for reference in running:
            ray.cancel(reference, force=False)
        if running:  # a task that is cancelled removes its temporary file
            ray.wait(list(running), num_returns=len(running), timeout=10)
        if started_here:
            ray.shutdown()


def _check_rejects(rejects: list[Reject], options: ShardingOptions, journal: Journal) -> None:
    if len(rejects) <= options.max_rejects:
        return
    journal.list_rejects(rejects)
    first = rejects[0]
    raise UserError(
        f"{first.file}: {first.reason}; that is {len(rejects)} unusable images where `max_rejects` allows "
        f"{options.max_rejects} (all so far are in {journal.folder}/rejects.jsonl)"
    )


def _assemble(
    source: Source, options: ShardingOptions, identity: str, entries: list[ShardEntry], rejects: int
) -> Manifest:
    """The manifest of the finished shards."""
    pixels = sum(entry.count for entry in entries) * options.size**2
    mean = [sum(entry.sums[c] for entry in entries) / max(pixels, 1) for c in range(3)]
    power = [sum(entry.squares[c] for entry in entries) / max(pixels, 1) for c in range(3)]
    return Manifest.seal(
        identity=identity,
        source=source.digest,
        kind=source.kind,
        size=options.size,
        crop=options.crop,
        resize=options.resize,
        encoding=options.encoding,
        seed=options.seed,
        lanes=options.lanes,
        attributes=source.attributes,
        numbers={name: values.shape[1] for name, values in source.numbers.items()},
        key_width=source.keys.dtype.itemsize,
        mean=[round(m, 6) for m in mean],
        deviation=[round(max(p - m * m, 0) ** 0.5, 6) for p, m in zip(power, mean, strict=True)],
        rejects=rejects,
        shards=entries,
    )


class Meter:
    """Reports to `progress` the images done, the images per second, and the time left."""

    def __init__(self, progress: Progress | None, total: int, done: int) -> None:
        self.progress, self.total, self.done = progress, total, done
        self.first, self.started = done, time.monotonic()

    def add(self, images: int) -> None:
        """Counts images as done, and reports."""
        self.done += images
        rate = (self.done - self.first) / max(time.monotonic() - self.started, 1e-9)
        left = (self.total - self.done) / max(rate, 1e-9)
        if self.progress:
            self.progress(self.done, self.total, f"{rate:,.0f} images/s, {left:.0f} s left")
