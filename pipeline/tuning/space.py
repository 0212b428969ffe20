"""What a search varies: fields of the Config, each over a range or a choice, within the bounds of the Config."""

import contextlib
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, TypeAlias

import yaml
from pydantic import BeforeValidator, Field, ValidationError

from raygan.pipeline.config import PRESETS, Config, Launch, Settings
from raygan.pipeline.launch.plan import check_sharing
from raygan.sharding.errors import UserError

# What makes two trials comparable stays the same in all of them.
NOT_VARIED = ("preset", "seed", "images", "log_every", "evaluation", "checkpoints")

Values: TypeAlias = dict[str, Any]  # by dotted field of the Config


class Range(Settings):
    """All numbers from `low` to `high`; whole numbers if the field is one. `log`: every decade is as likely."""

    low: float
    high: float
    log: bool = False

    def ends(self) -> tuple[Any, ...]:
        """The lowest and the highest value."""
        return self.low, self.high

    def holds(self, value: Any) -> bool:
        """Whether the value is one of the range."""
        return isinstance(value, int | float) and self.low <= value <= self.high

    def grid(self, steps: int, whole: bool) -> list[Any]:
        """`steps` values with equal distances, or ratios if `log`; the middle if it is one. `whole`: rounded."""
        if steps == 1:
            ends = [math.sqrt(self.low * self.high) if self.log else (self.low + self.high) / 2]
        else:
            shares = [step / (steps - 1) for step in range(steps)]
            ends = [
                self.low * (self.high / self.low) ** share if self.log else self.low + (self.high - self.low) * share
                for share in shares
            ]
        return sorted({round(value) for value in ends}) if whole else [float(f"{value:.6g}") for value in ends]


def _frozen(value: Any) -> Any:
    """Lists, as files give them, in the Config's terms."""
    return tuple(value) if isinstance(value, list) else value


class Choice(Settings):
    """A choice of one of these values."""

    values: tuple[Annotated[Any, BeforeValidator(_frozen)], ...] = Field(min_length=1)

    def ends(self) -> tuple[Any, ...]:
        """All values."""
        return self.values

    def holds(self, value: Any) -> bool:
        """Whether the value is one of these."""
        return value in self.values

    def grid(self, steps: int, whole: bool) -> list[Any]:
        """All values."""
        return list(self.values)


Dimension: TypeAlias = Range | Choice
Space: TypeAlias = dict[str, Dimension]


def default(config: Config) -> Space:
    """What is searched where nothing else is asked for: what the objective proposes."""
    return parse(config.objective.search_space)


def parse(fields: Mapping[str, Any]) -> Space:
    """A space from a file: {field: {low, high, log}} or {field: [value, ...]}; or as text, as on the command line.

    Raises UserError.
    """
    return {field: _dimension(field, given) for field, given in fields.items()}


def _dimension(field: str, given: Any) -> Dimension:
    try:
        if isinstance(given, str):
            given = _from_text(given)
        return Range.model_validate(given) if isinstance(given, Mapping) else Choice(values=tuple(given))
    except (TypeError, ValueError, yaml.YAMLError) as e:
        raise UserError(
            f"`vary` {field}={given}: give a range LOW:HIGH or LOW:HIGH:log, or values with commas between them"
        ) from e


def _from_text(text: str) -> Any:
    """`0.5:5:log` is a range, `bce,hinge` and `[0,0.9],[0.5,0.999]` are choices."""
    low, colon, rest = text.partition(":")
    if not colon:
        # YAML reads 1e-4, without a dot, as text.
        return [_number(value) for value in yaml.safe_load(f"[{text}]")]
    high, _, scale = rest.partition(":")
    if scale not in ("", "log"):
        raise ValueError(scale)
    return {"low": float(low), "high": float(high), "log": scale == "log"}


