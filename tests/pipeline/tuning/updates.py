"""Every update that a trial's optimizers make, with what they held just before it: noted in the worker itself.

Kept apart from searches.py, since a worker imports it.
"""

import json
import time
from pathlib import Path
from typing import Any, NamedTuple


class Update(NamedTuple):
    network: str
    learning_rate: float
    betas: tuple[float, float]


def noted_trial(given: dict[str, Any], **told: Any) -> Any:
    """In place of trial.run_trial: the same, with a hook of torch's before each step of each optimizer."""
    from torch.optim.optimizer import register_optimizer_step_pre_hook

    from raygan.pipeline.tuning.trial import run_trial

    begun: list[int] = []  # the discriminator is the first to be updated

    with (Path(told["folder"]) / given["name"] / f"updates-{time.time_ns()}").open("w", buffering=1) as file:

        def note(optimizer: Any, *_: Any) -> None:
            if id(optimizer) not in begun:
                begun.append(id(optimizer))
            network = ("discriminator", "generator")[begun.index(id(optimizer))]
            (group,) = optimizer.param_groups
            file.write(json.dumps([network, group["lr"], group["betas"]]) + "\n")

        hook = register_optimizer_step_pre_hook(note)
        try:
            return run_trial(given, **told)
        finally:
            hook.remove()


def attempts(run_folder: Path) -> list[list[Update]]:
    """The updates of each attempt at a trial, in their order."""
    files = sorted(run_folder.glob("updates-*"), key=lambda file: int(file.name.removeprefix("updates-")))
    lines = [map(json.loads, file.read_text().splitlines()) for file in files]
    return [[Update(network, rate, tuple(betas)) for network, rate, betas in some] for some in lines]
