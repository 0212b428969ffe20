"""What all settings share."""

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
