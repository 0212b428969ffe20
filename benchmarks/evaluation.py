"""Evaluation against torch-fidelity and pytorch-fid on the same Inception network, in one run, on one thread each.

    python -m benchmarks.evaluation [--count 256] [--rounds 3] [--json]

The peers are installed with: pip install torch-fidelity pytorch-fid "scipy<1.18". Where one is missing it is skipped.

First table: images drawn by the same DCGAN, features extracted, statistics reduced, in images per second of CPU time;
then the seconds of the Fréchet distance itself, and the most memory the process ever held. pytorch-fid reads files, so
it is charged for writing them. The weights are random, since time does not depend on them.
Second: the same on one and on two workers of one thread each, in images per second of wall time.
Third: training beside an evaluation that runs on another core all the time, and with evaluations in place (1,000
images through randconv after every 10,000 images, the demo's setting), as shares of the throughput without.
"""

import argparse
import importlib.util
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from PIL import Image

from raygan.pipeline.config import demo
from raygan.pipeline.distributed import DistributedContext
from raygan.pipeline.evaluation import distances
from raygan.pipeline.evaluation.sampler import Sampler
from raygan.pipeline.evaluation.scores import Evaluator
from raygan.pipeline.models.dcgan import Generator
from raygan.pipeline.models.noise import Purpose
from raygan.pipeline.objectives.adversarial.objective import AdversarialObjective

