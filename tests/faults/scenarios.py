"""The scenarios: each is one run into which some faults are injected, one after the other."""

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
from tests.faults.harness import Harness, RayHarness, SoloHarness
from tests.pipeline.tracking.killable_server import Server

MINUTE = 60.0  # seconds


class Setup(NamedTuple):
    """What a scenario gets: Ray nodes (None without Ray), a data set of its own, and an empty folder."""

    cluster: Any
    shards: Path
    folder: Path


# ---- with Ray


def quiet(setup: Setup) -> Harness:
    run = RayHarness(setup.cluster.address, setup.shards, setup.folder)
    run.record("none: a plain start, from the command to its first step")
    run.start()
    run.ends()
    return run


def workers(setup: Setup) -> Harness:
    run = RayHarness(setup.cluster.address, setup.shards, setup.folder, max_failures=9)
    run.start()
    run.continues()
    run.signal_workers("SIGKILL of a worker", signal.SIGKILL, 1)
    run.continues()
    run.signal_workers("SIGKILL of rank 0", signal.SIGKILL, 0)
    run.continues()
    run.signal_workers("SIGKILL of both workers", signal.SIGKILL, 0, 1)
    run.continues(images=200)
    run.kill_inside("SIGKILL of rank 0 while it writes a checkpoint", "write")
    run.continues(images=200)
    run.kill_inside("SIGKILL of a worker during an evaluation", "evaluation")
    run.ends()
    return run


def frozen_worker(setup: Setup) -> Harness:
    run = RayHarness(setup.cluster.address, setup.shards, setup.folder, timeout=20)
    run.start()
    run.continues()
    frozen = run.process(1)
    run.signal_workers("SIGSTOP of a worker (`--timeout 20`)", signal.SIGSTOP, 1)
    run.ends()
    assert f"(process {frozen}) has sent no heartbeat for" in run.output, run.output
    return run


def drivers(setup: Setup) -> Harness:
    run = RayHarness(setup.cluster.address, setup.shards, setup.folder, max_failures=1)
    run.start()
    run.continues()
    run.kill_controller("SIGKILL of Ray Train's controller")
    run.continues()
    run.signal_driver(signal.SIGKILL)
    run.record("SIGKILL of the driver, then `--resume`")
    run.wait()
    run.start(resume=True)
    run.continues()
    run.signal_driver(signal.SIGTERM)
    run.record("SIGTERM to the driver, then `--resume`")
    run.ends(130)
    run.start(resume=True)
    run.ends()
    return run