def _number(value: Any) -> Any:
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def check(space: Space, base: Config, launch: Launch) -> None:
    """Raises UserError for a field that does not exist or must not vary, and for values that no trial can have."""
    if not space:
        raise UserError("`vary`: the search has nothing to vary; name a field, as in `vary` balance=0.5:5:log")
    for field, dimension in space.items():
        if field.partition(".")[0] in NOT_VARIED:
            raise UserError(f"`vary` {field}: it is the same in all trials, which could not be compared otherwise")
        if isinstance(dimension, Range) and (dimension.low >= dimension.high or (dimension.log and dimension.low <= 0)):
            raise UserError(f"`vary` {field}={dimension.low:g}:{dimension.high:g}: this range holds no value")
    ends = {
        field: [int(value) if is_whole(base, field) else value for value in dimension.ends()]
        for field, dimension in space.items()
    }
    for field, values in ends.items():
        for value in values:
            beside = {other: ends[other] for other in ends if other != field}
            _refuse_unless_possible(base, launch, field, value, beside)


def _refuse_unless_possible(
    base: Config, launch: Launch, field: str, value: Any, others: Mapping[str, list[Any]]
) -> None:
    """Raises UserError for a value that is refused with every combination of the other fields' ends."""
    try:
        check_sharing(overlay(base, {field: value}), launch)
    except UserError:
        for beside in itertools.product(*others.values()):
            with contextlib.suppress(UserError):
                check_sharing(overlay(base, {field: value, **dict(zip(others, beside, strict=True))}), launch)
                return
        raise


def overlay(base: Config, values: Mapping[str, Any]) -> Config:
    """`base` with other values in some fields, validated. Raises UserError."""
    try:
        return base.with_settings(values)
    except KeyError as e:
        raise UserError(f"`vary` {e.args[0]}: there is no such setting (raygan train `help` lists them)") from e
    except ValidationError as e:
        said = ", ".join(f"{field}={value}" for field, value in values.items())
        raise UserError(f"`vary` {said}: {e.errors()[0]['msg'].removeprefix('Value error, ')}") from e


def value_of(config: Config, field: str) -> Any:
    """The value of a dotted field. Raises UserError if there is none."""
    try:
        return config.dotted()[field]
    except KeyError as e:
        raise UserError(f"`vary` {field}: there is no such setting (raygan train `help` lists them)") from e


def is_whole(base: Config, field: str) -> bool:
    """Whether a field takes whole numbers. Raises UserError if there is no such field."""
    return isinstance(value_of(base, field), int)


def known_points(space: Space, base: Config) -> list[Values]:
    """What is known to work, as far as it lies in the space: the base configuration's values, then the presets'."""
    points: list[Values] = []
    for config in (base, *(preset() for preset in PRESETS.values())):
        settings = config.dotted()
        if config.objective.kind != base.objective.kind or not space.keys() <= settings.keys():
            continue
        point = {field: settings[field] for field in space}
        if point not in points and all(space[field].holds(value) for field, value in point.items()):
            points.append(point)
    return points


def grid_points(space: Space, base: Config, steps: int) -> list[Values]:
    """The points of a grid: every combination of `steps` values per range and of all choices."""
    axes: Sequence[list[Any]] = [dimension.grid(steps, is_whole(base, field)) for field, dimension in space.items()]
    return [dict(zip(space, values, strict=True)) for values in itertools.product(*axes)]


def words(space: Space) -> Iterator[str]:
    """The space in the form that `parse` takes, FIELD=TEXT for each field."""
    for field, dimension in space.items():
        if isinstance(dimension, Range):
            yield f"{field}={dimension.low:g}:{dimension.high:g}" + (":log" if dimension.log else "")
        else:
            yield f"{field}={','.join(str(list(v) if isinstance(v, tuple) else v) for v in dimension.values)}"


def short(value: Any) -> str:
    """A value as tables show it, with three digits."""
    if isinstance(value, tuple):
        return "/".join(map(short, value))
    return f"{value:.3g}" if isinstance(value, float) else str(value)
