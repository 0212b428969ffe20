"""A search next to the same trials from the shell and next to Ray Tune used plainly, in one run.

    python benchmarks/tuning.py [--shards DIR] [--trials 4] [--images 12000] [--width 24] [--only ours] [--json]

Every case trains configurations that differ in one learning rate, one worker of one core each, two at a time where it
can. The share of core-seconds in training is what the trials spent between the start of a batch and the end of its
update, by their own clocks, over all that two cores had from the start of the command to its end: imports, evaluations,
checkpoints and idle cores count against it.

`raygan tune`      one search without a scheduler, so that every trial runs to its end.
plain Ray Tune     a Tune function that runs a Ray Train run per trial, processes new for each: the documented pattern.
shell              `raygan train`, one after another; one is measured and the others taken to be alike.

At last, how long the driver takes for a simulated trial (asked for, three scores judged, ended) in a search of 8 and of
64: this must not grow with their number.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from pipeline.config import Config, Discriminator, Evaluation, Generator, Launch
from pipeline.tuning.ledger import Ledger, axes
from pipeline.tuning.search import Rungs
from pipeline.tuning.space import DEFAULT

CORES = 2


class Case(NamedTuple):
    name: str
    wall: float  # seconds, of all trials
    training: float  # core-seconds

    @property
    def share(self) -> float:
        return self.training / (CORES * self.wall)


def flags(config: Config) -> list[str]:
    return [
        *("--preset", "smoke", "--batch", "32", "--latent", "64", "--log-every", str(config.log_every)),
        *("--images", str(config.images), "--evaluation.every", str(config.images)),
        *("--evaluation.count", "200", "--checkpoints.every", str(config.images)),
        *("--generator.width", str(config.generator.width), "--discriminator.width", str(config.generator.width)),
    ]


def configuration(images: int, width: int) -> Config:
    knobs = {"preset": "smoke", "images": images, "batch": 32, "latent": 64, "log_every": images // 8}
    return Config(
        **knobs,
        generator=Generator(width=width),
        discriminator=Discriminator(width=width),
        evaluation=Evaluation(every=images, count=200),
    )


def raygan(*tokens: str) -> float:
    """Wall seconds of a command."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "jobs", *tokens], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def training_seconds(runs: Path) -> float:
    """What the runs tracked in `runs` spent in training steps, from the images and the pace of each of their laps."""
    from mlflow import MlflowClient

    from pipeline.tracking import list_runs, local_uri

    client, seconds = MlflowClient(local_uri(runs)), 0.0
    for run in list_runs(local_uri(runs)):
        before = 0
        if "speed/images_per_second" not in run.metrics:
            continue
        for lap in sorted(client.get_metric_history(run.id, "speed/images_per_second"), key=lambda lap: lap.step):
            seconds += (lap.step - before) / lap.value
            before = lap.step
    return seconds


def ours(arguments: argparse.Namespace, config: Config, runs: Path) -> Case:
    search = ["--search", "random", "--scheduler", "none", "--finalists", "0", "--first-rung", str(config.images)]
    search += ["--trials", str(arguments.trials), "--concurrent", str(CORES)]
    search += ["--vary", "generator.learning_rate=5e-5:1e-3:log"]  # which costs nothing, so that all trials are alike
    place = ["--shards", arguments.shards, "--runs", str(runs), "--name", "search"]
    return Case("raygan tune", raygan("tune", *flags(config), *search, *place), training_seconds(runs))


def shell(arguments: argparse.Namespace, config: Config, runs: Path) -> Case:
    place = ["--shards", arguments.shards, "--runs", str(runs), "--name", "one"]
    wall = raygan("train", *flags(config), *place)
    return Case("shell", wall * arguments.trials, training_seconds(runs) * arguments.trials)


def plain(arguments: argparse.Namespace, config: Config, runs: Path) -> Case:
    command = [sys.executable, __file__, "--role", "plain", "--shards", arguments.shards, "--runs", str(runs)]
    command += ["--trials", str(arguments.trials), "--images", str(config.images), "--width", str(arguments.width)]
    training_seconds(runs)  # makes the tracking store, over which trials that begin together would fall
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return Case("plain Ray Tune", time.perf_counter() - start, training_seconds(runs))


