"""Injects every fault of docs/recovery.md for real and writes the table there.

    python -m tests.faults.table --folder FOLDER [--only SCENARIO ...] [--write docs/recovery.md]

FOLDER collects the rows over several calls. The end of each run is compared with that of one on as many workers that
nothing happened to. Mounting a small disk needs root; the object store is moto behind a proxy that injects faults.
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import psutil
import torch

from tests.faults import harness
from tests.faults.harness import COUNTS, Harness, Outcome
from tests.faults.scenarios import ON_RAY, SOLO, Setup
from tests.pipeline.small_datasets import write_dataset

BEGIN, END = "<!-- the table begins -->", "<!-- the table ends -->"
RAYS_OWN = re.compile(r"\(raylet|\[state-dump\]|logging\.cc")


class Row(NamedTuple):
    """A line of the table."""

    fault: str
    with_ray: bool
    steps_lost: int
    seconds: float  # until a new process makes a step; 0 where none has to
    own: float  # of these, from the call of our worker on
    every_epoch_whole: bool  # promise 1
    same_batches: bool  # promise 2
    same_bits: bool | None  # promise 2; None where the number of workers changed
    output: list[str]  # to the user, by the whole run


def run_scenario(name: str, folder: Path) -> list[Row]:
    """Runs a scenario. If it forks, this process must have no threads yet: so one scenario per call of this program."""
    shards = write_dataset(folder / "shards", COUNTS, size=32)
    with tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as scratch:
        copy = shutil.copytree(shards, Path(scratch) / "shards")
        if name in SOLO:
            return rows_of(name, SOLO[name](Setup(None, copy, Path(scratch))), folder)
        with harness.nodes(1, 1) as cluster:
            return rows_of(name, ON_RAY[name](Setup(cluster, copy, Path(scratch))), folder)


def rows_of(name: str, run: Harness, folder: Path) -> list[Row]:
    """A row for each fault. The ends of the quiet scenarios are left in `folder`, to compare the others with."""
    outcome = Outcome(run)
    end = folder / ("end.pt" if name in ON_RAY else "solo-end.pt")
    if name in ("quiet", "solo-quiet"):
        torch.save(outcome.state, end)
    bits = harness.equal(outcome.state, torch.load(end, weights_only=True)) if outcome.always_as_many() else None
    whole, ordered = outcome.every_epoch_whole(), outcome.batches_as_ordered()
    output = [line for line in run.output.splitlines() if line.strip() and not RAYS_OWN.search(line)]
    return [
        Row(
            fault.name,
            name in ON_RAY,
            outcome.steps_lost(fault),
            *outcome.seconds_away(fault),
            whole,
            ordered,
            bits,
            output,
        )
        for fault in run.faults
    ]


def table(rows: dict[str, Row]) -> str:
    """Markdown."""
    lines = [
        "| fault | | steps lost | seconds away | of these ours | every epoch whole | same batches | same bits |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows.values():
        words = ["-" if fact is None else "yes" if fact else "**no**" for fact in row[5:8]]
        away = f"{row.seconds:.0f} | {row.own:.1f}" if row.seconds else "0 | 0"
        where = "Ray" if row.with_ray else "solo"
        lines.append(f"| {row.fault} | {where} | {row.steps_lost} | {away} | {' | '.join(words)} |")
    return "\n".join(lines)


def read_rows(folder: Path) -> dict[str, Row]:
    """The newest row of each fault."""
    rows = [Row(**json.loads(line)) for line in (folder / "rows.jsonl").read_text().splitlines()]
    return {row.fault: row for row in rows}


def write_into(page: Path, rows: dict[str, Row]) -> None:
    """Replaces what stands between the two marks of the page."""
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n\n{table(rows)}\n\n{END}{after}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="of the data set, the quiet ends and the rows")
    parser.add_argument("--only", nargs="*", choices=[*ON_RAY, *SOLO], default=[*ON_RAY, *SOLO], help="scenarios")
    parser.add_argument("--write", type=Path, help="the page that gets the table")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    os.environ["RAYGAN_CACHE"] = str(arguments.folder / "cache")
    signal.signal(signal.SIGTERM, lambda *_: _leave())
    for name in arguments.only:
        if len(arguments.only) > 1:  # a process for each: some fork, and Ray leaves threads
            subprocess.run(
                [sys.executable, "-m", __spec__.name, "--folder", arguments.folder, "--only", name], check=True
            )
            continue
        with (arguments.folder / "rows.jsonl").open("a") as rows:
            rows.writelines(f"{json.dumps(row._asdict())}\n" for row in run_scenario(name, arguments.folder))
    found = read_rows(arguments.folder)
    print(table(found))
    if arguments.write:
        write_into(arguments.write, found)


def _leave() -> None:
    """With all nodes and drivers that were started here."""
    for process in psutil.Process().children(recursive=True):
        process.kill()
    os._exit(1)


if __name__ == "__main__":
    main()
