"""Why workers failed, in one line: Ray's own message is a traceback, and a killed process says nothing."""

from collections.abc import Sequence

from raygan.pipeline.launch.monitor import Worker
from raygan.pipeline.training.runs import Run
from raygan.sharding.errors import RunError, UserError
from raygan.sharding.format.manifest import Manifest
from raygan.sharding.storage.folder import Folder

# In errors of workers that lost another worker, or waited for it in vain: a consequence, not the cause.
CONSEQUENCES = ("timed out", "timeout", "connection closed", "connection reset", "connection refused", "broken pipe")


def cause(error: BaseException, run: Run, present: Sequence[Worker], silent: Sequence[Worker]) -> str:
    """The error of the rank that failed first, as far as it can be known.

    `present`: the workers that did not leave by themselves; `silent`: those of them without a recent heartbeat.
    """
    failures = getattr(error, "worker_failures", {})
    if not failures:
        failure = getattr(error, "controller_failure", error)
        return "Ray Train's controller died without an error message" if _died(failure) else repr(failure)
    own = {rank: getattr(failure, "cause", failure) for rank, failure in sorted(failures.items())}
    reported = {rank: _one_line(failure) for rank, failure in own.items() if isinstance(failure, RunError | UserError)}
    if reported:
        return _first(reported)
    if silent:
        names = ", ".join(map(str, silent))
        return f"{names} no longer answered: stopped, hung, or cut off (workers wait {run.launch.timeout} s: `timeout`)"
    if dead := [rank for rank, failure in own.items() if _died(failure)]:
        who = next((str(worker) for worker in present if worker.rank == dead[0]), f"rank {dead[0]}")
        return f"{who} died without an error message: {_what_kills(run)}"
    first = {rank: repr(failure) for rank, failure in own.items() if not _consequence(failure)}
    return _first(first or {rank: repr(failure) for rank, failure in own.items()})


def _first(reported: dict[int, str]) -> str:
    rank = min(reported)
    return f"rank {rank}: {reported[rank]}"


def _one_line(failure: BaseException) -> str:
    return " ".join(str(failure).split())


def _consequence(failure: BaseException) -> bool:
    return any(mark in _one_line(failure).lower() for mark in CONSEQUENCES)


def _died(failure: BaseException) -> bool:
    """Whether Ray says that the process went away, rather than that its code raised."""
    names = {cls.__name__ for cls in type(failure).__mro__}
    return bool(names & {"RayActorError", "WorkerHealthCheckFailedError", "NodeDiedError"})


def _what_kills(run: Run) -> str:
    from raygan.pipeline.data.shards import (
        check_lengths,  # imports torch, which a driver does not need to refuse what cannot run
    )

    where = Folder(run.launch.shards).local
    if where is not None:
        try:
            manifest = Manifest.load(where)
            for split in {"train", run.config.evaluation.split}:
                check_lengths(where, manifest.shards_of(split))
        except (RunError, UserError) as e:
            return str(e)  # a memory map answers with SIGBUS for the end that a shard has lost
    return "a signal such as SIGKILL, often because memory ran out; the node's kernel log (dmesg) names it"
