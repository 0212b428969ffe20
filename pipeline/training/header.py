"""What a checkpoint says of itself, for people and programs; read without torch."""

import math
from collections.abc import Iterable, Mapping
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from raygan.pipeline.config import Config
from raygan.sharding.errors import UserError
from raygan.sharding.storage.folder import Folder

HEADER = "checkpoint.json"  # written last into a checkpoint's folder, so one that has it is whole
DECIDING = ("fid", "fd_", "kid")  # how the scores' names begin; the first that is there decides

T = TypeVar("T")


class Header(BaseModel):
    """`checkpoint.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    format: Literal[1] = 1
    position: int  # images shown to the discriminator so far
    config: Config
    size: int  # pixels
    data: str  # digest of the data set
    sha256: str = ""  # of state.pt and of all else here
    identity: dict[str, str]  # of the scores: those of different identities cannot be compared
    scores: dict[str, float]  # of an evaluation at this position; empty if there was none

    @property
    def deciding_score(self) -> str | None:
        """The name of the score that decides which checkpoint is best; None without a finite score. Lower is better."""
        finite = [name for name, value in self.scores.items() if math.isfinite(value)]
        return next((name for start in DECIDING for name in finite if name.startswith(start)), None)


def in_words(identity: Mapping[str, str]) -> str:
    """An identity in one line."""
    return ", ".join(f"{name} {fact}" for name, fact in identity.items())


def read_header(folder: Folder) -> Header:
    """Raises UserError if `folder` holds no checkpoint, ConnectionError if its store does not answer."""
    try:
        return Header.model_validate_json(folder.read(HEADER))
    except ConnectionError:
        raise
    except OSError as e:
        raise UserError(f"{folder}: no checkpoint here ({HEADER} cannot be read: {e.strerror or e})") from e
    except ValidationError as e:
        problem = e.errors()[0]
        where = ".".join(map(str, problem["loc"]))
        raise UserError(f"{folder / HEADER}: not a checkpoint of this version ({where}: {problem['msg']})") from e


def best(headers: Iterable[tuple[T, Header]]) -> T | None:
    """What comes with the header of the lowest score, of those that can be compared with the newest that has one.

    A checkpoint without a finite score is never the best.
    """
    scored = [(key, header) for key, header in headers if header.deciding_score]
    if not scored:
        return None
    newest = max((header for _, header in scored), key=lambda header: header.position)
    name = newest.deciding_score
    alike = [(key, header) for key, header in scored if header.identity == newest.identity and name in header.scores]
    return min(alike, key=lambda pair: pair[1].scores[name or ""])[0]
