"""The objectives that a configuration can choose, and which of them is meant."""

import pkgutil
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Union

from pydantic import Discriminator, SerializeAsAny, Tag, ValidatorFunctionWrapHandler, WrapValidator
from pydantic_core import PydanticCustomError

from raygan.pipeline.config.adversarial import Adversarial
from raygan.pipeline.config.objective import ObjectiveSettings

OBJECTIVES: tuple[type[ObjectiveSettings], ...] = (Adversarial,)  # the first is the default

BY_KIND: Mapping[str, type[ObjectiveSettings]] = {found.model_fields["kind"].default: found for found in OBJECTIVES}
DEFAULT = next(iter(BY_KIND))
PLUG_IN = "plug-in"  # the tag of all that are chosen by import path


def settings_of(kind: str) -> type[ObjectiveSettings]:
    """The settings class of a kind: a built-in name, or MODULE:CLASS. Raises ValueError if there is none."""
    if kind in BY_KIND:
        return BY_KIND[kind]
    known = ", ".join(BY_KIND)
    if ":" not in kind:
        raise ValueError(f"there is no objective {kind!r}; there are {known}, and MODULE:CLASS for one of your own")
    try:
        found = pkgutil.resolve_name(kind)
    except (ImportError, AttributeError, ValueError) as e:
        raise ValueError(f"the objective {kind!r} cannot be imported ({e}); is its folder on PYTHONPATH?") from e
    if not (isinstance(found, type) and issubclass(found, ObjectiveSettings)):
        raise ValueError(f"the objective {kind!r} is no subclass of {ObjectiveSettings.__name__}")
    return found


def kind_of(value: Any) -> str:
    """What is meant by a kind, by settings, or by a mapping of them without a kind."""
    if isinstance(value, str):
        return value
    if isinstance(value, ObjectiveSettings):
        return value.kind
    return str(value.get("kind", DEFAULT)) if isinstance(value, Mapping) else DEFAULT


def written_names(settings: type[ObjectiveSettings]) -> list[str]:
    """The names under which people write the settings of an objective beside those of a run."""
    return [settings.prefix] if settings.prefix else [name for name in settings.model_fields if name != "kind"]


def owner_of(name: str) -> str | None:
    """The built-in objective that has a setting, or settings, of this name."""
    return next((kind for kind, settings in BY_KIND.items() if name in written_names(settings)), None)


def _tag_of(value: Any) -> str:
    kind = kind_of(value)
    return kind if kind in BY_KIND else PLUG_IN


def _named(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    """The kind alone stands for its defaults."""
    return handler({"kind": value} if isinstance(value, str) else value)


def _plug_in(value: Any, handler: ValidatorFunctionWrapHandler) -> ObjectiveSettings:
    try:
        settings = settings_of(kind_of(value))
    except ValueError as e:
        raise PydanticCustomError("objective", "{words}", {"words": str(e)}) from e
    if isinstance(value, settings):
        return value
    return settings.model_validate({"kind": value} if isinstance(value, str) else value)


if TYPE_CHECKING:
    AnyObjective = ObjectiveSettings
else:
    _built_in = [Annotated[found, WrapValidator(_named), Tag(kind)] for kind, found in BY_KIND.items()]
    _others = Annotated[SerializeAsAny[ObjectiveSettings], WrapValidator(_plug_in), Tag(PLUG_IN)]
    AnyObjective = Annotated[Union[*_built_in, _others], Discriminator(_tag_of)]
