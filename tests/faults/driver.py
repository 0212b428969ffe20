"""A driver of its own, to be killed: `python -m tests.faults.driver ADDRESS CONFIG LAUNCH [resume]`, as `raygan train`.

CONFIG and LAUNCH are JSON. Messages for the user go to stderr; the exit status is that of `raygan`.
"""

import logging
import os
import sys

import ray

from raygan.pipeline.config import Config, Launch
from raygan.pipeline.launch import trainer as training
from raygan.pipeline.launch.monitor import Event
from raygan.pipeline.launch.plan import plan
from raygan.sharding.errors import RunError, UserError
from tests.faults import steps


def say(event: Event) -> None:
    if event.message:
        print(event.message, file=sys.stderr, flush=True)


def main(address: str, config: str, launch: str, resume: bool) -> int:
    variables = {name: os.environ[name] for name in (steps.LOG, "FSSPEC_S3", "HOME") if name in os.environ}
    ray.init(address, log_to_driver=False, logging_level=logging.ERROR, runtime_env={"env_vars": variables})
    training.ray_worker = steps.logged_worker
    try:
        planned = plan(Config.model_validate_json(config), Launch.model_validate_json(launch), resume)
        training.train(planned, say)
        return 0
    except UserError as e:
        print(e, file=sys.stderr)
        return 2
    except RunError as e:
        print(e, file=sys.stderr)
        return 1
    except KeyboardInterrupt as e:
        print(e, file=sys.stderr)
        return 130


if __name__ == "__main__":
    _, address, config, launch, *rest = sys.argv
    sys.exit(main(address, config, launch, rest == ["resume"]))
