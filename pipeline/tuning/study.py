"""What was asked of a search's trials and what came of it: an Optuna study in a journal on disk.

The study samples the next values, remembers which trials reached which rung, and outlives every process: whatever was
written when the search was killed is there when it goes on, and a trial that had not ended is handed out again.
"""

import json
import logging
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

# To the sampler a failed trial is one that was stopped early: a region to stay away from. Optuna's FAIL says nothing.
STATES = {"finished": TrialState.COMPLETE, "stopped": TrialState.PRUNED, "failed": TrialState.PRUNED}

optuna.logging.set_verbosity(logging.WARNING)


class TrialRecord(NamedTuple):
    """One trial. Scores are by position (images), lower is better; cost is in seconds of its CPU cores or GPUs."""

    number: int
    values: Values
    state: State
    scores: dict[int, float]
    cost: float
    reason: str  # why it failed or was stopped

    @property
    def position(self) -> int:
        """Of the last score."""
        return max(self.scores, default=0)

    @property
    def score(self) -> float | None:
        return self.scores.get(self.position)


class Study:
    """The trials of one phase of a search. One process at a time writes it."""

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
        """`costs`: the sampler minimises score and cost together, and no trial is stopped."""
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
        """Trials to be handed out before any that is sampled; those that are there already are left out."""
        for point in points:
            self._optuna.enqueue_trial(_encoded(point, self._distributions), skip_if_exists=True)

    @property
    def running(self) -> bool:
        """Whether a trial that was handed out has not ended."""
        return any(trial.state == TrialState.RUNNING for trial in self._trials())

    def next(self) -> TrialRecord | None:
        """A trial to run: one that an earlier process left unfinished, or a new one; None once all are handed out."""
        if self._unfinished:
            return self[self._unfinished.pop(0)]
        asked = len(self.records())
        if asked >= self.count:
            return None
        # A sampler per trial, so that a search which is resumed does not draw its first points again.
        self._optuna.sampler = _sampler(self._sampler, self._seed + asked)
        return self[self._optuna.ask(self._distributions).number]

    def report(self, number: int, position: int, score: float, cost: float) -> bool:
        """Notes a score; returns whether the trial should stop. A trial that repeats a position is not heard again."""
        record, trial = self[number], self._trial(number)
        trial.set_user_attr("cost", cost)
        if position in record.scores:
            return False
        trial.set_user_attr("scores", [*record.scores.items(), (position, score)])
        if self._costs:
            return False
        trial.report(score, position)
        if unwanted := bool(trial.should_prune()):
            # Noted at once, should we be killed before it ends.
            trial.set_user_attr("unwanted", f"{score:.4g} at {position:,} images was not among the best of its rung")
        return unwanted

    def end(self, number: int, state: Literal["finished", "stopped", "failed"], reason: str = "") -> None:
        """`reason`: of a failure; that of a stop is known."""
        trial, record = self._trial(number), self[number]
        trial.set_user_attr("state", state)
        trial.set_user_attr("reason", trial.user_attrs.get("unwanted", "") if state == "stopped" else reason)
        values = [record.score or 0.0, record.cost][: 1 + self._costs] if state == "finished" else None
        self._optuna.tell(trial, values, state=STATES[state])

    def records(self) -> list[TrialRecord]:
        """All trials that were handed out."""
        return [self._record(trial) for trial in self._trials() if trial.state != TrialState.WAITING]

    def __getitem__(self, number: int) -> TrialRecord:
        return self._record(self._trials()[number])

    def _trial(self, number: int) -> optuna.trial.Trial:
        return optuna.trial.Trial(self._optuna, self._storage.get_trial_id_from_study_id_trial_number(self._id, number))

    def _trials(self) -> Sequence[FrozenTrial]:
        return self._optuna.get_trials(deepcopy=False)

    def _record(self, trial: FrozenTrial) -> TrialRecord:
        facts = trial.user_attrs
        return TrialRecord(
            trial.number,
            _decoded(trial.params, self._distributions),
            facts["state"] if trial.state.is_finished() else "running",
            dict(map(tuple, facts.get("scores", []))),
            facts.get("cost", 0.0),
            facts.get("reason", ""),
        )


def distributions(space: Space, base: Config) -> dict[str, BaseDistribution]:
    """The space in Optuna's terms. It takes no lists as choices, so choices are JSON."""
    found: dict[str, BaseDistribution] = {}
    for field, dimension in space.items():
        if isinstance(dimension, Choice):
            found[field] = CategoricalDistribution([json.dumps(value) for value in dimension.values])
        elif is_whole(base, field):
            found[field] = IntDistribution(int(dimension.low), int(dimension.high), log=dimension.log)
        else:
            found[field] = FloatDistribution(dimension.low, dimension.high, log=dimension.log)
    return found


def importances(records: Sequence[TrialRecord], space: dict[str, BaseDistribution]) -> tuple[int, dict[str, float]]:
    """How much of the scores' variance each field explains (fANOVA, Hutter et al., ICML 2014), and at which position.

    It looks where most trials have a score, since those that were stopped have none at the end. With fewer than
    three trials, or with equal scores, there is nothing to explain: no field is named.
    """
    counts: dict[int, int] = {}
    for record in records:
        for position in record.scores:
            counts[position] = counts.get(position, 0) + 1
    if not counts:
        return 0, {}
    position = max(counts, key=lambda at: (counts[at], at))
    seen = [record for record in records if position in record.scores]
    if len({record.scores[position] for record in seen}) < 3:
        return position, {}
    study = optuna.create_study()
    for record in seen:
        study.add_trial(
            optuna.trial.create_trial(
                params=_encoded(record.values, space), distributions=space, value=record.scores[position]
            )
        )
    evaluator = optuna.importance.FanovaImportanceEvaluator(n_trees=32, seed=0)
    found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return position, {field: float(share) for field, share in found.items()}


def _sampler(kind: Literal["optuna", "random"], seed: int) -> optuna.samplers.BaseSampler:
    if kind == "random":
        return optuna.samplers.RandomSampler(seed)
    # The constant liar keeps trials that run side by side apart.
    return optuna.samplers.TPESampler(seed=seed, constant_liar=True)


def _encoded(values: Values, space: dict[str, BaseDistribution]) -> Values:
    return {
        field: json.dumps(value) if isinstance(space[field], CategoricalDistribution) else value
        for field, value in values.items()
    }


def _decoded(values: dict[str, Any], space: dict[str, BaseDistribution]) -> Values:
    return {
        field: _tuple(json.loads(value)) if isinstance(space[field], CategoricalDistribution) else value
        for field, value in values.items()
    }


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
