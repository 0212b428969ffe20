"""What all settings share."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, BeforeValidator, ConfigDict


class Settings(BaseModel):
    """Settings of one part: immutable, and strict about names that do not exist."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _at_commas(value: Any) -> Any:
    """On a command line a list is typed as one word: Smiling,Male."""
    words = [value] if isinstance(value, str) else value
    return [part for word in words for part in word.split(",") if part]


AtCommas = BeforeValidator(_at_commas)


def dotted(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested settings as (dotted name, value), in their order."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from dotted(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