def damaged_shards(setup: Setup) -> Harness:
    run = RayHarness(setup.cluster.address, setup.shards, setup.folder, max_failures=1)
    run.start()
    run.continues()
    shard, other = sorted(setup.shards.glob("train-*.tar"))[3:5]
    whole = shard.rename(setup.folder / "whole.tar")
    shutil.copy(other, shard)
    run.record("a shard replaced while it is read; put back, then `--resume`")
    run.ends(1)
    assert str(shard) in run.output, run.output
    whole.rename(shard)
    run.start(resume=True)
    run.continues()
    content = shard.read_bytes()
    os.truncate(shard, len(content) // 2)
    run.record("a shard truncated while it is read; put back, then `--resume`")
    run.ends(1)
    shard.write_bytes(content)
    run.start(resume=True)
    run.ends()
    return run


def on_two_nodes(setup: Setup) -> RayHarness:
    """A worker on each."""
    run = RayHarness(setup.cluster.address, setup.shards, setup.folder, workers="1:2", resize_every=5)
    run.config = run.config.model_copy(update={"images": 10**6})
    run.start()
    run.continues()
    return run


def lost_node(setup: Setup) -> Harness:
    run = on_two_nodes(setup)
    (lost,) = setup.cluster.worker_nodes
    setup.cluster.remove_node(lost, allow_graceful=False)
    run.record("loss of one of two nodes (`--workers 1:2`)")
    run.continues()
    setup.cluster.add_node(num_cpus=1)
    run.record("its return")
    run.wait_until(lambda: steps.read(run.log)[-1].world_size == 2)
    run.continues()
    run.signal_driver(signal.SIGINT)
    run.ends(130)
    return run


def drained_node(setup: Setup) -> Harness:
    """As a spot instance is reclaimed."""
    run = on_two_nodes(setup)
    (leaving,) = setup.cluster.worker_nodes
    drain = [str(Path(sys.executable).with_name("ray")), "drain-node", "--address", setup.cluster.address]
    drain += ["--node-id", leaving.node_id, "--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message", "reclaimed"]
    subprocess.run([*drain, "--deadline-remaining-seconds", "10"], check=True)
    time.sleep(10)
    setup.cluster.remove_node(leaving, allow_graceful=False)
    run.record("a node reclaimed, with ten seconds' notice")
    run.continues()
    run.signal_driver(signal.SIGINT)
    run.ends(130)
    return run


def store_away(setup: Setup) -> Harness:
    """No worker can continue from a checkpoint that is out of reach, so the next workers wait for the store."""
    with objectstore.behind_a_proxy(setup.folder) as (proxy, settings):
        server = Server(setup.folder, f"sqlite:///{setup.folder}/mlflow.db")
        try:
            address = setup.cluster.address
            run = RayHarness(address, setup.shards, setup.folder, runs="s3://runs/all", tracking=server.address)
            run.store = settings
            run.start()
            run.continues()
            proxy.behave("refuses")
            run.advances(1000)  # with a checkpoint that cannot be written
            run.signal_workers(
                "SIGKILL of a worker while the object store refuses connections, for a minute", signal.SIGKILL, 1
            )
            time.sleep(MINUTE)
            proxy.behave("well")
            run.ends()
            return copied_from_the_store(run)
        finally:
            server.close()


# ---- without Ray: what concerns the checkpoints alone


def solo_quiet(setup: Setup) -> Harness:
    run = SoloHarness(setup.shards, setup.folder)
    run.start()
    run.ends()
    return run


def damaged_checkpoints(setup: Setup) -> Harness:
    run = SoloHarness(setup.shards, setup.folder)
    for fault, damage in (
        ("newest checkpoint truncated", truncate),
        ("one bit of the newest checkpoint flipped", flip),
    ):
        run.start()
        run.continues()
        run.kill()
        state = Path(f"{run.newest()}/state.pt")
        damage(state)
        run.record(fault)
        assert f"{state}: damaged" not in run.output
    run.start()
    run.ends()
    assert run.output.count("state.pt: damaged") == 2, run.output
    return run


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def disk_full(setup: Setup) -> Harness:
    """A real one: a file system of 16 MB."""
    disk = setup.folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(disk)], check=True)
    try:
        run = SoloHarness(setup.shards, setup.folder, runs=str(disk))
        run.start()
        run.continues()
        (disk / "filler").write_bytes(bytes(shutil.disk_usage(disk).free))
        run.record("disk full during a checkpoint")
        run.wait_until(lambda: "could not be written (No space left on device)" in run.output)
        (disk / "filler").unlink()
        run.ends()
        shutil.copytree(disk, setup.folder / "kept")
        run.launch = run.launch.model_copy(update={"runs": str(setup.folder / "kept")})
        return run
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def object_store(setup: Setup) -> Harness:
    with objectstore.behind_a_proxy(setup.folder) as (proxy, settings):
        run = SoloHarness(setup.shards, setup.folder, pause=0.2, runs="s3://runs/all")
        run.store = settings
        run.start()
        faults: list[tuple[objectstore.Behaviour, str]] = [
            ("refuses", "object store refuses connections for a minute"),
            ("slow", "object store sends 20 kB/s for a minute"),
            ("cuts", "object store cuts half of its answers for a minute"),
        ]
        for behaviour, fault in faults:
            run.advances(500)
            proxy.behave(behaviour)
            run.record(fault)
            time.sleep(MINUTE)
            proxy.behave("well")
        run.ends()
        return copied_from_the_store(run)


def copied_from_the_store(run: Harness) -> Harness:
    """The same with the run on this disk, since its object store is about to end."""
    kept = run.folder / "kept"
    objectstore.download(run.run_folder, kept / run.launch.name)
    run.launch, run.store = run.launch.model_copy(update={"runs": str(kept)}), None
    return run


Scenario = Callable[[Setup], Harness]
ON_RAY: dict[str, Scenario] = {
    "quiet": quiet,
    "workers": workers,
    "frozen-worker": frozen_worker,
    "drivers": drivers,
    "damaged-shards": damaged_shards,
    "lost-node": lost_node,
    "drained-node": drained_node,
    "store-away": store_away,
}
SOLO: dict[str, Scenario] = {
    "solo-quiet": solo_quiet,
    "damaged-checkpoints": damaged_checkpoints,
    "disk-full": disk_full,
    "object-store": object_store,
}
