from typing import ClassVar

from raygan.pipeline.distributed import OthersFailedError
from raygan.pipeline.launch.evaluate import cause
from raygan.sharding.errors import UserError


def test_the_error_of_one_worker_is_reported_and_not_that_the_others_could_not_continue() -> None:
    class FailedError(Exception):
        worker_failures: ClassVar = {0: OthersFailedError("1 of 2"), 1: UserError("b.png: not a readable image")}

    assert str(cause(FailedError())) == "b.png: not a readable image"
    del FailedError.worker_failures[1]
    assert str(cause(FailedError())) == "1 of 2"
    assert str(cause(ValueError("no memory"))) == "the evaluation failed: ValueError('no memory')"
