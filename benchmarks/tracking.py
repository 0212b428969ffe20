"""What tracking costs a training loop: none, with the server alive, and with the server dead.

    python -m benchmarks.tracking [--seconds 3] [--rounds 12] [--json]

The same DCGAN updates (width 24, batch 64, one thread) run in one process for a few seconds at a time: untracked,
tracked by a live MLflow server, and tracked with no server at the address; in turn, and each time in another order, so
that what else the machine does falls on all three. Each step writes seven metrics, far more often than a run does,
and each fiftieth an image. A round's ratios compare its own three parts; the median over the rounds is reported.
"""

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from raygan.pipeline import tracking
from raygan.pipeline.models.dcgan import Discriminator, Generator
from raygan.pipeline.tracking.server import HOST, command, environment

BATCH, LATENT, WIDTH = 64, 64, 24


class Training:
    """A plain adversarial step: its cost matters here, not what it learns."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self._g, self._d = Generator(64, LATENT, WIDTH, "batch"), Discriminator(64, WIDTH, "batch")
        self._g_adam = torch.optim.Adam(self._g.parameters(), 2e-4, (0.5, 0.999))
        self._d_adam = torch.optim.Adam(self._d.parameters(), 2e-4, (0.5, 0.999))
        self._real = torch.rand(BATCH, 3, 64, 64) * 2 - 1

    def step(self) -> dict[str, float]:
        fake = self._g(torch.randn(BATCH, LATENT))
        loss_d = (self._d(fake.detach()) - self._d(self._real)).sigmoid().mean()
        self._d_adam.zero_grad()
        loss_d.backward()
        self._d_adam.step()
        loss_g = -self._d(fake).mean()
        self._g_adam.zero_grad()
        loss_g.backward()
        self._g_adam.step()
        return {f"loss/{i}": loss_g.item() + i for i in range(7)}


def images_per_second(
    training: Training, seconds: float, writer: tracking.Writer | None, first: int
) -> tuple[float, int]:
    grid, steps, start = np.zeros((512, 512, 3), np.uint8), 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        values, position = training.step(), (first + steps) * BATCH
        steps += 1
        if writer is not None:
            writer.metrics(values, position)
            if steps % 50 == 0:
                writer.image("faces", grid, position)
    return steps * BATCH / (time.perf_counter() - start), first + steps


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """The address of a new MLflow server on a store in `folder`."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    start = command(tracking.local_uri(folder), port)
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(start, env=environment(), stdout=log, stderr=log, cwd=folder, start_new_session=True)
    try:
        while True:
            try:
                urllib.request.urlopen(f"http://{HOST}:{port}/health", timeout=1).close()
                break
            except OSError:
                if process.poll() is not None:
                    sys.exit((folder / "server.log").read_text())
                time.sleep(0.3)
        yield f"http://{HOST}:{port}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # `mlflow server` and the process that serves
        process.wait()


def measure(folder: Path, seconds: float, rounds: int) -> list[dict[str, float]]:
    training, results, steps = Training(), [], 0
    images_per_second(training, 2, None, 0)
    with server(folder) as uri:
        live_run, dead_run = (tracking.create_run(uri, "benchmark", name, {}) for name in ("live", "dead"))
        live = tracking.Writer(uri, live_run, folder / "live")
        dead = tracking.Writer("http://127.0.0.1:9", dead_run, folder / "dead")
        for writer in (live, dead):  # MLflow's import is over before the clock runs
            writer.metrics({"loss/0": 0.0}, 0)
        time.sleep(15)
        parts: list[tuple[str, tracking.Writer | None]] = [("untracked", None), ("alive", live), ("dead", dead)]
        for _ in range(rounds):
            speeds = {}
            for name, used in parts:
                speeds[name], steps = images_per_second(training, seconds, used, steps)
            parts = [*parts[1:], parts[0]]
            results.append(speeds)
        undelivered = live.close(60)
        dead.close(0)
    if undelivered:
        sys.exit(f"the live server misses {undelivered} writes")
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3, help="of training per part")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--json", action="store_true", help="end with one JSON line")
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="raygan-benchmark-") as folder:
        results = measure(Path(folder), arguments.seconds, arguments.rounds)
    table = Table("round", "untracked", "alive", "dead", "dead / alive", "alive / untracked", title="images per second")
    for number, r in enumerate(results, 1):
        ratios = (r["dead"] / r["alive"], r["alive"] / r["untracked"])
        table.add_row(
            str(number),
            *(f"{r[k]:.1f}" for k in ("untracked", "alive", "dead")),
            *(f"{x:.3f}" for x in ratios),
        )
    Console().print(table)
    summary = {
        "dead_vs_alive": statistics.median(r["dead"] / r["alive"] for r in results),
        "tracked_vs_untracked": statistics.median(r["alive"] / r["untracked"] for r in results),
    }
    print(", ".join(f"{name} {value:.3f} (median of {len(results)})" for name, value in summary.items()))
    if arguments.json:
        print(json.dumps(summary))


if __name__ == "__main__":
    main()
