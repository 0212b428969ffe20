"""Settings of evaluations."""

from typing import Any, Literal

from pydantic import Field, model_validator

from raygan.pipeline.config.base import Settings


class Evaluation(Settings):
    """When and how the generator is scored."""

    every: int = Field(50_000, gt=0, description="Images between evaluations: a face grid and the scores.")
    growth: int = Field(
        1, ge=1, description="Above 1, each evaluation comes at so many times the images of the one before."
    )
    count: int = Field(5_000, ge=2, description="Generated images scored at each evaluation.")
    final_count: int | None = Field(None, ge=2, description="Generated images scored at the end. [default: count]")
    background: bool = Field(
        False, description="Score with the resources of one more worker, while training continues; else training waits."
    )
    split: Literal["train", "valid", "test"] = Field("train", description="The real images they are compared with.")
    extractor: str = Field("randconv", description="What gives the features that are compared: randconv or inception.")

    @model_validator(mode="before")
    @classmethod
    def _place_of_older_files(cls, given: Any) -> Any:
        """Version 0.1 had place: workers or aside."""
        if not isinstance(given, dict) or given.get("place") not in ("workers", "aside"):
            return given
        others = {name: value for name, value in given.items() if name != "place"}
        return {"background": given["place"] == "aside"} | others

    def due(self, before: int, after: int) -> bool:
        """Whether an evaluation lies in (before, after], in images."""
        if self.growth == 1:
            return before // self.every != after // self.every
        at = self.every
        while at <= before:
            at *= self.growth
        return at <= after
