"""Injects every fault of docs/recovery.md for real and writes the table there.

    python -m tests.faults.table --folder FOLDER [--only PLAY ...] [--write docs/recovery.md]

A play is one run that goes through some faults, one after the other; FOLDER collects the rows over several calls. The
end of each run is compared with that of one on as many workers that nothing happened to. Mounting a small disk needs
root; the object store is moto behind a proxy that misbehaves.
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
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import torch

from tests.faults import objectstore, stage, steps
from tests.faults.stage import COUNTS, RayStage, SoloStage, Stage, Verdict
from tests.pipeline.killable_server import Server
from tests.pipeline.small_datasets import write_dataset

BEGIN, END = "<!-- the table begins -->", "<!-- the table ends -->"
MINUTE = 60.0  # seconds
RAYS_OWN = re.compile(r"\(raylet|\[state-dump\]|logging\.cc")


class Scene(NamedTuple):
    """What a play finds: Ray nodes (None without Ray), a data set of its own, and an empty folder."""

    cluster: Any
    shards: Path
    folder: Path


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
    said: list[str]  # to the user, by the whole run


# ---- with Ray


def quiet(scene: Scene) -> Stage:
    play = RayStage(scene.cluster.address, scene.shards, scene.folder)
    play.struck("none: a plain start, from the command to its first step")
    play.start()
    play.ends()
    return play


def workers(scene: Scene) -> Stage:
    play = RayStage(scene.cluster.address, scene.shards, scene.folder, max_failures=9, timeout=20)
    play.start()
    play.goes_on()
    play.strike("SIGKILL of a worker", signal.SIGKILL, 1)
    play.goes_on()
    play.strike("SIGKILL of rank 0", signal.SIGKILL, 0)
    play.goes_on()
    play.strike("SIGKILL of both workers", signal.SIGKILL, 0, 1)
    play.goes_on(images=200)
    play.strike_inside("SIGKILL of rank 0 while it writes a checkpoint", "write")
    play.goes_on(images=200)
    play.strike_inside("SIGKILL of a worker during an evaluation", "evaluation")
    play.goes_on()
    frozen = play.process(1)
    play.strike("SIGSTOP of a worker (`--timeout 20`)", signal.SIGSTOP, 1)
    play.ends()
    assert f"(process {frozen}) has not been heard of" in play.said, play.said
    return play


def drivers(scene: Scene) -> Stage:
    play = RayStage(scene.cluster.address, scene.shards, scene.folder, max_failures=1)
    play.start()
    play.goes_on()
    play.strike_controller("SIGKILL of Ray Train's controller")
    play.goes_on()
    play.tell(signal.SIGKILL)
    play.struck("SIGKILL of the driver, then `--resume`")
    play.wait()
    play.start(resume=True)
    play.goes_on()
    play.tell(signal.SIGTERM)
    play.struck("SIGTERM to the driver, then `--resume`")
    play.ends(130)
    play.start(resume=True)
    play.goes_on()
    shard, other = sorted(scene.shards.glob("train-*.tar"))[3:5]
    whole = shard.rename(scene.folder / "whole.tar")
    shutil.copy(other, shard)
    play.struck("a shard replaced while it is read; put back, then `--resume`")
    play.ends(1)
    assert str(shard) in play.said, play.said
    whole.rename(shard)
    play.start(resume=True)
    play.goes_on()
    content = shard.read_bytes()
    os.truncate(shard, len(content) // 2)
    play.struck("a shard truncated while it is read; put back, then `--resume`")
    play.ends(1)
    shard.write_bytes(content)
    play.start(resume=True)
    play.ends()
    return play


def on_two_nodes(scene: Scene) -> RayStage:
    """A worker on each."""
    play = RayStage(scene.cluster.address, scene.shards, scene.folder, workers="1:2", resize_every=5)
    play.config = play.config.model_copy(update={"images": 10**6})
    play.start()
    play.goes_on()
    return play


def lost_node(scene: Scene) -> Stage:
    play = on_two_nodes(scene)
    (lost,) = scene.cluster.worker_nodes
    scene.cluster.remove_node(lost, allow_graceful=False)
    play.struck("loss of one of two nodes (`--workers 1:2`)")
    play.goes_on()
    scene.cluster.add_node(num_cpus=1)
    play.struck("its return")
    play.until(lambda: steps.read(play.log)[-1].world_size == 2)
    play.goes_on()
    play.tell(signal.SIGINT)
    play.ends(130)
    return play


def drained_node(scene: Scene) -> Stage:
    """Like a spot instance."""
    play = on_two_nodes(scene)
    (leaving,) = scene.cluster.worker_nodes
    drain = [str(Path(sys.executable).with_name("ray")), "drain-node", "--address", scene.cluster.address]
    drain += ["--node-id", leaving.node_id, "--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message", "reclaimed"]
    subprocess.run([*drain, "--deadline-remaining-seconds", "10"], check=True)
    time.sleep(10)
    scene.cluster.remove_node(leaving, allow_graceful=False)
    play.struck("a node reclaimed, with ten seconds' notice")
    play.goes_on()
    play.tell(signal.SIGINT)
    play.ends(130)
    return play


def store_away(scene: Scene) -> Stage:
    """Nobody can go on from a checkpoint that is out of reach, so the next workers wait for the store."""
    with objectstore.behind_a_proxy(scene.folder) as (proxy, settings):
        server = Server(scene.folder, f"sqlite:///{scene.folder}/mlflow.db")
        try:
            address = scene.cluster.address
            play = RayStage(address, scene.shards, scene.folder, runs="s3://runs/all", tracking=server.address)
            play.store = settings
            play.start()
            play.goes_on()
            proxy.behave("refuses")
            play.shows(1000)  # with a checkpoint that cannot be written
            play.strike(
                "SIGKILL of a worker while the object store refuses connections, for a minute", signal.SIGKILL, 1
            )
            time.sleep(MINUTE)
            proxy.behave("well")
            play.ends()
            return brought_home(play)
        finally:
            server.close()


# ---- without Ray: what concerns the checkpoints alone


def solo_quiet(scene: Scene) -> Stage:
    play = SoloStage(scene.shards, scene.folder)
    play.start()
    play.ends()
    return play


def damaged(scene: Scene) -> Stage:
    play = SoloStage(scene.shards, scene.folder)
    for fault, damage in (
        ("newest checkpoint truncated", truncate),
        ("one bit of the newest checkpoint flipped", flip),
    ):
        play.start()
        play.goes_on()
        play.kill()
        state = Path(f"{play.newest()}/state.pt")
        damage(state)
        play.struck(fault)
        assert f"{state}: damaged" not in play.said
    play.start()
    play.ends()
    assert play.said.count("state.pt: damaged") == 2, play.said
    return play


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def disk_full(scene: Scene) -> Stage:
    """A real one: a file system of 16 MB."""
    disk = scene.folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(disk)], check=True)
    try:
        play = SoloStage(scene.shards, scene.folder, runs=str(disk))
        play.start()
        play.goes_on()
        (disk / "filler").write_bytes(bytes(shutil.disk_usage(disk).free))
        play.struck("disk full during a checkpoint")
        play.until(lambda: "could not be written (No space left on device)" in play.said)
        (disk / "filler").unlink()
        play.ends()
        shutil.copytree(disk, scene.folder / "kept")
        play.launch = play.launch.model_copy(update={"runs": str(scene.folder / "kept")})
        return play
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def object_store(scene: Scene) -> Stage:
    with objectstore.behind_a_proxy(scene.folder) as (proxy, settings):
        play = SoloStage(scene.shards, scene.folder, pause=0.2, runs="s3://runs/all")
        play.store = settings
        play.start()
        for manners, fault in (
            ("refuses", "object store refuses connections for a minute"),
            ("slow", "object store sends 20 kB/s for a minute"),
            ("cuts", "object store cuts half of its answers for a minute"),
        ):
            play.shows(500)
            proxy.behave(manners)
            play.struck(fault)
            time.sleep(MINUTE)
            proxy.behave("well")
        play.ends()
        return brought_home(play)


def brought_home(play: Stage) -> Stage:
    """The play with its run on this disk, since its object store goes away."""
    kept = play.folder / "kept"
    objectstore.download(play.run_folder, kept / play.launch.name)
    play.launch, play.store = play.launch.model_copy(update={"runs": str(kept)}), None
    return play


PLAYS: dict[str, Callable[[Scene], Stage]] = {
    "quiet": quiet,
    "workers": workers,
    "drivers": drivers,
    "lost-node": lost_node,
    "drained-node": drained_node,
    "solo-quiet": solo_quiet,
    "damaged": damaged,
    "disk-full": disk_full,
    "object-store": object_store,
    "store-away": store_away,
}
WITH_RAY = ("quiet", "workers", "drivers", "lost-node", "drained-node", "store-away")


def perform(name: str, folder: Path) -> list[Row]:
    """Plays it in a process that has no threads yet if it forks: so one play per call of this program."""
    shards = write_dataset(folder / "shards", COUNTS, size=32)
    with tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as scratch:
        copy = shutil.copytree(shards, Path(scratch) / "shards")
        if name not in WITH_RAY:
            return judged(name, PLAYS[name](Scene(None, copy, Path(scratch))), folder)
        with stage.nodes(1, 1) as cluster:
            return judged(name, PLAYS[name](Scene(cluster, copy, Path(scratch))), folder)


def judged(name: str, play: Stage, folder: Path) -> list[Row]:
    """A row for each fault. The ends of the quiet plays are left in `folder`, for the others to be compared with."""
    verdict = Verdict(play)
    end = folder / ("end.pt" if name in WITH_RAY else "solo-end.pt")
    if name in ("quiet", "solo-quiet"):
        torch.save(verdict.state, end)
    bits = stage.equal(verdict.state, torch.load(end, weights_only=True)) if verdict.always_as_many() else None
    held = verdict.every_epoch_whole(), verdict.batches_as_ordered(), bits
    said = [line for line in play.said.splitlines() if line.strip() and not RAYS_OWN.search(line)]
    return [
        Row(act.fault, name in WITH_RAY, verdict.steps_lost(act), *verdict.seconds_away(act), *held, said)
        for act in play.acts
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
    parser.add_argument("--only", nargs="*", choices=PLAYS, default=list(PLAYS), help="plays")
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
            rows.writelines(f"{json.dumps(row._asdict())}\n" for row in perform(name, arguments.folder))
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
