"""A search next to the same trials from the shell and next to Ray Tune used plainly, in one run.

    python -m benchmarks.tuning [--shards DIR] [--trials 8] [--seconds 60] [--width 24] [--only ours] [--json]

Every case trains configurations that differ in one learning rate, each for as many images as one core trains in about
--seconds, with the same evaluation and checkpoint at the end.

`raygan tune`      one search without a scheduler, so that every trial runs to its end: two at a time, of one core each.
plain Ray Tune     a Tune function that runs a Ray Train run per trial, processes new for each: the documented pattern.
                   Two at a time, of one core each; its drivers hold no core either.
shell              `raygan train`, one after another, on one core or on both; it registers its generator at its end.
                   One is measured, and the others taken to be alike.

The share of core-seconds in training is what the trials spent between the start of a batch and the end of its update,
by their own clocks, on each of their cores; over all that two cores had from the start of the command to its end.
Imports, evaluations, checkpoints and idle cores count against it. A clock runs on while something else has the core,
which favours whoever starts more processes beside trials that train.

At last, the time per simulated trial in a search of 8 and of 64, which must not grow with their number: everything is
real but the training, in whose place three scores are reported at once.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from raygan.jobs.defaults import from_file
from raygan.pipeline.config import Config, Launch, smoke
from raygan.pipeline.launch.monitor import Event
from raygan.pipeline.launch.plan import resolved
from raygan.pipeline.tuning.search import Score
from raygan.pipeline.tuning.trial import Ended, Report

CORES = 2
LAPS = 8  # times that a trial logs its throughput
FIELD, LOW, HIGH = "generator.learning_rate", 5e-5, 1e-3  # which costs nothing, so that all trials are alike
SIMULATED = (100, 300, 900)  # images, at which a simulated trial reports


class Plan(NamedTuple):
    """What every case trains, and where."""

    folder: Path
    shards: str
    trials: int
    longest: float  # seconds that a command may take

    @property
    def file(self) -> Path:
        """The configuration of all trials, as --config takes it."""
        return self.folder / "config.yaml"


class Case(NamedTuple):
    name: str
    key: str  # of its ratio in the JSON line
    wall: float  # seconds, of all trials
    training: float  # core-seconds, of all trials

    @property
    def share(self) -> float:
        return self.training / (CORES * self.wall)


def configuration(images: int, width: int) -> Config:
    """`images`: a multiple of LAPS batches."""
    given = {"images": images, "batch": 32, "latent": 64, "log_every": images // LAPS}
    networks = {"generator.width": width, "discriminator.width": width}
    ends = {"evaluation.every": images, "evaluation.count": 200, "checkpoints.every": images}
    return smoke().with_settings(given | networks | ends)


def calibrate(plan: Plan, seconds: float, width: int) -> None:
    """Writes what one core trains in about `seconds`; leaves the statistics of real images for all cases, too."""
    write(configuration(LAPS * 64, width), plan.file)
    raygan(plan, "throughput", "train")
    throughput = laps(plan.folder / "throughput")[-1].throughput
    images = max(1, round(seconds * throughput / (LAPS * 32))) * LAPS * 32
    write(configuration(images, width), plan.file)
    say(f"one core trains {throughput:.0f} images/s: a trial shows {images:,}")


def write(config: Config, file: Path) -> None:
    file.write_text(yaml.safe_dump(config.model_dump(mode="json")))


def raygan(plan: Plan, name: str, command: str, *tokens: str) -> float:
    """Wall seconds of a command, whose runs are in a folder of that name."""
    common = ["--shards", plan.shards, "--runs", str(plan.folder / name), "--name", name, "--config", str(plan.file)]
    return timed(plan, ["-m", "raygan.jobs", command, *common, *tokens])


def timed(plan: Plan, arguments: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, timeout=plan.longest)
    return time.perf_counter() - start


class Lap(NamedTuple):
    images: int
    throughput: float  # images per second


def laps(runs: Path) -> list[Lap]:
    """Of all runs tracked in `runs`."""
    from mlflow import MlflowClient

    from raygan.pipeline.tracking import list_runs, local_uri

    client, found = MlflowClient(local_uri(runs)), []
    for run in list_runs(local_uri(runs)):
        before = 0
        if "speed/images_per_second" not in run.metrics:  # a search's own
            continue
        for lap in sorted(client.get_metric_history(run.id, "speed/images_per_second"), key=lambda lap: lap.step):
            found.append(Lap(lap.step - before, lap.value))
            before = lap.step
    return found


def training_seconds(runs: Path) -> float:
    """What the runs tracked in `runs` spent in training steps."""
    return sum(lap.images / lap.throughput for lap in laps(runs))


def ours(plan: Plan) -> Case:
    say(f"raygan tune: {plan.trials} trials")
    search = ["--search", "random", "--scheduler", "none", "--finalists", "0", "--vary", f"{FIELD}={LOW}:{HIGH}:log"]
    search += ["--trials", str(plan.trials), "--concurrent", str(CORES)]
    wall = raygan(plan, "search", "tune", *search)
    return Case("raygan tune", "", wall, training_seconds(plan.folder / "search"))


def shell(plan: Plan, cores: int) -> Case:
    say(f"shell: one trial on {cores} core(s)")
    name = f"shell-{cores}"
    wall = raygan(plan, name, "train", "--cpus-per-worker", str(cores))
    training = training_seconds(plan.folder / name) * cores
    return Case(f"shell, {cores} core(s)", f"vs_shell_{cores}", wall * plan.trials, training * plan.trials)


def plain(plan: Plan) -> Case:
    say(f"plain Ray Tune: {plan.trials} trials")
    runs = plan.folder / "plain"
    training_seconds(runs)  # makes the tracking store, over which trials that begin together would fall
    wall = timed(plan, [__file__, "--plain", str(plan.folder), "--shards", plan.shards, "--trials", str(plan.trials)])
    return Case("plain Ray Tune", "vs_naive_tune", wall, training_seconds(runs))


def plain_tune(config: Config, shards: str, runs: Path, trials: int) -> None:
    """Ray Tune around Ray Train as its documentation shows it."""
    from raygan.jobs.cluster.connect import cluster

    with cluster(CORES):
        from ray import tune

        def trial(values: dict[str, float]) -> None:
            from raygan.pipeline.launch import recording
            from raygan.pipeline.launch.plan import plan
            from raygan.pipeline.launch.trainer import fit
            from raygan.pipeline.training.runs import Run
            from raygan.pipeline.tuning.space import overlay

            own = overlay(config, values)
            launch = resolved(Launch(shards=shards, runs=str(runs), name=tune.get_context().get_trial_id()), "plain")
            manifest = plan(own, launch).data.manifest
            uri, run_id = recording.begin(own, launch, manifest, "plain")
            fit(Run(config=own, launch=launch, data=manifest.digest, tracking=uri, run_id=run_id), None)

        tuner = tune.Tuner(
            tune.with_resources(trial, tune.PlacementGroupFactory([{"memory": 3e8}])),
            param_space={FIELD: tune.loguniform(LOW, HIGH)},
            tune_config=tune.TuneConfig(num_samples=trials, max_concurrent_trials=CORES, reuse_actors=False),
            run_config=tune.RunConfig(storage_path=str(runs / "ray"), verbose=0),
        )
        if errors := tuner.fit().errors:
            raise errors[0]


def seconds_per_simulated_trial(plan: Plan, trials: int) -> float:
    """Between the first trial's end and the last's, in a search on the cluster that this process is connected to."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    from raygan.pipeline.launch.plan import plan as plan_of_a_run
    from raygan.pipeline.tuning import search as searches
    from raygan.pipeline.tuning import tune
    from raygan.pipeline.tuning.search import Options
    from raygan.pipeline.tuning.space import default

    say(f"a search of {trials} simulated trials")
    tune.run_trial = simulated_trial
    config = smoke().model_copy(update={"images": SIMULATED[-1]})
    launch = resolved(Launch(shards=plan.shards, runs=str(plan.folder / "simulated"), name=f"of-{trials}"), "")
    options = Options(trials=trials, finalists=0, first_rung=SIMULATED[0], concurrent=CORES)
    search = searches.plan(config, launch, default(config), options, plan_of_a_run(config, launch).data.manifest.digest)
    tune.search_all(search, show=lambda coordinator: None, say=lambda words: None, command="")
    study = optuna.load_study(study_name="search", storage=JournalStorage(JournalFileBackend(str(search.journal))))
    ends = [trial.datetime_complete.timestamp() for trial in study.trials if trial.datetime_complete]
    return (max(ends) - min(ends)) / (trials - 1)


