"""The trials of a search and their scores: an Optuna study in a journal file on disk.

The study proposes the next values and decides at rungs which trials stop. It outlives every process: whatever was
written when a search was killed is there when it is resumed, and a trial that had not ended is handed out again.

Three things are called a trial's: Optuna's own `FrozenTrial` and `Trial`, which stay in this file; `TrialRecord`, the
copy that the rest of the search works with; and `coordinator.TrialStatus`, which is shown to the user.
"""

import json
import logging
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from raygan.pipeline.config import Config
from raygan.pipeline.tuning.search import Rungs
from raygan.pipeline.tuning.space import Choice, Space, Values, is_whole

State: TypeAlias = Literal["running", "finished", "stopped", "failed"]

# A failed trial is pruned for Optuna's sampler, which then avoids the region. Trials in Optuna's own state FAIL are
# ignored by it.
STATES = {"finished": TrialState.COMPLETE, "stopped": TrialState.PRUNED, "failed": TrialState.PRUNED}

optuna.logging.set_verbosity(logging.WARNING)


class TrialRecord(NamedTuple):
    """A trial as the study has it. `scores` by position (images), lower is better; `cost` in core- or GPU-seconds."""

    number: int
    values: Values
    state: State
    scores: dict[int, float]
    cost: float
    reason: str  # why it failed or was stopped

    @property
    def position(self) -> int:
        """Images shown at the last score; 0 without a score."""
        return max(self.scores, default=0)

    @property
    def score(self) -> float | None:
        """The last score."""
        return self.scores.get(self.position)


class Study:
    """The trials of one phase of a search, around the `optuna.Study` of that name. Only one process may write it."""

    def __init__(
        self,
        journal: Path,
        phase: str,
        distributions: dict[str, BaseDistribution],
        count: int,
        *,
        sampler: Literal["optuna", "random"] = "random",
        seed: int = 0,
        rungs: Rungs | None = None,
        costs: bool = False,
    ) -> None:
        """Opens the phase's study in `journal`, or begins it.

        phase: name of the Optuna study. distributions: of the values, by field. count: trials to hand out in all.
        sampler: `optuna` is TPE. rungs: where trials are compared and stopped; None stops none. costs: score and cost
        are minimised together, and no trial is stopped.
        """
        self._distributions, self.count, self._sampler, self._seed = distributions, count, sampler, seed
        self._storage = JournalStorage(JournalFileBackend(str(journal)))
        self._optuna = optuna.create_study(
            study_name=phase,
            storage=self._storage,
            pruner=optuna.pruners.SuccessiveHalvingPruner(rungs.first, rungs.reduction)
            if rungs
            else optuna.pruners.NopPruner(),
            directions=["minimize"] * (1 + costs),
            load_if_exists=True,
        )
        self._id = self._storage.get_study_id_from_name(phase)
        self._costs = costs
        for trial in self._trials():
            if trial.state == TrialState.RUNNING and "unwanted" in trial.user_attrs:
                self.end(trial.number, "stopped")
        self._unfinished = [record.number for record in self.records() if record.state == "running"]

    def enqueue(self, points: Iterable[Values]) -> None:
        """Adds trials that are handed out before any is sampled, except those that the study has already."""
        for point in points:
            self._optuna.enqueue_trial(_encoded(point, self._distributions), skip_if_exists=True)

    @property
    def running(self) -> bool:
        """Whether a trial that was handed out has not ended."""
        return any(trial.state == TrialState.RUNNING for trial in self._trials())

    def next_trial(self) -> TrialRecord | None:
        """A trial to run: one that an earlier process left unfinished, else a new one; None once all are handed out."""
        if self._unfinished:
            return self[self._unfinished.pop(0)]
        asked = len(self.records())
        if asked >= self.count:
            return None
        # A new sampler, with a new seed, for each trial: a resumed search must not draw its first points again.
        self._optuna.sampler = _sampler(self._sampler, self._seed + asked)
        return self[self._optuna.ask(self._distributions).number]

    def report(self, number: int, position: int, score: float, cost: float) -> bool:
        """Adds a score; returns whether the trial should stop. A second score at the same position is ignored."""
        record, trial = self[number], self._trial(number)
        trial.set_user_attr("cost", cost)
        if position in record.scores:
            return False
        trial.set_user_attr("scores", [*record.scores.items(), (position, score)])
        if self._costs:
            return False
        trial.report(score, position)
        if stop := bool(trial.should_prune()):
            # Written now, in case this process is killed before the trial has ended.
            trial.set_user_attr("unwanted", f"{score:.4g} at {position:,} images was not among the best of its rung")
        return stop

    def end(self, number: int, state: Literal["finished", "stopped", "failed"], reason: str = "") -> None:
        """Ends a trial. `reason`: why it failed; for a stopped trial the study has it already."""
        trial, record = self._trial(number), self[number]
        trial.set_user_attr("state", state)
        trial.set_user_attr("reason", trial.user_attrs.get("unwanted", "") if state == "stopped" else reason)
        values = [record.score or 0.0, record.cost][: 1 + self._costs] if state == "finished" else None
        self._optuna.tell(trial, values, state=STATES[state])

    def records(self) -> list[TrialRecord]:
        """All trials that were handed out, by number."""
        return [self._record(trial) for trial in self._trials() if trial.state != TrialState.WAITING]

    def __getitem__(self, number: int) -> TrialRecord:
        return self._record(self._trials()[number])

    def _trial(self, number: int) -> optuna.trial.Trial:
        return optuna.trial.Trial(self._optuna, self._storage.get_trial_id_from_study_id_trial_number(self._id, number))

    def _trials(self) -> Sequence[FrozenTrial]:
        return self._optuna.get_trials(deepcopy=False)

    def _record(self, trial: FrozenTrial) -> TrialRecord:
        stored = trial.user_attrs
        return TrialRecord(
            trial.number,
            _decoded(trial.params, self._distributions),
            stored["state"] if trial.state.is_finished() else "running",
            dict(map(tuple, stored.get("scores", []))),
            stored.get("cost", 0.0),
            stored.get("reason", ""),
        )


