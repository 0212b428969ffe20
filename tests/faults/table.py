"""Injects every fault of docs/recovery.md for real, on real Ray nodes, and writes the table there.

    python -m tests.faults.table --folder FOLDER [--only WORD ...] [--write docs/recovery.md]

Every row is one run of the smoke preset on two workers (384 updates of 16 random images, a checkpoint every 32),
judged against one that nothing happened to. FOLDER collects rows over several calls. Mounting a small disk needs root;
the object store is moto behind a proxy that misbehaves.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import torch

from tests.faults import objectstore, stage, steps
from tests.faults.stage import COUNTS, Stage, Verdict
from tests.pipeline.small_datasets import write_dataset

BEGIN, END = "<!-- the table begins -->", "<!-- the table ends -->"
NOTHING = "none: a plain start, from the command to its first step"
MIDDLE = 2000  # images; the fault comes after this many, between two checkpoints


class Scene(NamedTuple):
    """What a fault finds: nodes, a data set of its own, and an empty folder."""

    cluster: Any
    shards: Path
    folder: Path

    def stage(self, **launch: Any) -> Stage:
        return Stage(self.cluster.address, self.shards, self.folder, **launch)


class Row(NamedTuple):
    """A line of the table."""

    fault: str
    steps_lost: int
    seconds: float  # until a new process makes a step
    own: float  # of these, from Ray's call of our worker on
    every_epoch_whole: bool  # promise 1
    same_batches: bool  # promise 2
    same_bits: bool | None  # promise 2; None where the number of workers changed
    said: list[str]  # to the user


def plays(number: int, *ranks: int) -> Callable[[Scene], Stage]:
    def fault(scene: Scene) -> Stage:
        play = scene.stage()
        play.start()
        play.has_shown(MIDDLE)
        play.strike(number, *ranks)
        return ended(play)

    return fault


def nothing(scene: Scene) -> Stage:
    play = scene.stage()
    play.fault_at = time.time()
    play.start()
    return ended(play)


def from_inside(when: str) -> Callable[[Scene], Stage]:
    def fault(scene: Scene) -> Stage:
        play = scene.stage()
        play.environment[steps.INSIDE] = when
        play.start()
        play.until((play.log / "died").exists)
        play.fault_at = float((play.log / "died").read_text())
        return ended(play)

    return fault


def driver_killed(scene: Scene) -> Stage:
    play = scene.stage()
    play.start()
    play.has_shown(MIDDLE)
    stage.stop(play.driver)
    play.fault_at = time.time()
    return ended(play, resume=True)


def controller_killed(scene: Scene) -> Stage:
    play = scene.stage()
    play.start()
    play.has_shown(MIDDLE)
    play.kill_controller()
    return ended(play)


def stopped(scene: Scene) -> Stage:
    play = scene.stage()
    play.start()
    play.has_shown(MIDDLE)
    assert play.driver is not None
    play.driver.send_signal(signal.SIGTERM)
    play.fault_at = time.time()
    assert play.end() == 130, play.said
    return ended(play, resume=True)


def worker_frozen(scene: Scene) -> Stage:
    play = scene.stage(timeout=20)
    play.start()
    play.has_shown(MIDDLE)
    frozen = play.process(1)
    play.strike(signal.SIGSTOP, 1)
    ended(play)
    assert f"(process {frozen}) has not been heard of" in play.said, play.said
    return play


def node_lost(scene: Scene) -> Stage:
    """The second of two nodes goes; one worker goes on; the node comes back, and two do."""
    play = scene.stage(workers="1:2", resize_every=5)
    play.config = play.config.model_copy(update={"images": 5 * stage.IMAGES})
    play.start()
    play.has_shown(MIDDLE)
    (lost,) = scene.cluster.worker_nodes
    scene.cluster.remove_node(lost, allow_graceful=False)
    struck = time.time()
    play.until(lambda: any(step.world_size == 1 for step in steps.read(play.log)))
    scene.cluster.add_node(num_cpus=1)
    play.until(lambda: steps.read(play.log)[-1].world_size == 2)
    play.fault_at = struck
    return ended(play)


def node_reclaimed(scene: Scene) -> Stage:
    """The second of two nodes is drained, as when a spot instance is reclaimed, and goes ten seconds later."""
    play = scene.stage(workers="1:2")
    play.config = play.config.model_copy(update={"images": 5 * stage.IMAGES})
    play.start()
    play.has_shown(MIDDLE)
    (leaving,) = scene.cluster.worker_nodes
    drain = [str(Path(sys.executable).with_name("ray")), "drain-node", "--address", scene.cluster.address]
    drain += ["--node-id", leaving.node_id, "--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message", "reclaimed"]
    subprocess.run([*drain, "--deadline-remaining-seconds", "10"], check=True)
    time.sleep(10)
    scene.cluster.remove_node(leaving, allow_graceful=False)
    play.fault_at = time.time()
    try:
        return ended(play)
    finally:
        scene.cluster.add_node(num_cpus=1)


def disk_full(scene: Scene) -> Stage:
    """The disk of the runs is full for the time of one checkpoint."""
    disk = scene.folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(disk)], check=True)
    try:
        play = scene.stage(runs=str(disk))
        play.start()
        play.has_shown(MIDDLE)
        free = shutil.disk_usage(disk).free
        (disk / "filler").write_bytes(bytes(free))
        play.fault_at = time.time()
        play.until(lambda: "could not be written" in play.said)
        (disk / "filler").unlink()
        ended(play)
        kept = scene.folder / "kept"
        shutil.copytree(disk, kept)
        play.launch = play.launch.model_copy(update={"runs": str(kept)})
        return play
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def newest_damaged(damage: Callable[[Path], None]) -> Callable[[Scene], Stage]:
    def fault(scene: Scene) -> Stage:
        play = scene.stage()
        play.start()
        play.has_shown(MIDDLE)
        stage.stop(play.driver)
        state = play.newest().local / "state.pt"  # type: ignore[operator]
        damage(state)
        play.fault_at = time.time()
        ended(play, resume=True)
        assert f"{state}: damaged" in play.said, play.said
        return play

    return fault


def truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def shard_cut(scene: Scene) -> Stage:
    """A shard that is read is cut short; once it is put back, the run is resumed."""
    play = scene.stage(max_failures=0)
    shard = sorted(scene.shards.glob("train-*.tar"))[3]
    play.start()
    play.has_shown(MIDDLE)
    whole = shard.read_bytes()
    os.truncate(shard, len(whole) // 2)
    play.fault_at = time.time()
    assert play.end() == 1, play.said
    assert str(shard) in play.said, play.said
    shard.write_bytes(whole)
    return ended(play, resume=True)


def shard_replaced(scene: Scene) -> Stage:
    """A shard is replaced by another of the same length; once it is put back, the run is resumed."""
    play = scene.stage()
    shard, other = sorted(scene.shards.glob("train-*.tar"))[3:5]
    play.start()
    play.has_shown(MIDDLE)
    whole = shard.rename(scene.folder / "whole.tar")
    shutil.copy(other, shard)
    play.fault_at = time.time()
    assert play.end() == 1, play.said
    assert str(shard) in play.said, play.said
    whole.rename(shard)
    return ended(play, resume=True)


def store_misbehaves(how: str, seconds: float) -> Callable[[Scene], Stage]:
    def fault(scene: Scene) -> Stage:
        with objectstore.behind_a_proxy(scene.folder) as (proxy, environment):
            play = scene.stage(runs="s3://runs/here", tracking=f"sqlite:///{scene.folder}/mlflow.db")
            play.environment |= environment
            play.start()
            play.has_shown(MIDDLE)
            proxy.behave(how)
            play.fault_at = time.time()
            time.sleep(seconds)
            proxy.behave("well")
            ended(play)
            objectstore.download(play.run_folder, scene.folder / "kept" / "run")
            play.launch = play.launch.model_copy(update={"runs": str(scene.folder / "kept")})
            return play

    return fault


FAULTS: dict[str, Callable[[Scene], Stage]] = {
    NOTHING: nothing,
    "SIGKILL of a worker": plays(signal.SIGKILL, 1),
    "SIGKILL of rank 0": plays(signal.SIGKILL, 0),
    "SIGKILL of both workers": plays(signal.SIGKILL, 0, 1),
    "SIGKILL of rank 0 while it writes a checkpoint": from_inside("write"),
    "SIGKILL of a worker during an evaluation": from_inside("evaluation"),
    "SIGKILL of the driver, then `--resume`": driver_killed,
    "SIGKILL of Ray Train's controller": controller_killed,
    "SIGTERM to the driver, then `--resume`": stopped,
    "SIGSTOP of a worker (`--timeout 20`)": worker_frozen,
    "loss of one of two nodes and its return (`--workers 1:2`)": node_lost,
    "a node reclaimed with ten seconds' notice (`--workers 1:2`)": node_reclaimed,
    "disk full during a checkpoint": disk_full,
    "newest checkpoint truncated": newest_damaged(truncated),
    "newest checkpoint with one flipped bit": newest_damaged(flipped),
    "object store refuses connections for a minute": store_misbehaves("refuses", 60),
    "object store sends 20 kB/s for a minute": store_misbehaves("slow", 60),
    "object store cuts half of its answers for a minute": store_misbehaves("cuts", 60),
    "shard truncated while it is read, then put back": shard_cut,
    "shard replaced while it is read, then put back": shard_replaced,
}

OF_NODES = [name for name, fault in FAULTS.items() if fault in (node_lost, node_reclaimed)]


def ended(play: Stage, resume: bool = False) -> Stage:
    if resume:
        play.start(resume=True)
    assert play.end() == 0, play.said
    return play


def judged(name: str, play: Stage, folder: Path) -> Row:
    """What the table says of one run, next to the reference that `folder` holds; the reference itself is left there."""
    verdict = Verdict(play)
    batches, end = folder / "batches.json", folder / "end.pt"
    if name == NOTHING:
        batches.write_text(json.dumps(verdict.batches))
        torch.save(verdict.state, end)
    expected = json.loads(batches.read_text())
    always_two = {step.world_size for step in verdict.steps} == {2}
    return Row(
        name,
        verdict.steps_lost(),
        *verdict.seconds_away(play),
        verdict.every_epoch_whole(),
        verdict.batches[: len(expected)] == expected,
        stage.equal(verdict.state, torch.load(end, weights_only=True)) if always_two else None,
        [line for line in play.said.splitlines() if line.strip()],
    )


def play_all(names: list[str], folder: Path, at_once: int) -> None:
    """Adds a row to `folder`/rows.jsonl for each fault; several are played at once where they share no node."""
    os.environ["RAYGAN_CACHE"] = str(folder / "cache")
    shards = write_dataset(folder / "shards", COUNTS, size=32)
    alone = [name for name in names if name in (NOTHING, *OF_NODES)]
    with stage.nodes(1, 1) if alone else nullcontext() as cluster:
        for name in alone:
            perform(name, cluster, shards, folder)
    if len(names) == len(alone):
        return
    with stage.nodes(2 * at_once) as cluster, ThreadPoolExecutor(at_once) as players:
        playing = {name: players.submit(perform, name, cluster, shards, folder) for name in names if name not in alone}
        for name, played in playing.items():
            if error := played.exception():
                print(f"{name}: {error}", file=sys.stderr)


def perform(name: str, cluster: Any, shards: Path, folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as scratch:
        scene = Scene(cluster, shutil.copytree(shards, Path(scratch) / "shards"), Path(scratch))
        row = judged(name, FAULTS[name](scene), folder)
    with (folder / "rows.jsonl").open("a") as rows:
        rows.write(json.dumps(row._asdict()) + "\n")
    print(json.dumps(row._asdict()), flush=True)


def table(rows: dict[str, Row]) -> str:
    """Markdown, in the order of FAULTS."""
    lines = [
        "| fault | steps lost | seconds away | of these ours | every epoch whole | same batches | same bits |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in FAULTS:
        if name in rows:
            row = rows[name]
            held = (row.every_epoch_whole, row.same_batches, row.same_bits)
            words = ["-" if fact is None else "yes" if fact else "**no**" for fact in held]
            lines.append(f"| {name} | {row.steps_lost} | {row.seconds:.0f} | {row.own:.1f} | {' | '.join(words)} |")
    return "\n".join(lines)


def read_rows(folder: Path) -> dict[str, Row]:
    """The newest row of each fault."""
    kept = folder / "rows.jsonl"
    rows = [Row(**json.loads(line)) for line in kept.read_text().splitlines()] if kept.exists() else []
    return {row.fault: row for row in rows}


def write_into(page: Path, rows: dict[str, Row]) -> None:
    """Replaces what stands between the two marks of the page."""
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n\n{table(rows)}\n\n{END}{after}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="of the data set, the reference and the rows")
    parser.add_argument(
        "--only", nargs="*", default=list(FAULTS), help="words that a fault's name holds, or its number"
    )
    parser.add_argument("--missing", action="store_true", help="only those that FOLDER has no row of")
    parser.add_argument("--at-once", type=int, default=1, help="faults played side by side, where they share no node")
    parser.add_argument("--write", type=Path, help="the page that gets the table")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    wanted = {int(word) for word in arguments.only if word.isdigit()}
    words = [word for word in arguments.only if not word.isdigit()]
    names = [name for number, name in enumerate(FAULTS) if number in wanted or any(word in name for word in words)]
    if arguments.missing:
        names = [name for name in names if name not in read_rows(arguments.folder)]
    if names:
        play_all(names, arguments.folder, arguments.at_once)
    rows = read_rows(arguments.folder)
    print(table(rows))
    if arguments.write:
        write_into(arguments.write, rows)


if __name__ == "__main__":
    main()