def simulated_trial(given: dict[str, Any], *, folder: str, score: Score, monitor: Any) -> Ended:
    """In place of trial.run_trial."""
    report, reports = Report(given["name"], score, monitor), iter(SIMULATED)
    wanted = report.wanted()
    while wanted and (position := next(reports, None)):
        wanted = not report(Event(position, {"score/kid": random.random()}))
    return Ended(ended="finished" if position is None else "stopped", reason="")


def overhead(plan: Plan) -> tuple[float, float]:
    """Seconds per simulated trial in a search of 8 and of 64."""
    from raygan.jobs.cluster.connect import cluster

    with cluster(CORES):
        return seconds_per_simulated_trial(plan, 8), seconds_per_simulated_trial(plan, 64)


def drawn(folder: Path) -> str:
    from raygan.sharding.convert import convert
    from raygan.sharding.options import ShardingOptions
    from raygan.sharding.synthetic import synthesize

    say("drawing faces")
    synthesize(folder / "faces", 500)
    convert(str(folder / "faces"), str(folder / "shards"), ShardingOptions(samples_per_shard=250))
    return str(folder / "shards")


def say(words: str) -> None:
    print(f"-- {words}", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", help="a data set of 64 pixels; without one, faces are drawn")
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=60, help="of training per trial, more or less")
    parser.add_argument("--width", type=int, default=24, help="of both networks")
    parser.add_argument("--only", choices=["ours"], help="leave the peers and the simulation out")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--plain", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.plain:
        config = from_file(arguments.plain / "config.yaml")
        plain_tune(config, arguments.shards, arguments.plain / "plain", arguments.trials)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["RAYGAN_CACHE"] = str(folder / "cache")
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        shards = str(Path(arguments.shards or drawn(folder)).resolve())
        plan = Plan(folder, shards, arguments.trials, longest=300 + 4 * arguments.trials * arguments.seconds)
        calibrate(plan, arguments.seconds, arguments.width)
        cases = [ours(plan)]
        if not arguments.only:
            cases += [plain(plan), shell(plan, 1), shell(plan, CORES)]
        table(cases, arguments.trials)
        result = {"core_seconds_in_training": round(cases[0].share, 3)}
        result |= {"seconds_per_trial": round(cases[0].training / arguments.trials, 1)}
        result |= {case.key: round(case.wall / cases[0].wall, 3) for case in cases[1:]}
        if not arguments.only:
            few, many = overhead(plan)
            print(f"\nper simulated trial: {few:.2f} s of 8, {many:.2f} s of 64 ({many / few:.2f})")
            result |= {"overhead_64_vs_8": round(many / few, 2)}
    if arguments.json:
        print(json.dumps(result))


def table(cases: list[Case], trials: int) -> None:
    print(f"{trials} trials of {cases[0].training / trials:.0f} s in training, on {CORES} cores\n")
    print(f"{'':18}{'wall, s':>10}{'trials/hour':>13}{'core-seconds in training':>26}{'raygan tune is faster':>23}")
    for case in cases:
        hourly, times = trials * 3600 / case.wall, case.wall / cases[0].wall
        print(f"{case.name:18}{case.wall:10.0f}{hourly:13.0f}{case.share:26.2f}{times:22.2f}x")


if __name__ == "__main__":
    main()