def distributions_of(space: Space, base: Config) -> dict[str, BaseDistribution]:
    """The space in Optuna's terms. Optuna takes no lists as choices, so choices are JSON."""
    found: dict[str, BaseDistribution] = {}
    for field, dimension in space.items():
        if isinstance(dimension, Choice):
            found[field] = CategoricalDistribution([json.dumps(value) for value in dimension.values])
        elif is_whole(base, field):
            found[field] = IntDistribution(int(dimension.low), int(dimension.high), log=dimension.log)
        else:
            found[field] = FloatDistribution(dimension.low, dimension.high, log=dimension.log)
    return found


class Completed(NamedTuple):
    """A trial for a study that is analysed or plotted: `objectives` are minimised; `stopped` takes it off the front."""

    values: Values
    objectives: tuple[float, ...]
    stopped: bool = False


def completed_study(
    trials: Iterable[Completed], distributions: dict[str, BaseDistribution], objectives: int
) -> optuna.Study:
    """A study in memory, for Optuna's importances and plots. Trials with an infinite or NaN objective are left out.

    A stopped trial violates a constraint, as Optuna calls it: it is drawn, but no other is compared with it.
    """
    study = optuna.create_study(directions=["minimize"] * objectives)
    for trial in trials:
        if all(map(math.isfinite, trial.objectives)):
            study.add_trial(
                optuna.trial.create_trial(
                    params=_encoded(trial.values, distributions),
                    distributions=distributions,
                    values=trial.objectives,
                    constraints={"stopped": float(trial.stopped)},
                )
            )
    return study


def _sampler(kind: Literal["optuna", "random"], seed: int) -> optuna.samplers.BaseSampler:
    if kind == "random":
        return optuna.samplers.RandomSampler(seed)
    # The constant liar keeps trials that run at the same time from trying the same values.
    return optuna.samplers.TPESampler(seed=seed, constant_liar=True)


def _encoded(values: Values, distributions: dict[str, BaseDistribution]) -> Values:
    return {
        field: json.dumps(value) if isinstance(distributions[field], CategoricalDistribution) else value
        for field, value in values.items()
    }


def _decoded(values: dict[str, Any], distributions: dict[str, BaseDistribution]) -> Values:
    return {
        field: _tuple(json.loads(value)) if isinstance(distributions[field], CategoricalDistribution) else value
        for field, value in values.items()
    }


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
