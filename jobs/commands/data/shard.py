"""`raygan shard`: faces in, WebDataset shards out."""

import os
from contextlib import nullcontext
from typing import Annotated

from cyclopts import Parameter

from raygan.jobs.app import app, say
from raygan.jobs.cluster.connect import cluster
from raygan.jobs.ui.progress import progress
from raygan.sharding.convert import Conversion, convert
from raygan.sharding.options import ShardingOptions


@app.command
def shard(
    source: str,
    out: str = "shards",
    *,
    dali_index: Annotated[bool, Parameter(help="Also write the index files of NVIDIA DALI.", negative="")] = False,
    options: Annotated[ShardingOptions, Parameter(name="*")] = ShardingOptions(),  # noqa: B008
) -> None:
    """Turn a data set of faces into WebDataset shards, as Ray tasks. Continues where an earlier call stopped.

    Parameters
    ----------
    source
        CelebA in any of its published forms, or a folder of images; which it is, is detected and printed.
    out
        Folder for the shards and their manifest.
    """
    done = convert_with_progress(source, out, options)
    if dali_index:
        from raygan.sharding.index import write_dali_index

        write_dali_index(out)
    say(describe(done, out), f"raygan train --shards {out}")


def convert_with_progress(source: str, out: str, options: ShardingOptions) -> Conversion:
    """Converts on the cluster at RAY_ADDRESS, or on this machine, and shows progress. Raises UserError and RunError."""
    # Without RAY_ADDRESS, convert() starts Ray itself, and only if there is something left to do.
    with cluster() if "RAY_ADDRESS" in os.environ else nullcontext(), progress("sharding") as advance:
        return convert(source, out, options, advance)


def describe(done: Conversion, out: str) -> str:
    """What is in `out` now, in one line."""
    manifest = done.manifest
    counts = ", ".join(f"{manifest.samples(split):,} {split}" for split in ("train", "valid", "test"))
    shards = f"{done.written} shards written" + (f", {done.reused} reused" if done.reused else "")
    rejects = f", {len(done.rejects)} images rejected (rejects.jsonl)" if done.rejects else ""
    return f"{done.kind} -> {out}: {counts} images; {shards}{rejects}; {done.seconds:.1f} s"
