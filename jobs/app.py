"""The root of the `raygan` command, and the parameters that its subcommands share."""

from importlib.metadata import version
from typing import Annotated, Literal

from cyclopts import App, Parameter

from raygan.jobs.ui.progress import console
from raygan.pipeline.config import Weights

app = App(
    name="raygan",
    version=lambda: version("raygan"),
    help="From CelebA to a trained DCGAN: shards, distributed training on Ray, every run in MLflow.",
    help_epilogue="Try it on drawn faces, with nothing else at hand: raygan demo",
    help_format="plaintext",
    suppress_keyboard_interrupt=False,  # cli.py handles Ctrl-C
)

Runs = Annotated[str, Parameter(help="Folder of all runs, or its URL in an object store.")]
Which = Annotated[
    Literal["best", "newest"], Parameter(help="Which checkpoint of the run; best: the one with the lowest score.")
]
Drawing = Annotated[
    Weights, Parameter(name="--weights", help="Weights of the generator: their moving average, or the last.")
]
Device = Annotated[Literal["cpu", "cuda"], Parameter(help="Where the networks run.")]
Address = Annotated[
    str | None,
    Parameter(help="Address of the cluster's dashboard. [default: RAY_ADDRESS, else http://127.0.0.1:8265]"),
]
Split = Literal["train", "valid", "test"]
LAUNCH = Parameter(name="*", group="Where it runs", negative="")
SETTINGS = Parameter(name="*", group="What it trains", negative_iterable="")


def say(done: str, *next_commands: str) -> None:
    """Prints one line on what was done, and the commands that can follow."""
    console.print(done, soft_wrap=True)
    for command in next_commands:
        console.print(f"  next: {command}", soft_wrap=True)
