"""The settings of a conversion."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from raygan.sharding.format.manifest import Crop, Encoding, Resize


class ShardingOptions(BaseModel):
    """How a source becomes shards."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int = Field(default=64, ge=32, le=256, description="height and width of the stored images in pixels")
    crop: Crop = Field(
        default=178, description="side of the centre crop in source pixels, or none for the whole image squeezed"
    )
    resize: Resize = Field(default="bicubic", description="antialiased filter")
    upscale: bool = Field(
        default=False, description="take images smaller than the crop, enlarged, instead of rejecting them"
    )
    encoding: Encoding = Field(default="npy", description="how an image is stored; npy reads fastest, jpg is smallest")
    samples_per_shard: int = Field(default=1024, ge=1, description="images per shard, at most")
    lanes: int = Field(
        default=1, ge=1, description="equal stretches of a split, each read by some of the nodes only (object stores)"
    )
    split: Literal["all", "train", "valid", "test"] = Field(default="all", description="the split to convert")
    limit: int | None = Field(
        default=None, ge=1, description="convert at most this many images, taken from the splits in proportion"
    )
    seed: int = Field(
        default=0, ge=0, description="seed of the write order, and of the splits where none are published"
    )
    held_out: float = Field(
        default=0.1, ge=0, le=0.4, description="fraction for valid, and for test, where none are published"
    )
    max_rejects: int = Field(default=0, ge=0, description="unusable images to leave out before giving up")

    def identity(self) -> dict[str, Any]:
        """The options that the bytes of the shards depend on."""
        return self.model_dump(mode="json", exclude={"max_rejects"})
