"""The plays: each is one run that goes through some faults, one after the other."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tests.faults import objectstore, steps
from tests.faults.harness import RayStage, SoloStage, Stage
from tests.pipeline.tracking.killable_server import Server

MINUTE = 60.0  # seconds


class Scene(NamedTuple):
    """What a play finds: Ray nodes (None without Ray), a data set of its own, and an empty folder."""

    cluster: Any
    shards: Path
    folder: Path


# ---- with Ray


def quiet(scene: Scene) -> Stage:
    play = RayStage(scene.cluster.address, scene.shards, scene.folder)
    play.struck("none: a plain start, from the command to its first step")
    play.start()
    play.ends()
    return play


def workers(scene: Scene) -> Stage:
    play = RayStage(scene.cluster.address, scene.shards, scene.folder, max_failures=9)
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
    play.ends()
    return play


def frozen_worker(scene: Scene) -> Stage:
    play = RayStage(scene.cluster.address, scene.shards, scene.folder, timeout=20)
    play.start()
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
    play.ends()
    return play


def damaged_shards(scene: Scene) -> Stage:
    play = RayStage(scene.cluster.address, scene.shards, scene.folder, max_failures=1)
    play.start()
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


def damaged_checkpoints(scene: Scene) -> Stage:
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


Play = Callable[[Scene], Stage]
ON_RAY: dict[str, Play] = {
    "quiet": quiet,
    "workers": workers,
    "frozen-worker": frozen_worker,
    "drivers": drivers,
    "damaged-shards": damaged_shards,
    "lost-node": lost_node,
    "drained-node": drained_node,
    "store-away": store_away,
}
SOLO: dict[str, Play] = {
    "solo-quiet": solo_quiet,
    "damaged-checkpoints": damaged_checkpoints,
    "disk-full": disk_full,
    "object-store": object_store,
}
