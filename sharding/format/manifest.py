"""The index of a data set: what its shards hold, where every sample is in them, and how they were made."""

import hashlib
import json
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from raygan.sharding.errors import UserError
from raygan.sharding.storage.folder import Folder

VERSION: Final = 1
NAME = "manifest.json"

Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = ("train", "valid", "test")
Crop = Annotated[int, Field(ge=1)] | Literal["none"]
Encoding = Literal["npy", "jpg", "png", "webp"]
Resize = Literal["bicubic", "bilinear", "lanczos", "area"]
Channels = tuple[float, float, float]
Sums = tuple[int, int, int]


class ShardEntry(BaseModel):
    """One shard. Either every sample takes `stride` bytes, or `offsets` and `lengths` say where its image lies."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="file name in the data set's folder")
    split: Split
    count: int = Field(ge=0, description="images")
    bytes: int = Field(ge=0, description="length of the file in bytes")
    sha256: str = Field(description="SHA-256 of the whole file, hexadecimal")
    stride: int | None = Field(
        default=None, description="bytes from one sample to the next; none where samples vary in size"
    )
    offsets: tuple[int, ...] | None = Field(default=None, description="first byte of each encoded image")
    lengths: tuple[int, ...] | None = Field(default=None, description="bytes of each encoded image")
    sums: Sums = Field(default=(0, 0, 0), description="sum of the pixel values of each channel")
    squares: Sums = Field(default=(0, 0, 0), description="sum of their squares")


class Manifest(BaseModel):
    """A data set: `manifest.json` in its folder. `digest` is the SHA-256 of everything else in here."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = VERSION
    digest: str = Field(description="names the data set: SHA-256 over all other fields")
    identity: str = Field(description="digest of the source and of the options that the bytes depend on")
    source: str = Field(description="digest of the source's keys, file sizes, splits and annotations")
    kind: str = Field(description="what the source was, in words")
    size: int = Field(ge=1, description="height and width of an image in pixels")
    crop: Crop = Field(description="side of the centre crop in source pixels; `none` squeezes the whole image")
    resize: Resize = Field(description="antialiased filter")
    encoding: Encoding = Field(description="how an image is stored")
    foreign: bool = Field(default=False, description="whether the shards were made elsewhere and only indexed")
    seed: int = Field(description="seed of the write-time permutation")
    lanes: int = Field(default=1, ge=1, description="equal stretches that the order of samples cuts each split into")
    attributes: tuple[str, ...] = Field(description="names of the 0/1 attributes, in the order of the source")
    numbers: dict[str, int] = Field(default_factory=dict, description="further whole numbers of a sample, and how many")
    key_width: int = Field(ge=1, description="characters of a key")
    mean: Channels | None = Field(description="mean of each channel over all splits, 0 to 255; none if foreign")
    deviation: Channels | None = Field(description="standard deviation of each channel, 0 to 255; none if foreign")
    rejects: int = Field(default=0, ge=0, description="images left out, listed in rejects.jsonl")
    shards: tuple[ShardEntry, ...]

    @classmethod
    def seal(cls, **fields: object) -> "Manifest":
        """A manifest of these fields with its own digest filled in."""
        unsealed = cls.model_validate({**fields, "digest": ""})
        return unsealed.model_copy(update={"digest": unsealed.expected_digest()})

    @classmethod
    def load(cls, folder: object) -> "Manifest":
        """Reads the manifest of the data set in `folder` (a path, or a URL that fsspec understands).

        Raises UserError if there is none, if it is not one, or if it was changed after it was written.
        """
        where = f"{folder}/{NAME}"
        try:
            text = Folder(str(folder)).read(NAME)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise UserError(
                f"{where}: no manifest there; make a data set with `raygan shard SOURCE {folder}`"
            ) from error
        except OSError as error:
            raise UserError(f"{where}: cannot be read ({error}); check the folder and the rights to it") from error
        try:
            manifest = cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(map(str, first["loc"])) or "the file"
            raise UserError(f"{where}: not a manifest of version {VERSION}: {field}: {first['msg']}") from error
        if manifest.digest != manifest.expected_digest():
            raise UserError(
                f"{where}: changed after it was written (its digest is wrong); put it back, or convert again"
            )
        return manifest

    @classmethod
    def schema_text(cls) -> str:
        """The JSON schema of `manifest.json`, as published in docs/manifest.schema.json."""
        draft = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
        return json.dumps({**draft, **cls.model_json_schema()}, indent=1) + "\n"

    def expected_digest(self) -> str:
        """The digest of the other fields: hexadecimal SHA-256."""
        fields = self.model_dump(mode="json", exclude={"digest"})
        return hashlib.sha256(json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    def to_bytes(self) -> bytes:
        """The text of `manifest.json`; one shard a line, so that two of them can be compared."""
        fields = self.model_dump(mode="json", exclude={"shards"}, exclude_none=False)
        head = json.dumps(fields, indent=1)[:-2]
        shards = ",\n  ".join(shard.model_dump_json(exclude_none=True) for shard in self.shards)
        return f'{head},\n "shards": [\n  {shards}\n ]\n}}\n'.encode()

    def shards_of(self, split: str) -> tuple[ShardEntry, ...]:
        """The shards of a split, in their written order."""
        return tuple(shard for shard in self.shards if shard.split == split)

    def samples(self, split: str) -> int:
        """How many images a split holds."""
        return sum(shard.count for shard in self.shards_of(split))