LATENT, SIZE, BATCH, REALS = 100, 64, 32, 64
PEERS = {"torch-fidelity": "torch_fidelity", "pytorch-fid": "pytorch_fid"}
EVERY, SCORED = 10_000, 1_000  # the demo's evaluations, in images


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=256, help="images drawn")
    parser.add_argument("--rounds", type=int, default=3, help="of the tables that compare our own settings")
    parser.add_argument("--json", action="store_true", help="end with one JSON line")
    parser.add_argument("--role", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.role:
        torch.set_num_threads(1)
        print(json.dumps(ROLES[arguments.role](arguments.folder, arguments.count)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        figures = peers(folder, arguments.count) | workers(folder, arguments) | training(folder, arguments)
    if arguments.json:
        print(json.dumps(figures))


def peers(folder: Path, count: int) -> dict[str, float | None]:
    found = {"raygan": run("raygan", folder, count)}
    for peer, module in PEERS.items():
        if importlib.util.find_spec(module):
            found[peer] = run(peer, folder, count)
        else:
            print(f"{peer}: skipped, not installed")
    print(f"\n{'':16}{'images/s':>10}{'raygan is':>11}{'distance s':>12}{'peak MB':>9}")
    ours = found["raygan"]
    for name, row in found.items():
        ratio = ours["rate"] / row["rate"]
        print(f"{name:16}{row['rate']:>10.2f}{ratio:>10.2f}x{row['distance']:>12.2f}{row['megabytes']:>9.0f}")
    return {
        f"vs_{module}": round(ours["rate"] / found[peer]["rate"], 3) if peer in found else None
        for peer, module in PEERS.items()
    }


def workers(folder: Path, arguments: argparse.Namespace) -> dict[str, float]:
    best = {1: 0.0, 2: 0.0}
    for number in range(arguments.rounds):
        for world_size in best:
            best[world_size] = max(best[world_size], together(folder, arguments.count, world_size, number))
    print(f"\n{'workers':16}{'images/s':>10}")
    for world_size, rate in best.items():
        print(f"{world_size:<16}{rate:>10.2f}")
    return {"two_workers_vs_one": round(best[2] / best[1], 3)}


def training(folder: Path, arguments: argparse.Namespace) -> dict[str, float]:
    alone, beside, seconds = 0.0, 0.0, float("inf")
    for _ in range(arguments.rounds):
        found = run("training", folder, arguments.count)
        alone, seconds = max(alone, found["rate"]), min(seconds, found["evaluation"])
        evaluation = start("endless", folder, arguments.count)
        try:
            assert evaluation.stdout is not None
            evaluation.stdout.readline()  # it has begun
            beside = max(beside, run("training", folder, arguments.count)["rate"])
        finally:
            evaluation.kill()
            evaluation.wait()
    in_place = 1 / (1 + seconds * alone / EVERY)
    print(f"\n{'training':28}{'images/s':>10}{'share':>8}")
    print(f"{'alone':28}{alone:>10.1f}{1:>8.3f}")
    print(f"{'evaluation on another core':28}{beside:>10.1f}{beside / alone:>8.3f}")
    print(f"{'evaluation in place':28}{alone * in_place:>10.1f}{in_place:>8.3f}  ({seconds:.2f} s each)")
    return {"training_beside_evaluation": round(beside / alone, 3), "training_with_evaluation": round(in_place, 3)}


def start(role: str, folder: Path, count: int, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, "--role", role, "--folder", str(folder), "--count", str(count)]
    inherited = os.environ | {"OMP_NUM_THREADS": "1"} | environment
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=inherited)


def result(process: subprocess.Popen[str]) -> dict[str, float]:
    output, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"{process.args!r} failed")
    found: dict[str, float] = json.loads(output.splitlines()[-1])
    return found


def run(role: str, folder: Path, count: int) -> dict[str, float]:
    return result(start(role, folder, count))


def together(folder: Path, count: int, world_size: int, number: int) -> float:
    """Images per second of `world_size` workers; the slowest counts."""
    store = f"file://{folder}/store-{world_size}-{number}"
    processes = [
        start("worker", folder, count, STORE=store, RANK=str(rank), WORLD_SIZE=str(world_size))
        for rank in range(world_size)
    ]
    return min(result(process)["rate"] for process in processes)


def prepare(folder: Path) -> None:
    """Random Inception weights and real images, as files that all contenders read."""
    images = sampler(1).draw(0, REALS)
    np.save(folder / "real.npy", images.permute(0, 2, 3, 1).numpy())
    (folder / "real").mkdir()
    save_png(images, folder / "real")
    from torch_fidelity import feature_extractor_inceptionv3 as peer

    class Unloaded(peer.FeatureExtractorInceptionV3):
        def load_state_dict(self, *args: object, **kwargs: object) -> None:
            """Keeps the random weights that the constructor would replace."""

    weights = folder / "hub/checkpoints/pt_inception-2015-12-05-6726825d.pth"
    weights.parent.mkdir(parents=True)
    torch.save({}, weights)
    torch.save(Unloaded("random", ["2048"], feature_extractor_weights_path=str(weights)).state_dict(), weights)


def weights_in(folder: Path) -> str:
    return str(folder / "hub/checkpoints/pt_inception-2015-12-05-6726825d.pth")


def generator(seed: int) -> Generator:
    torch.manual_seed(seed)
    return Generator(SIZE, LATENT, 64, "batch").eval()


def sampler(seed: int) -> Sampler:
    return Sampler(generator(seed), LATENT, torch.device("cpu"), seed)


def save_png(images: torch.Tensor, folder: Path) -> None:
    for number, image in enumerate(images.permute(0, 2, 3, 1).numpy()):
        Image.fromarray(image).save(folder / f"{number:06}.png")


def evaluator(folder: Path, count: int, extractor: str | None = None) -> Evaluator:
    return Evaluator(
        folder / "real.npy",
        extractor=extractor or f"inception:{weights_in(folder)}",
        count=count,
        metrics=["fid"],
        cache=folder / "cache",
        batch=BATCH,
    )


def measured(seconds: float, distance: float, count: int) -> dict[str, float]:
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"rate": count / seconds, "distance": distance, "megabytes": megabytes}


def raygan(folder: Path, count: int) -> dict[str, float]:
    scorer, drawn = evaluator(folder, count), sampler(0)
    real = scorer.real()
    started = time.process_time()
    fake = scorer.draw(drawn.draw)
    reduced = time.process_time()
    distances.frechet(real.statistics, fake.statistics)
    return measured(reduced - started, time.process_time() - reduced, count)