def plain_tune(arguments: argparse.Namespace, config: Config) -> None:
    """Ray Tune around Ray Train as its documentation shows it."""
    from jobs.cluster import cluster

    with cluster(CORES):
        from ray import tune

        def trial(values: dict[str, float]) -> None:
            from pipeline import recording
            from pipeline.runs import Run
            from pipeline.train import fit, plan
            from pipeline.tuning.space import overlay

            own = overlay(config, values)
            name = tune.get_context().get_trial_id()
            launch = Launch(shards=arguments.shards, runs=arguments.runs, name=name).resolved("plain")
            manifest = plan(own, launch)
            uri, run_id = recording.begin(own, launch, manifest, "plain")
            fit(Run(config=own, launch=launch, data=manifest.digest, tracking=uri, run_id=run_id), None)

        tuner = tune.Tuner(
            tune.with_resources(trial, tune.PlacementGroupFactory([{"memory": 3e8}])),
            param_space={"generator.learning_rate": tune.loguniform(5e-5, 1e-3)},
            tune_config=tune.TuneConfig(num_samples=arguments.trials, max_concurrent_trials=CORES, reuse_actors=False),
            run_config=tune.RunConfig(storage_path=f"{arguments.runs}/ray", verbose=0),
        )
        if errors := tuner.fit().errors:
            raise errors[0]


def milliseconds_per_simulated_trial(trials: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        space, rungs = axes(DEFAULT, Config()), Rungs(100, 3)
        ledger = Ledger(Path(folder) / "journal.log", "search", space, trials, sampler="optuna", rungs=rungs)
        start = time.perf_counter()
        while entry := ledger.next():
            for position in (100, 300, 900):
                ledger.report(entry.number, position, entry.values["balance"] / position, cost=1.0)
            ledger.end(entry.number, "finished")
        return (time.perf_counter() - start) / trials * 1000


def drawn(folder: Path) -> str:
    from sharding.convert import ShardingOptions, convert
    from sharding.synthetic import synthesize

    synthesize(folder / "faces", 500)
    convert(str(folder / "faces"), str(folder / "shards"), ShardingOptions(samples_per_shard=250))
    return str(folder / "shards")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", help="a data set of 64 pixels; without one, faces are drawn")
    parser.add_argument("--trials", type=int, default=4)
    parser.add_argument("--images", type=int, default=12_000, help="of a trial")
    parser.add_argument("--width", type=int, default=24, help="of both networks")
    parser.add_argument("--only", choices=["ours"], help="leave the peers out, as for longer trials")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--role", choices=["plain"], help=argparse.SUPPRESS)
    parser.add_argument("--runs", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    config = configuration(arguments.images, arguments.width)
    if arguments.role:
        plain_tune(arguments, config)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["RAYGAN_CACHE"] = str(folder / "cache")
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        arguments.shards = str(Path(arguments.shards or drawn(folder)).resolve())
        peers = []
        if not arguments.only:  # first, so that it is the shell's trial that fills the cache of real statistics
            peers = [shell(arguments, config, folder / "shell"), plain(arguments, config, folder / "plain")]
        cases = [ours(arguments, config, folder / "ours"), *peers]
    seconds = cases[0].training / arguments.trials
    print(f"{arguments.trials} trials of {seconds:.0f} s in training on {CORES} cores\n")
    print(f"{'':16}{'wall, s':>10}{'trials/hour':>13}{'core-seconds in training':>27}")
    for case in cases:
        hourly = arguments.trials * 3600 / case.wall
        print(f"{case.name:16}{case.wall:10.0f}{hourly:13.0f}{case.share:27.2f}")
    few, many = milliseconds_per_simulated_trial(8), milliseconds_per_simulated_trial(64)
    print(f"\ndriver, per simulated trial: {few:.0f} ms of 8, {many:.0f} ms of 64 ({many / few:.2f})")
    if arguments.json:
        result = {"core_seconds_in_training": round(cases[0].share, 3)}
        result |= {"seconds_per_trial": round(seconds, 1), "overhead_64_vs_8": round(many / few, 2)}
        names = {"shell": "vs_shell", "plain Ray Tune": "vs_naive_tune"}
        result |= {names[case.name]: round(case.wall / cases[0].wall, 3) for case in peers}
        print(json.dumps(result))


if __name__ == "__main__":
    main()
