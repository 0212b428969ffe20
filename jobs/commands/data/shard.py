"""`raygan shard` around sharding/convert.py: the cluster, the progress, what was done in words."""

import os
from contextlib import nullcontext

from raygan.jobs.cluster.connect import cluster
from raygan.jobs.ui.progress import progress
from raygan.sharding.convert import Conversion, ShardingOptions, convert


def convert_with_progress(source: str, out: str, options: ShardingOptions) -> Conversion:
    """Converts on the cluster at RAY_ADDRESS, or here, and shows how far it is."""
    # Here, convert() starts Ray itself, and only if there is something left to do.
    with cluster() if "RAY_ADDRESS" in os.environ else nullcontext(), progress("sharding") as advance:
        return convert(source, out, options, advance)


def describe(done: Conversion, out: str) -> str:
    """What lies in `out` now, in one line."""
    manifest = done.manifest
    counts = ", ".join(f"{manifest.samples(split):,} {split}" for split in ("train", "valid", "test"))
    shards = f"{done.written} shards written" + (f", {done.reused} were there already" if done.reused else "")
    rejects = f", {len(done.rejects)} images rejected (rejects.jsonl)" if done.rejects else ""
    return f"{done.kind} -> {out}: {counts} images; {shards}{rejects}; {done.seconds:.1f} s"