def torch_fidelity(folder: Path, count: int) -> dict[str, float]:
    from torch_fidelity import GenerativeModelModuleWrapper
    from torch_fidelity.metric_fid import fid_featuresdict_to_statistics, fid_statistics_to_metric
    from torch_fidelity.utils import create_feature_extractor, extract_featuresdict_from_input_id

    class Quantised(torch.nn.Module):
        def __init__(self, network: torch.nn.Module) -> None:
            super().__init__()
            self.network = network

        def forward(self, latents: torch.Tensor) -> torch.Tensor:
            return self.network(latents).add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)

    settings = {
        "input1": GenerativeModelModuleWrapper(Quantised(generator(0)), LATENT, "normal", 0),
        "input1_model_num_samples": count,
        "input2": str(folder / "real"),
        "feature_extractor_weights_path": weights_in(folder),
        "batch_size": BATCH,
        "cuda": False,
        "verbose": False,
    }
    extractor = create_feature_extractor("inception-v3-compat", ["2048"], **settings)
    real = fid_featuresdict_to_statistics(extract_featuresdict_from_input_id(2, extractor, **settings), "2048")
    started = time.process_time()
    fake = fid_featuresdict_to_statistics(extract_featuresdict_from_input_id(1, extractor, **settings), "2048")
    reduced = time.process_time()
    fid_statistics_to_metric(real, fake, False)
    return measured(reduced - started, time.process_time() - reduced, count)


def pytorch_fid(folder: Path, count: int) -> dict[str, float]:
    os.environ["TORCH_HOME"] = str(folder)
    from pytorch_fid.fid_score import calculate_activation_statistics, calculate_frechet_distance
    from pytorch_fid.inception import InceptionV3

    network, drawn = InceptionV3([InceptionV3.BLOCK_INDEX_BY_DIM[2048]]).eval(), sampler(0)

    def statistics(images: Path) -> tuple[np.ndarray, np.ndarray]:
        return calculate_activation_statistics(sorted(images.iterdir()), network, batch_size=BATCH, num_workers=0)

    real = statistics(folder / "real")
    started = time.process_time()
    fakes = folder / "fakes"
    fakes.mkdir()
    save_png(drawn.draw(0, count), fakes)
    fake = statistics(fakes)
    reduced = time.process_time()
    calculate_frechet_distance(*real, *fake)
    return measured(reduced - started, time.process_time() - reduced, count)


def worker(folder: Path, count: int) -> dict[str, float]:
    rank, world_size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    dist.init_process_group("gloo", init_method=os.environ["STORE"], rank=rank, world_size=world_size)
    scorer, drawn = evaluator(folder, count), sampler(0)
    scorer.real()
    dist.barrier()
    started = time.perf_counter()
    scorer.draw(drawn.draw)
    seconds = time.perf_counter() - started
    dist.destroy_process_group()
    return {"rate": count / seconds}


def endless(folder: Path, count: int) -> dict[str, float]:
    """Evaluates until it is killed."""
    scorer, drawn = evaluator(folder, count), sampler(0)
    print("begun", flush=True)
    while True:
        scorer.draw(drawn.draw)


def train(folder: Path, count: int) -> dict[str, float]:
    """The demo's updates on random images, and one of its evaluations."""
    config = demo()
    objective = AdversarialObjective(config, SIZE, DistributedContext())
    images = torch.randint(0, 256, (config.batch, 3, SIZE, SIZE), dtype=torch.uint8)
    for position in range(0, 10 * config.batch, config.batch):
        objective.step(images, position)
    steps, started = 60, time.perf_counter()
    for step in range(steps):
        objective.step(images, (10 + step) * config.batch)
    rate = steps * config.batch / (time.perf_counter() - started)
    drawn = Sampler(objective.average, config.latent, torch.device("cpu"), config.seed)
    scorer = evaluator(folder, SCORED, "randconv")
    scorer.real()
    started = time.perf_counter()
    scorer.score(lambda first, number: drawn.draw(first, number, Purpose.EVALUATION))
    return {"rate": rate, "evaluation": time.perf_counter() - started}


ROLES = {
    "raygan": raygan,
    "torch-fidelity": torch_fidelity,
    "pytorch-fid": pytorch_fid,
    "worker": worker,
    "endless": endless,
    "training": train,
}

if __name__ == "__main__":
    main()
